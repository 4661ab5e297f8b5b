import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type DynamicModule, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import { backendSpans } from '#libs/backends/http/spans.js';
import type { BackendAnswer } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { as, type FakeGateway, fakeGateway, fakeTarget, slug } from '../../../test/fake-gateway.js';
import type { Tracing } from '#libs/core/tracing.js';
import { createGateway } from './create-gateway.js';
import { drain } from './drain.js';
import type { GatewayParts } from './parts.js';
import { PUBLIC_ROUTES } from './public-routes.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
const start = async (...given: Parameters<typeof fakeGateway>): Promise<void> => {
  fake = fakeGateway(...given);
  app = await createGateway(fake.parts);
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet'), fakeTarget('acme', 'tool', 'slow')]);
};
const listening = async (): Promise<number> => {
  await app.listen(0, '127.0.0.1');
  return (app.getHttpServer().address() as AddressInfo).port;
};
afterEach(() => app.close());
const invoke = (name: string, headers: Record<string, string> = {}) => app.inject({ method: 'POST', url: `/mcp/v1/tools/${name}/invoke`, payload: { arguments: {} }, headers: { ...as('acme-viewer'), ...headers } });
const MCP: NonNullable<GatewayParts['mcp']> = { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) };

describe('probes', () => {
  it.each([
    ['/health', { status: 'healthy', service: 'stoa-mcp-gateway', version: '0.1.0', timestamp: expect.any(String) }],
    ['/healthz', { status: 'healthy', service: 'stoa-mcp-gateway', version: '0.1.0' }],
    ['/api/health', { status: 'healthy', service: 'stoa-mcp-gateway', version: '0.1.0' }],
    ['/live', { status: 'alive' }],
    ['/health/live', { status: 'healthy', version: '0.1.0', timestamp: expect.any(String) }],
    ['/health/startup', { status: 'healthy', version: '0.1.0', timestamp: expect.any(String) }],
    ['/health/ready', { status: 'healthy', version: '0.1.0', timestamp: expect.any(String), checks: { app_ready: true, catalogue: true } }],
    ['/ready', { service: 'stoa-mcp-gateway', version: '0.1.0', timestamp: expect.any(String), checks: { app_ready: true, catalogue: true }, status: 'ready' }],
    ['/status', { status: 'healthy', service: 'stoa-mcp-gateway', version: '0.1.0', environment: 'dev', started_at: expect.any(String) }],
    ['/info', { service: 'stoa-mcp-gateway', version: '0.1.0', commit: 'abc1234', build_time: '2026-01-01T00:00:00.000Z', node: expect.any(String), environment: 'dev', started_at: expect.any(String), protocol_versions: ['2026-07-28', '2025-11-25', '2025-06-18'] }],
    ['/', { service: 'stoa-mcp-gateway', description: expect.any(String), version: '0.1.0', mcp: { endpoint: '/mcp', protocol_versions: expect.any(Array), tools: '/mcp/v1/tools', docs: '/info' }, health: { live: '/live', ready: '/ready' } }],
  ])('GET %s answers without a token', async (url, body) => {
    await start({ mcp: MCP });
    const reply = await app.inject(url);
    expect([reply.statusCode, reply.json()]).toEqual([200, body]);
  });
  it('a lost dependency makes /ready 503 with the reason, and leaves /live at 200', async () => {
    await start();
    fake.checks.set('catalogue', { name: 'catalogue', check: async () => { throw new Error('connection refused'); } });
    const ready = await app.inject('/ready');
    expect([ready.statusCode, ready.json()]).toMatchObject([503, { status: 'not_ready', checks: { app_ready: true, catalogue: false }, reasons: { catalogue: 'connection refused' } }]);
    expect((await app.inject('/health/ready')).statusCode).toBe(503);
    expect((await app.inject('/live')).statusCode).toBe(200);
  });
  it('draining makes /ready 503 and closes connections', async () => {
    await start();
    fake.parts.lifecycle.beginDrain();
    const ready = await app.inject('/ready');
    expect([ready.statusCode, ready.headers.connection]).toEqual([503, 'close']);
    expect(ready.json()).toMatchObject({ reasons: { app_ready: 'shutting down' } });
  });
});

describe('the status page', () => {
  it('is for platform administrators: nobody 401, others 403', async () => {
    await start({ source: { revisions: async () => new Map([[slug('acme'), 1]]) } });
    fake.checks.set('catalogue', { name: 'catalogue', check: async () => ({ ok: false, reason: 'away' }) });
    expect((await app.inject('/admin/status')).statusCode).toBe(401);
    const viewer = await app.inject({ url: '/admin/status', headers: as('acme-viewer') });
    expect([viewer.statusCode, viewer.json()]).toEqual([403, { detail: 'Access denied: needs the role cpi-admin' }]);
    expect((await app.inject({ url: '/admin/status', headers: as('admin') })).json()).toMatchObject({ version: '0.1.0', ready: false, draining: false, tenants: 1, off: expect.arrayContaining(['MCP door', 'tracing']), checks: { app_ready: { ok: true }, catalogue: { ok: false, reason: 'away' } } });
  });
});

describe('traces', () => {
  it('have a span each for the call, the policy decision and the backend, as children of the caller\'s, and nothing that is a secret', async () => {
    const spans: { name: string; parent: string | undefined; id: string; attributes: Record<string, unknown>; error?: string | undefined }[] = [];
    const tracing: Tracing = {
      start: (name, { traceparent, attributes }) => {
        const span: (typeof spans)[number] = { name, parent: traceparent, id: `00-0af7651916cd43dd8448eb211c80319c-000000000000000${spans.length + 1}-01`, attributes: { ...attributes } };
        spans.push(span);
        return { traceparent: span.id, set: (more) => { Object.assign(span.attributes, more); }, end: (error) => { span.error = error; } };
      },
      shutdown: async () => undefined,
    };
    const sent: (readonly (readonly [string, string])[])[] = [];
    const rest = new RestBackend({
      startSpan: backendSpans(tracing), version: '1', credentials: { resolve: () => 'secret' },
      outbound: { request: async ({ headers }) => { sent.push(headers); return { status: 200, headers: {}, body: Buffer.from('{}') }; } },
    });
    await start({ tracing, backends: { rest } });
    const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect((await invoke('getPet', { traceparent: caller })).statusCode).toBe(200);
    expect(spans.map(({ name, parent }) => [name, parent])).toEqual([['tools/call getPet', caller], ['policy', spans[0]!.id], ['GET backend', spans[0]!.id]]);
    expect(spans[0]!.attributes).toMatchObject({ 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'getPet', 'stoa.tenant': 'acme', 'stoa.policy.rule': 'configured-open' });
    expect(spans[1]!.attributes).toMatchObject({ 'stoa.policy.decision': 'allow' });
    expect(spans[2]!.attributes).toMatchObject({ 'http.request.method': 'GET', 'http.response.status_code': 200 });
    expect(sent[0]!.find(([name]) => name === 'traceparent')).toEqual(['traceparent', spans[2]!.id]);
  });
});

describe('every answer', () => {
  it('carries the caller\'s request id where it is usable, and a UUIDv7 otherwise', async () => {
    await start();
    expect((await app.inject({ url: '/live', headers: { 'x-request-id': 'abc-123' } })).headers['x-request-id']).toBe('abc-123');
    for (const bad of ['x'.repeat(129), 'with space', '']) {
      const id = (await app.inject({ url: '/live', headers: { 'x-request-id': bad } })).headers['x-request-id'];
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    expect((await app.inject({ url: '/mcp/v1/tools', headers: { 'x-request-id': 'refused-1' } })).headers['x-request-id']).toBe('refused-1');
  });
  it('carries the fixed security headers, refusals included', async () => {
    await start();
    for (const url of ['/live', '/mcp/v1/tools', '/nowhere']) {
      expect((await app.inject(url)).headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'cache-control': 'no-store' });
    }
  });
});

describe('CORS', () => {
  const cors = { origins: ['https://console.test'], methods: ['GET', 'POST'], allowHeaders: ['Authorization', 'Mcp-Method'], exposeHeaders: ['X-Request-ID'], maxAge: 600 };
  it('answers a preflight of a named origin before authentication', async () => {
    await start({ cors });
    const reply = await app.inject({ method: 'OPTIONS', url: '/mcp/v1/tools', headers: { origin: 'https://console.test', 'access-control-request-method': 'GET' } });
    expect(reply.statusCode).toBe(204);
    expect(reply.headers).toMatchObject({ 'access-control-allow-origin': 'https://console.test', 'access-control-allow-methods': 'GET, POST', 'access-control-allow-headers': 'Authorization, Mcp-Method', 'access-control-max-age': '600' });
  });
  it('gives other origins nothing', async () => {
    await start({ cors });
    for (const origin of ['https://evil.test', 'null', 'https://console.test.evil.test', 'HTTPS://CONSOLE.TEST']) {
      const reply = await app.inject({ method: 'OPTIONS', url: '/mcp/v1/tools', headers: { origin, 'access-control-request-method': 'GET' } });
      expect([reply.statusCode, reply.headers['access-control-allow-origin']]).toEqual([401, undefined]);
    }
  });
});

describe('metrics', () => {
  it('three invocations raise the count by three, and every declared metric is there', async () => {
    await start();
    for (let n = 0; n < 3; n += 1) await invoke('getPet');
    await invoke('absent');
    const reply = await app.inject('/metrics');
    expect(reply.headers['content-type']).toContain('text/plain; version=0.0.4');
    for (const line of [
      'stoa_mcp_gateway_mcp_tool_invocations_total{tool_name="getPet",status="success"} 3',
      'stoa_mcp_gateway_mcp_tool_invocations_total{tool_name="unknown",status="not_found"} 1',
      'stoa_mcp_gateway_mcp_tool_invocation_duration_seconds_count{tool_name="getPet"} 3',
      'stoa_mcp_gateway_http_requests_total{method="POST",endpoint="/mcp/v1/tools/{name}/invoke",status_code="200"} 3',
      'stoa_mcp_gateway_http_requests_total{method="POST",endpoint="/mcp/v1/tools/{name}/invoke",status_code="404"} 1',
      'stoa_mcp_gateway_http_request_duration_seconds_count{method="POST",endpoint="/mcp/v1/tools/{name}/invoke"} 4',
      'stoa_mcp_gateway_http_requests_in_progress{method="POST",endpoint="/mcp/v1/tools/{name}/invoke"} 0',
      'stoa_mcp_gateway_backend_requests_total{backend="rest",method="GET",status_code="200"} 3',
      'stoa_mcp_gateway_backend_request_duration_seconds_count{backend="rest",method="GET"} 3',
      'stoa_mcp_gateway_service_info{name="stoa-mcp-gateway",version="0.1.0",environment="dev"} 1',
      'stoa_mcp_gateway_mcp_tools_registered 0',
    ]) expect(reply.body).toContain(line);
    for (const name of ['auth_requests_total', 'auth_token_validation_duration_seconds']) expect(reply.body).toContain(`# TYPE stoa_mcp_gateway_${name}`);
  });
  it('are for platform administrators where they are not public', async () => {
    fake = fakeGateway({ metricsPublic: false });
    const { authenticate } = fakeGateway({}, undefined, PUBLIC_ROUTES.filter((route) => route !== 'GET /metrics')).parts;
    app = await createGateway({ ...fake.parts, authenticate });
    expect((await app.inject('/metrics')).statusCode).toBe(401);
    expect((await app.inject({ url: '/metrics', headers: as('acme-viewer') })).json()).toEqual({ detail: 'Access denied: needs the role cpi-admin' });
    expect((await app.inject({ url: '/metrics', headers: as('admin') })).statusCode).toBe(200);
  });
  it('a backend that fails is not counted as success', async () => {
    const answers: (BackendAnswer | Denial)[] = [
      { result: { type: 'tool', content: [], isError: true, backendStatus: 500 }, outcome: 'error', latencyMs: 1, bytes: 0 },
      { result: { type: 'tool', content: [], isError: true }, outcome: 'timeout', latencyMs: 1, bytes: 0 },
    ];
    await start({}, async () => answers.shift()!);
    await invoke('getPet');
    await invoke('getPet');
    const { body } = await app.inject('/metrics');
    expect(body).toContain('mcp_tool_invocations_total{tool_name="getPet",status="error"} 1');
    expect(body).toContain('mcp_tool_invocations_total{tool_name="getPet",status="timeout"} 1');
    expect(body).toContain('backend_requests_total{backend="rest",method="GET",status_code="500"} 1');
    expect(body).toContain('backend_requests_total{backend="rest",method="GET",status_code="timeout"} 1');
  });
});

const atInfo = (id: string) => fake.logs().filter((line) => line['request_id'] === id && line['level'] === 'info');

describe('logs', () => {
  it('have one JSON line for a call, and one for a request without a call, with the id of the answer', async () => {
    await start();
    const called = await invoke('getPet', { 'x-request-id': 'call-1' });
    await app.inject({ url: '/mcp/v1/tools?search=x', headers: { ...as('acme-viewer'), 'x-request-id': 'list-1' } });
    expect(called.headers['x-request-id']).toBe('call-1');
    expect(atInfo('call-1')).toEqual([expect.objectContaining({ msg: 'call', door: 'rest', tenant: 'acme', name: 'getPet', status: 'success', rule: 'configured-open', ms: expect.any(Number) })]);
    expect(atInfo('list-1')).toEqual([expect.objectContaining({ msg: 'request', method: 'GET', path: '/mcp/v1/tools', endpoint: '/mcp/v1/tools', status: 200 })]);
  });
  it('and answers carry no secret, wherever a caller puts one', async () => {
    const CANARY = 'CANARY-5f1e9c77';
    await start({}, async () => { throw new Error(`backend said Bearer ${CANARY}`); });
    const everywhere = [
      { method: 'GET' as const, url: `/mcp/v1/tools?access_token=${CANARY}` },
      { method: 'GET' as const, url: `/mcp/v1/tools?search=${CANARY}`, headers: as('acme-viewer') },
      { method: 'GET' as const, url: '/mcp/v1/tools', headers: { authorization: `Bearer ${CANARY}` } },
      { method: 'GET' as const, url: '/mcp/v1/tools', headers: { authorization: `Basic ${CANARY}`, cookie: `sid=${CANARY}`, 'x-api-key': CANARY } },
      { method: 'POST' as const, url: '/mcp/v1/tools/getPet/invoke', headers: as('acme-viewer'), payload: { arguments: { password: CANARY } } },
      { method: 'POST' as const, url: '/mcp/v1/tools/getPet/invoke', headers: { ...as('acme-viewer'), 'content-type': 'application/json' }, payload: `{"arguments": ${CANARY}` },
      { method: 'GET' as const, url: `/mcp/v1/prompts/p?key=${CANARY}`, headers: as('acme-viewer') },
    ];
    for (const request of everywhere) {
      const reply = await app.inject(request);
      expect([request.url, reply.body.includes(CANARY)]).toEqual([request.url, false]);
    }
    expect(fake.logs().length).toBeGreaterThanOrEqual(everywhere.length);
    expect(fake.rawLogs()).not.toContain(CANARY);
  });
});

describe('each part can be left out and the gateway still starts', () => {
  it.each<{ name: string; off: Partial<GatewayParts>; gone: string }>([
    { name: 'metrics', off: { metrics: undefined }, gone: '/metrics' },
    { name: 'the REST facade', off: { rest: false }, gone: '/mcp/v1/tools' },
    { name: 'the MCP door', off: { mcp: undefined }, gone: '/mcp' },
    { name: 'authentication', off: { authenticate: undefined }, gone: '/nowhere' },
    { name: 'every backend', off: { backends: {} }, gone: '/nowhere' },
    { name: 'platform tools', off: { platformTools: false }, gone: '/nowhere' },
    { name: 'everything', off: { metrics: undefined, rest: false, mcp: undefined, authenticate: undefined, backends: {}, platformTools: false, checks: [] }, gone: '/mcp' },
  ])('$name', async ({ off, gone }) => {
    await start({ mcp: MCP, ...off });
    expect((await app.inject('/live')).statusCode).toBe(200);
    expect((await app.inject({ url: gone, headers: as('acme-viewer') })).statusCode).toBe(404);
  });
  it('a backend that is off is told as such, and authentication that is off shows platform tools alone', async () => {
    await start({ backends: {}, authenticate: undefined });
    const list = (await app.inject('/mcp/v1/tools')).json<{ tools: { tenant_id: string | null }[] }>();
    expect(list.tools.length).toBeGreaterThan(0);
    expect(list.tools.every(({ tenant_id }) => tenant_id === null)).toBe(true);
    await app.close();
    await start({ backends: {} });
    const reply = await invoke('getPet');
    expect([reply.statusCode, reply.json()]).toEqual([503, { detail: 'No backend of kind rest is enabled here.' }]);
  });
});

describe('a client that leaves', () => {
  it('cancels its call at the backend', async () => {
    const began = Promise.withResolvers<AbortSignal>();
    await start({}, (call) => new Promise((answer) => {
      call.exchange.signal.addEventListener('abort', () => { answer(new Denial({ code: 'CANCELLED', message: 'The call was cancelled.' })); });
      began.resolve(call.exchange.signal);
    }));
    const client = httpRequest({ port: await listening(), host: '127.0.0.1', method: 'POST', path: '/mcp/v1/tools/slow/invoke', headers: { ...as('acme-viewer'), 'content-type': 'application/json' } });
    client.on('error', () => undefined);
    client.end('{"arguments":{}}');
    const signal = await began.promise;
    client.destroy();
    await expect.poll(() => signal.aborted).toBe(true);
    await expect.poll(() => fake.logs().find((line) => line['msg'] === 'call')).toMatchObject({ status: 'cancelled' });
  });
});

describe('a gateway without', () => {
  it('a policy denies every call', async () => {
    await start({ policy: undefined });
    expect([(await invoke('getPet')).statusCode, fake.calls]).toEqual([403, []]);
  });
  it('limits and redaction calls and answers as it is', async () => {
    await start({ limiter: undefined, redactor: undefined });
    expect((await invoke('getPet')).statusCode).toBe(200);
  });
});

it('a target\'s own timeout is cut to the operator\'s upper bound, and a shorter one stays', async () => {
  await start({ maxTimeoutMs: 50 });
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'slow'), fakeTarget('acme', 'tool', 'quick', { timeoutMs: 20 })]);
  await invoke('slow');
  await invoke('quick');
  expect(fake.calls.map(({ target }) => target.timeoutMs)).toEqual([50, 20]);
});

describe('a module that cannot be closed', () => {
  it('is told in the log, and keeps no other from being closed', async () => {
    @Module({})
    class Stuck { onApplicationShutdown(): void { throw new Error('the disk is gone'); } }
    fake = fakeGateway();
    app = await createGateway(fake.parts, { module: Stuck });
    await app.close();
    expect(fake.logs().find(({ level }) => level === 'error')).toMatchObject({ msg: 'the framework reports a failure', err: { message: 'the disk is gone' } });
  });
});

describe('draining', () => {
  it('finishes the calls in flight, closes their connections, gives back what it holds, and cuts nothing', async () => {
    const began = Promise.withResolvers<void>();
    const backend = Promise.withResolvers<BackendAnswer>();
    const closed: string[] = [];
    const holding = (name: string): DynamicModule => {
      @Module({})
      class Holding { onApplicationShutdown(): void { closed.push(name); } }
      return { module: Holding, global: true };
    };
    fake = fakeGateway({}, () => { began.resolve(); return backend.promise; });
    app = await createGateway(fake.parts, holding('database'), holding('catalogue'));
    fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'slow')]);
    const port = await listening();
    const reply = fetch(`http://127.0.0.1:${port}/mcp/v1/tools/slow/invoke`, { method: 'POST', headers: { ...as('acme-viewer'), 'content-type': 'application/json' }, body: '{"arguments":{}}' });
    await began.promise;
    const drained = drain(app, fake.parts.lifecycle, { seconds: 10, delaySeconds: 0 });
    expect(closed).toEqual([]);
    backend.resolve({ result: { type: 'tool', content: [{ type: 'text', text: 'done' }], isError: false }, outcome: 'success', latencyMs: 1, bytes: 4 });
    const answered = await reply;
    expect([answered.status, (await answered.json() as { result: { content: { text: string }[] } }).result.content[0]!.text]).toEqual([200, 'done']);
    expect(await drained).toEqual({ cut: false });
    expect(closed).toEqual(['catalogue', 'database']);
    await expect(fetch(`http://127.0.0.1:${port}/live`)).rejects.toThrow('fetch failed');
  });
  it('cuts what does not end in time', async () => {
    const began = Promise.withResolvers<void>();
    await start({}, (call) => new Promise((answer) => {
      call.exchange.signal.addEventListener('abort', () => { answer(new Denial({ code: 'CANCELLED', message: 'The call was cancelled.' })); });
      began.resolve();
    }));
    const port = await listening();
    const reply = fetch(`http://127.0.0.1:${port}/mcp/v1/tools/slow/invoke`, { method: 'POST', headers: { ...as('acme-viewer'), 'content-type': 'application/json' }, body: '{"arguments":{}}' });
    reply.catch(() => undefined);
    await began.promise;
    expect(await Promise.race([drain(app, fake.parts.lifecycle, { seconds: 0.2, delaySeconds: 0 }), wait(8000)])).toEqual({ cut: true });
    await expect(reply).rejects.toThrow('fetch failed');
  });
});
