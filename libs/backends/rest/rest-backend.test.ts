import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { CredentialReference, SecretReference, CredentialSlot, RestBinding, RestParameter } from '#libs/core/rest-binding.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { createEgress, type Egress } from '#libs/egress/egress.js';
import { RestBackend, type RestBackendOptions } from './rest-backend.js';

interface Seen { method: string; url: string; headers: IncomingMessage['headers']; body: string }
const open: { server: Server; egress: Egress }[] = [];
afterEach(async () => {
  for (const { server, egress } of open.splice(0)) {
    server.closeAllConnections();
    server.close();
    await egress.close();
  }
});

const acme = tenantSlug('acme');
if (!acme) throw new Error('acme is a slug');

async function backend(answer: (request: IncomingMessage, response: ServerResponse) => void, options: Partial<RestBackendOptions> = {}) {
  const seen: Seen[] = [];
  let sockets = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
    request.on('end', () => {
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      answer(request, response);
    });
  }).on('connection', () => { sockets += 1; });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const egress = createEgress({ allow: ['127.0.0.1'] });
  open.push({ server, egress });
  const rest = new RestBackend({ outbound: egress, version: '1.2.3', credentials: { resolve: () => 'unset' }, ...options });
  return { rest, baseUrl, seen, sockets: () => sockets };
}

interface Shape {
  binding?: Partial<RestBinding>;
  input?: Record<string, unknown>;
  target?: Partial<Target>;
  slots?: Record<string, CredentialSlot>;
  credentials?: Record<string, CredentialReference>;
  signal?: AbortSignal;
  trace?: { traceparent: string; tracestate?: string };
}
function call(baseUrl: string, shape: Shape = {}): ValidatedCall {
  const binding: RestBinding = { kind: 'rest', method: 'GET', baseUrl, path: '/pets', parameters: [], accept: 'application/json', security: [], ...shape.binding };
  const target = { kind: 'tool', name: 'list_pets', tenant: acme, timeoutMs: 5_000, definitions: {}, inputSchema: true, backend: binding, ...shape.target } as Target;
  return {
    requestId: 'req-1', input: shape.input ?? {}, target,
    api: { name: 'petstore', tenant: acme, baseUrl: undefined, slots: shape.slots ?? {}, credentials: shape.credentials ?? {} },
    principal: { tenant: acme }, exchange: { signal: shape.signal ?? new AbortController().signal },
    traceparent: shape.trace?.traceparent, tracestate: shape.trace?.tracestate,
  } as unknown as ValidatedCall;
}
const param = (argument: string, where: RestParameter['in'], more: Partial<RestParameter> = {}): RestParameter =>
  ({ argument, name: argument, in: where, style: where === 'path' || where === 'header' ? 'simple' : 'form', explode: where === 'query' || where === 'cookie', allowReserved: false, required: false, ...more });

async function toolResult(rest: RestBackend, made: ValidatedCall): Promise<ToolResult> {
  const answer = await rest.invoke(made);
  if (answer instanceof Denial) throw new Error(`denied: ${answer.message}`);
  if (answer.result.type !== 'tool') throw new Error('not a tool result');
  return answer.result;
}
const textOf = (result: ToolResult): string => result.content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
const json = (value: unknown) => (_request: IncomingMessage, response: ServerResponse): void => { response.setHeader('content-type', 'application/json').end(JSON.stringify(value)); };

describe('a call to a REST backend', () => {
  it('puts path, query, header, cookie and body where the document says, and nowhere else', async () => {
    const { rest, baseUrl, seen } = await backend(json({ ok: true }));
    const result = await toolResult(rest, call(baseUrl, {
      binding: {
        method: 'POST', path: '/pets/{id}', parameters: [param('id', 'path'), param('limit', 'query'), param('X-Trace', 'header'), param('session', 'cookie')],
        body: { argument: 'body', required: true, content: { mediaType: 'application/json', kind: 'json' } },
      },
      input: { id: 7, limit: 0, 'X-Trace': 'yes', session: 's1', body: { name: 'Rex', tags: [] } },
    }));
    expect(result).toMatchObject({ isError: false, backendStatus: 200, structuredJson: '{"ok":true}' });
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/pets/7?limit=0', body: '{"name":"Rex","tags":[]}' });
    expect(seen[0]?.headers).toMatchObject({ 'x-trace': 'yes', cookie: 'session=s1', 'content-type': 'application/json', accept: 'application/json' });
  });

  it('sends correlation headers and a user agent of its own', async () => {
    const { rest, baseUrl, seen } = await backend(json({}));
    await rest.invoke(call(baseUrl, { trace: { traceparent: '00-a-b-01', tracestate: 'v=1' } }));
    expect(seen[0]?.headers).toMatchObject({ 'x-request-id': 'req-1', 'x-stoa-tenant-id': 'acme', 'x-stoa-tool-name': 'list_pets', traceparent: '00-a-b-01', tracestate: 'v=1', 'user-agent': 'stoa/1.2.3' });
  });

  it("sends the span's trace context when there is a span, and ends it", async () => {
    const ended: unknown[] = [];
    const { rest, baseUrl, seen } = await backend(json({}), { startSpan: (_call, request) => ({ traceparent: `00-child-${request.method}-01`, tracestate: undefined, end: (outcome) => { ended.push(outcome); } }) });
    await rest.invoke(call(baseUrl, { trace: { traceparent: '00-a-b-01', tracestate: 'v=1' } }));
    expect([seen[0]?.headers['traceparent'], seen[0]?.headers['tracestate'], ended]).toEqual(['00-child-GET-01', undefined, [{ statusCode: 200 }]]);
  });

  it('takes a few sockets for 100 calls one after the other', async () => {
    const { rest, baseUrl, seen, sockets } = await backend(json({}));
    for (let i = 0; i < 100; i++) await rest.invoke(call(baseUrl));
    expect(seen).toHaveLength(100);
    expect(sockets()).toBeLessThanOrEqual(2);
  });

  it('closes the connection to the backend when the client goes away', async () => {
    const arrived = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const { rest, baseUrl } = await backend((request) => { request.socket.on('close', () => gone.resolve()); arrived.resolve(); });
    const client = new AbortController();
    const answer = rest.invoke(call(baseUrl, { signal: client.signal }));
    await arrived.promise;
    client.abort();
    expect(await answer).toMatchObject({ code: 'CANCELLED' });
    await gone.promise;
  });
});

describe("a backend's failure is a tool error", () => {
  it.each([400, 404, 422, 500, 503])('with its own body and status (%i)', async (status) => {
    const { rest, baseUrl } = await backend((_request, response) => { response.writeHead(status, { 'content-type': 'application/problem+json' }).end('{"title": "no" }'); });
    const answer = await rest.invoke(call(baseUrl));
    expect(answer).toMatchObject({ outcome: 'error', bytes: 16, result: { isError: true, backendStatus: status, content: [{ type: 'text', text: '{"title": "no" }' }], meta: { error_code: 'BACKEND_ERROR' } } });
    expect(answer).not.toHaveProperty('result.structuredJson');
  });

  it('when it is too slow', async () => {
    const { rest, baseUrl } = await backend(() => undefined);
    expect(await rest.invoke(call(baseUrl, { target: { timeoutMs: 40 } }))).toMatchObject({ outcome: 'timeout', result: { isError: true, content: [{ text: 'Request to backend failed: No complete answer within 40 ms' }], meta: { error_code: 'BACKEND_TIMEOUT' } } });
  });

  it('when it cannot be reached, answers too much, or may not be called', async () => {
    const { rest, baseUrl } = await backend((_request, response) => { response.end('x'.repeat(2_000)); }, { maxResponseBytes: 1_000 });
    expect(await rest.invoke(call('http://127.0.0.1:1'))).toMatchObject({ result: { isError: true, meta: { error_code: 'BACKEND_UNREACHABLE' } } });
    expect(await rest.invoke(call(baseUrl))).toMatchObject({ result: { isError: true, meta: { error_code: 'BACKEND_RESPONSE_TOO_LARGE' } } });
    expect(await rest.invoke(call('http://10.0.0.1'))).toMatchObject({ outcome: 'error', result: { isError: true, meta: { error_code: 'EGRESS_REFUSED' } } });
  });

  it('but an argument that leaves the path is ours to refuse, and nothing is sent', async () => {
    const { rest, baseUrl, seen } = await backend(json({}));
    expect(await rest.invoke(call(baseUrl, { binding: { path: '/pets/{id}', parameters: [param('id', 'path')] }, input: { id: '..%2fadmin' } }))).toMatchObject({ code: 'INVALID_ARGUMENTS' });
    expect(seen).toHaveLength(0);
  });

  it('tells each request to the metrics once', async () => {
    const told: unknown[] = [];
    const { rest, baseUrl } = await backend(json({}), { onBackendRequest: ({ seconds, ...rest_ }) => { told.push([rest_, seconds > 0]); } });
    await rest.invoke(call(baseUrl));
    await rest.invoke(call('http://127.0.0.1:1'));
    expect(told).toEqual([[{ backend: 'petstore', method: 'GET', statusCode: 200 }, true], [{ backend: 'petstore', method: 'GET', statusCode: 0 }, true]]);
  });
});

describe('an answer', () => {
  it.each([
    { name: 'JSON', type: 'application/json; charset=utf-8', body: ' {"a":1} ', content: [{ type: 'text', text: ' {"a":1} ' }], structured: ' {"a":1} ' },
    { name: 'vendor JSON', type: 'application/vnd.x+json', body: '[1]', content: [{ type: 'text', text: '[1]' }], structured: '[1]' },
    { name: 'JSON null', type: 'application/json', body: 'null', content: [{ type: 'text', text: 'null' }], structured: 'null' },
    { name: 'JSON that is none', type: 'application/json', body: '{"a":', content: [{ type: 'text', text: '{"a":' }] },
    { name: 'text', type: 'text/plain', body: 'héllo', content: [{ type: 'text', text: 'héllo' }] },
    { name: 'text in another charset', type: 'text/plain; charset=iso-8859-1', body: Buffer.from('h\u00e9', 'latin1'), content: [{ type: 'text', text: 'hé' }] },
    { name: 'XML', type: 'application/xml', body: '<a/>', content: [{ type: 'text', text: '<a/>' }] },
    { name: 'untyped text', type: undefined, body: 'plain', content: [{ type: 'text', text: 'plain' }] },
    { name: 'an image', type: 'image/PNG; x=1', body: Buffer.from([0, 255]), content: [{ type: 'image', data: 'AP8=', mimeType: 'image/png' }] },
    { name: 'sound', type: 'audio/mpeg', body: Buffer.from([1]), content: [{ type: 'audio', data: 'AQ==', mimeType: 'audio/mpeg' }] },
    { name: 'other bytes', type: 'application/pdf', body: Buffer.from([0]), content: [{ type: 'resource', resource: { uri: 'stoa://tool/list_pets/answer', mimeType: 'application/pdf', blob: 'AA==' } }] },
    { name: 'untyped bytes', type: undefined, body: Buffer.from([0xff, 0]), content: [{ type: 'resource', resource: { uri: 'stoa://tool/list_pets/answer', mimeType: 'application/octet-stream', blob: '/wA=' } }] },
  ])('of $name keeps its bytes', async ({ type, body, content, structured }) => {
    const { rest, baseUrl } = await backend((_request, response) => { response.writeHead(200, type === undefined ? {} : { 'content-type': type }).end(body); });
    const result = await toolResult(rest, call(baseUrl));
    expect([result.content, result.structuredJson, result.isError]).toEqual([content, structured, false]);
  });

  it.each([{ method: 'HEAD', status: 200 }, { method: 'DELETE', status: 204 }, { method: 'GET', status: 304 }])('without a body is an empty text ($method, $status)', async ({ method, status }) => {
    const { rest, baseUrl } = await backend((_request, response) => { response.writeHead(status, { 'content-type': 'image/png' }).end(); });
    expect(await toolResult(rest, call(baseUrl, { binding: { method } }))).toEqual({ type: 'tool', isError: false, backendStatus: status, content: [{ type: 'text', text: '' }] });
  });

  it('that breaks the output schema is a tool error which still carries it as text', async () => {
    const { rest, baseUrl } = await backend(json({ a: 'x' }), { checkOutput: () => '/a must be integer' });
    const result = await toolResult(rest, call(baseUrl, { target: { outputSchema: { type: 'object' } } }));
    expect(result).toMatchObject({ isError: true, backendStatus: 200, meta: { error_code: 'BACKEND_CONTRACT_VIOLATION' } });
    expect(result.structuredJson).toBeUndefined();
    expect(textOf(result)).toContain('/a must be integer');
    expect(textOf(result)).toContain('{"a":"x"}');
  });

  it('that keeps the output schema passes untouched', async () => {
    const { rest, baseUrl } = await backend(json({ a: 1 }), { checkOutput: () => undefined });
    expect(await toolResult(rest, call(baseUrl, { target: { outputSchema: { type: 'object' } } }))).toMatchObject({ isError: false, structuredJson: '{"a":1}' });
  });
});

const bound = (...names: string[]): Record<string, CredentialReference> => Object.fromEntries(names.map((name) => [name, { from: 'environment' as const, name }]));

describe('credentials', () => {
  const slots: Record<string, CredentialSlot> = { token: { type: 'bearer' }, key: { type: 'apiKey', in: 'query', name: 'api_key' }, user: { type: 'basic' } };
  const resolver = { resolve: async (_tenant: unknown, { name }: SecretReference) => (name === 'gone' ? new Denial({ code: 'CREDENTIAL_MISSING', message: 'not set' }) : `s3cret-${name}`) };

  it.each([
    { name: 'the first alternative that is bound', security: [['token'], ['key']], credentials: bound('key'), url: '/pets?api_key=s3cret-key', authorization: undefined },
    { name: 'every slot of an alternative', security: [['token', 'key']], credentials: bound('key', 'token'), url: '/pets?api_key=s3cret-key', authorization: 'Bearer s3cret-token' },
    { name: 'nothing where they are optional and unbound', security: [[], ['token']], credentials: {}, url: '/pets', authorization: undefined },
    { name: 'those bound even where they are optional', security: [[], ['token']], credentials: bound('token'), url: '/pets', authorization: 'Bearer s3cret-token' },
    { name: 'nothing where none is asked for', security: [], credentials: bound('token'), url: '/pets', authorization: undefined },
  ])('sends $name', async ({ security, credentials, url, authorization }) => {
    const { rest, baseUrl, seen } = await backend(json({}), { credentials: resolver });
    await rest.invoke(call(baseUrl, { binding: { security }, slots, credentials }));
    expect([seen[0]?.url, seen[0]?.headers.authorization]).toEqual([url, authorization]);
  });

  it('that are missing stop the call, naming the slot', async () => {
    const { rest, baseUrl, seen } = await backend(json({}), { credentials: resolver });
    expect(await rest.invoke(call(baseUrl, { binding: { security: [['token'], ['key', 'user']] }, slots, credentials: bound('key') }))).toMatchObject({ code: 'CREDENTIAL_MISSING', message: expect.stringContaining('token, or key and user') as string });
    expect(await rest.invoke(call(baseUrl, { binding: { security: [['token']] }, slots, credentials: { token: { from: 'file', name: 'gone' } } }))).toMatchObject({ code: 'CREDENTIAL_MISSING' });
    expect(seen).toHaveLength(0);
  });

  it.each(['a\r\nx: y', 'é', '', ' padded', 'nul\u0000'])('that no header can carry are refused without being shown (%j)', async (secret) => {
    const { rest, baseUrl } = await backend(json({}), { credentials: { resolve: () => secret } });
    const denial = await rest.invoke(call(baseUrl, { binding: { security: [['token']] }, slots, credentials: bound('token') }));
    expect(denial).toMatchObject({ code: 'CREDENTIAL_MISSING' });
    expect(secret !== '' && JSON.stringify(denial).includes(JSON.stringify(secret).slice(1, -1))).toBe(false);
  });

  it.each([
    { name: 'bearer', slot: 'token', secret: 'token-"81f3"-long' },
    { name: 'key in the query', slot: 'key', secret: 'key/81f3&long' },
    { name: 'user and password', slot: 'user', secret: 'ada:correct-hörse' },
  ])('are not handed to the caller by a backend that quotes its request ($name)', async ({ slot, secret }) => {
    for (const status of [200, 500]) {
      const { rest, baseUrl, seen } = await backend((request, response) => {
        const quoted = { url: request.url, authorization: request.headers.authorization, secret, password: secret.split(':').at(-1), kept: 'hé' };
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(quoted));
      }, { credentials: { resolve: () => secret } });
      // oxlint-disable-next-line no-await-in-loop -- two answers, one after the other
      const text = textOf(await toolResult(rest, call(baseUrl, { binding: { security: [[slot]] }, slots, credentials: bound(slot) })));
      expect(JSON.parse(text)).toMatchObject({ secret: '[redacted]', kept: 'hé' });
      for (const form of [secret, secret.split(':').at(-1) ?? '', encodeURIComponent(secret), Buffer.from(secret).toString('base64')]) expect(text).not.toContain(form);
      expect(seen).toHaveLength(1);
    }
  });

  it('leave the answer as it is where it does not quote them, and where they are too short to be told from data', async () => {
    const { rest, baseUrl } = await backend(json({ pin: 'abcd' }), { credentials: { resolve: () => 'abcd' } });
    expect(textOf(await toolResult(rest, call(baseUrl, { binding: { security: [['token']] }, slots, credentials: bound('token') })))).toBe('{"pin":"abcd"}');
  });

  it('are in no text of a failure', async () => {
    const outbound = { request: async () => { throw new (await import('#libs/core/outbound.js')).OutboundFailure('unreachable', 'GET /pets?api_key=s3cret-key with Bearer s3cret-token failed'); } };
    const rest = new RestBackend({ outbound, version: '1', credentials: resolver });
    const answer = await rest.invoke(call('https://x.example', { binding: { security: [['token', 'key']] }, slots, credentials: bound('key', 'token') }));
    expect(JSON.stringify(answer)).not.toContain('s3cret');
  });

  it('are not sent on to where a redirect points', async () => {
    const { baseUrl: second, seen: reached } = await backend(json({}));
    const { rest, baseUrl } = await backend((_request, response) => { response.writeHead(307, { location: second }).end(); }, { credentials: resolver });
    expect(await toolResult(rest, call(baseUrl, { binding: { security: [['token']] }, slots, credentials: bound('token') }))).toMatchObject({ backendStatus: 307, isError: false, content: [{ text: `The backend answered 307 and points to ${second}. Redirects are not followed.` }] });
    expect(reached).toHaveLength(0);
  });
});
