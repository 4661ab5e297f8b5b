import type { AddressInfo } from 'node:net';
import { type DynamicModule, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { BackendAnswer } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { TOKEN_VERIFIER } from '#libs/core/tokens.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { rateLimitOptions } from '#libs/rate-limit/limit-fields.js';
import { RateLimitModule } from '#libs/rate-limit/rate-limit.module.js';
import { type RateLimitOptions } from '#libs/rate-limit/rate-limits.js';
import { type FakeGateway, fakeGateway, fakeTarget, principal } from '../../../test/fake-gateway.js';
import { GatewayConfig } from './config.js';
import { createGateway } from './create-gateway.js';
import { gatewayDoor } from './door.js';
import type { GatewayParts } from './parts.js';
import { PUBLIC_ROUTES } from './public-routes.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
let hold: Promise<void> | undefined;
afterEach(async () => {
  hold = undefined;
  const closing = app.close();
  // Clients of streams keep their connections for the next.
  app.getHttpServer().closeAllConnections();
  await closing;
});

/** The token is `tenant/role/subject`, or `…#id` for one with an id of its own. */
const whoIs = (token: string): Principal | undefined => {
  const [, tenant, role = '', subject = '', id] = /^(\w+)\/([\w-]+)\/(\w+)(?:#(\w+))?$/.exec(token) ?? [];
  return tenant === undefined ? undefined : { ...principal(tenant, role), subject, ...(id === undefined ? {} : { credentialId: id }) };
};
@Module({})
class VerifierModule {}
const verifier: TokenVerifier = { verify: (token) => whoIs(token) ?? new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' }) };
const proves: DynamicModule = { module: VerifierModule, global: true, providers: [{ provide: TOKEN_VERIFIER, useValue: verifier }], exports: [TOKEN_VERIFIER] };
const ANSWER: BackendAnswer = { result: { type: 'tool', content: [{ type: 'text', text: '{}' }], isError: false }, outcome: 'success', latencyMs: 1, bytes: 2 };

async function start(options: RateLimitOptions, more: Partial<GatewayParts> = {}): Promise<void> {
  const door = gatewayDoor({ resource: 'https://gw.test/mcp', open: PUBLIC_ROUTES }) as unknown as (server: FastifyInstance) => void;
  fake = fakeGateway({ limiter: undefined, authenticate: door, mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) }, ...more }, async () => { await hold; return ANSWER; });
  app = await createGateway(fake.parts, proves, RateLimitModule.with(options));
  for (const tenant of ['acme', 'globex']) fake.catalogue.put(tenant, [fakeTarget(tenant, 'tool', 'get_pet'), fakeTarget(tenant, 'tool', 'list_pets'), fakeTarget(tenant, 'tool', 'slow', { rateLimit: { perMinute: 60, burst: 10 } })]);
}
const from = (address: string) => ({ 'x-forwarded-for': `203.0.113.9, ${address}` });
/** As an operator who says nothing, or one thing, of limits. */
const configured = (env: Record<string, string> = {}): RateLimitOptions => rateLimitOptions(readConfig(GatewayConfig, { DATABASE_URL: 'postgres://db', OIDC_ISSUER: 'https://issuer.test', ...env }));

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
const BOTH = 'application/json, text/event-stream';
type Reply = { readonly statusCode: number; readonly headers: Record<string, unknown>; readonly body: string };
type Door = (token: string, tool?: string, headers?: Record<string, string>) => Promise<Reply>;
const rest: Door = (token, tool = 'get_pet', headers = {}) => app.inject({ method: 'POST', url: `/mcp/v1/tools/${tool}/invoke`, headers: { authorization: `Bearer ${token}`, ...headers }, payload: { arguments: {} } });
const modern: Door = (token, tool = 'get_pet', headers = {}) => app.inject({
  method: 'POST', url: '/mcp', payload: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: {}, _meta: META } },
  headers: { authorization: `Bearer ${token}`, accept: BOTH, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': tool, ...headers },
});
const sessions = new Map<string, string>();
const legacy: Door = async (token, tool = 'get_pet', headers = {}) => {
  const post = (payload: object, more: Record<string, string> = {}) => app.inject({ method: 'POST', url: '/mcp', payload: { jsonrpc: '2.0', id: 1, ...payload }, headers: { authorization: `Bearer ${token}`, accept: BOTH, ...headers, ...more } });
  let session = sessions.get(token);
  if (session === undefined) sessions.set(token, session = String((await post({ method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } })).headers['mcp-session-id']));
  return post({ method: 'tools/call', params: { name: tool, arguments: {} } }, { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' });
};
afterEach(() => { sessions.clear(); });
const DOORS = [['REST', rest], ['MCP 2026-07-28', modern], ['MCP 2025-11-25', legacy]] as const;
const times = async (n: number, call: () => Promise<Reply>): Promise<number[]> => { const all: number[] = []; for (let at = 0; at < n; at += 1) all.push((await call()).statusCode); return all; };
const admitted = (statuses: readonly number[]): number => statuses.filter((status) => status === 200).length;
const quota = ({ headers }: Reply): number[] => [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining'], headers['x-ratelimit-reset']].map(Number);

describe.each(DOORS)('at the door %s', (_name, door) => {
  it('a viewer has 60 calls a minute and ten more, and then 429 with whole seconds; an administrator goes on', async () => {
    await start(configured());
    expect(admitted(await times(80, () => door('acme/viewer/ann')))).toBe(70);
    const refused = await door('acme/viewer/ann');
    expect(refused.statusCode).toBe(429);
    expect(refused.headers['retry-after']).toMatch(/^([1-9]|[1-5]\d|60)$/);
    expect(quota(refused).slice(0, 2)).toEqual([70, 0]);
    expect(refused.body).toMatch(/Rate limit exceeded\. Please retry after \d+ seconds\./);
    expect(admitted(await times(80, () => door('acme/cpi-admin/root')))).toBe(80);
  });
  it('every answer says what is left, and it goes down', async () => {
    await start({ limits: { user: { perMinute: 3 } } });
    const all = [await door('acme/viewer/ann'), await door('acme/viewer/ann'), await door('acme/viewer/ann'), await door('acme/viewer/ann')];
    expect(all.map((reply) => [reply.statusCode, ...quota(reply).slice(0, 2)])).toEqual([[200, 3, 2], [200, 3, 1], [200, 3, 0], [429, 3, 0]]);
    for (const reply of all) expect(quota(reply)[2]).toBeGreaterThanOrEqual(1);
  });
  it('one spent tool leaves the caller\'s others', async () => {
    await start({ limits: { userTool: { perMinute: 2 } } });
    expect(await times(3, () => door('acme/viewer/ann'))).toEqual([200, 200, 429]);
    expect(await times(1, () => door('acme/viewer/ann', 'list_pets'))).toEqual([200]);
    expect(await times(1, () => door('acme/viewer/bob'))).toEqual([200]);
  });
  it('a tool\'s own rate of 60 with a burst of 10 lets ten pass, whoever calls, and tells the second', async () => {
    await start({ limits: {} });
    expect(admitted(await times(6, () => door('acme/viewer/ann', 'slow')))).toBe(6);
    expect(admitted(await times(6, () => door('acme/viewer/bob', 'slow')))).toBe(4);
    expect(Number((await door('acme/viewer/bob', 'slow')).headers['retry-after'])).toBeLessThanOrEqual(10);
    expect(admitted(await times(1, () => door('globex/viewer/eve', 'slow')))).toBe(1);
  });
  it('a tenant at its day\'s quota is answered QUOTA_EXCEEDED, and others are not', async () => {
    await start({ limits: { tenants: { acme: { perDay: 2 } } } });
    expect(await times(3, () => door('acme/viewer/ann'))).toEqual([200, 200, 429]);
    expect((await door('acme/viewer/bob')).body).toContain('Daily quota exceeded');
    expect(await times(3, () => door('globex/viewer/eve'))).toEqual([200, 200, 200]);
  });
  it('a header that names another address opens nothing', async () => {
    await start({ limits: { address: { perMinute: 5 } } });
    let n = 0;
    const statuses = await times(12, () => door('acme/viewer/ann', 'get_pet', { 'x-forwarded-for': `198.51.100.${n += 1}` }));
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(7);
  });
  it('calls at the same time: one too many is refused at once', async () => {
    await start({ limits: { concurrent: { process: 2 } } });
    // The session, where there is one, before anything is held up.
    await door('acme/viewer/ann');
    fake.calls.length = 0;
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const running = [door('acme/viewer/ann'), door('acme/viewer/ann')];
    await expect.poll(() => fake.calls.length).toBe(2);
    const third = await door('acme/viewer/ann');
    expect([third.statusCode, third.headers['retry-after']]).toEqual([429, '1']);
    gate.resolve();
    expect((await Promise.all(running)).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    expect((await door('acme/viewer/ann')).statusCode).toBe(200);
  });
});

describe('behind all doors', () => {
  it('stands one limiter: what one door used is used at the others', async () => {
    await start({ limits: { user: { perMinute: 3 } } });
    expect([(await rest('acme/viewer/ann')).statusCode, (await modern('acme/viewer/ann')).statusCode, (await legacy('acme/viewer/ann')).statusCode]).toEqual([200, 200, 200]);
    for (const [, door] of DOORS) expect((await door('acme/viewer/ann')).statusCode).toBe(429);
  });
  it('a token has its 200 calls, and another token of the same person its own', async () => {
    await start({ limits: { token: { perMinute: 200 } } });
    expect(admitted(await times(201, () => rest('acme/viewer/ann#one')))).toBe(200);
    expect(admitted(await times(1, () => rest('acme/viewer/ann#two')))).toBe(1);
  });
  it('many tokens of one address share its limit, before anybody looks at them', async () => {
    await start({ limits: { address: { perMinute: 4, burst: 1 } } });
    let n = 0;
    expect(await times(7, () => rest(`acme/viewer/p${n += 1}`))).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect((await app.inject('/mcp/v1/tools')).statusCode).toBe(429);
    for (const probe of ['/live', '/ready', '/health', '/metrics']) expect((await app.inject(probe)).statusCode).toBe(200);
  });
  it('a trusted proxy\'s word counts, and no other', async () => {
    await start({ limits: { address: { perMinute: 2 }, trustedProxies: ['127.0.0.0/8'] } });
    expect(await times(3, () => rest('acme/viewer/ann', 'get_pet', from('198.51.100.1')))).toEqual([200, 200, 429]);
    expect(await times(1, () => rest('acme/viewer/ann', 'get_pet', from('198.51.100.2')))).toEqual([200]);
  });
  it('the sixth bad token of an address in a minute is throttled, and so is a good one after it', async () => {
    await start(configured());
    expect(await times(6, () => rest('bad'))).toEqual([401, 401, 401, 401, 401, 429]);
    for (const [, door] of DOORS) {
      const good = await door('acme/viewer/ann');
      expect([good.statusCode, Number(good.headers['retry-after']) > 0]).toEqual([429, true]);
    }
    expect(fake.calls).toEqual([]);
  });
  it('requests without a token are no failures', async () => {
    await start(configured());
    for (let n = 0; n < 9; n += 1) expect((await app.inject('/mcp/v1/tools')).statusCode).toBe(401);
    expect((await rest('acme/viewer/ann')).statusCode).toBe(200);
  });
  it('quotas of the control plane win over the configured ones, for calls a second, a day and at once', async () => {
    await start({ limits: { tenant: { perMinute: 1 } } });
    const snapshot = fake.catalogue.snapshot(principal('acme').tenant!)!;
    fake.catalogue.snapshot = (tenant) => (tenant === 'acme' ? { ...snapshot, quotas: { perDay: 3, concurrent: 5 } } : snapshot);
    expect(await times(4, () => rest('acme/viewer/ann'))).toEqual([200, 200, 200, 429]);
  });
  it('a body over the limit is 413 PAYLOAD_TOO_LARGE at every door', async () => {
    await start({ limits: {} }, { maxBodyBytes: 2048, mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1), limits: { bodyBytes: 2048 } } });
    const payload = { arguments: { id: 'x'.repeat(4000) } };
    const atRest = await app.inject({ method: 'POST', url: '/mcp/v1/tools/get_pet/invoke', headers: { authorization: 'Bearer acme/viewer/ann' }, payload });
    expect([atRest.statusCode, atRest.json()]).toEqual([413, { detail: { code: 'PAYLOAD_TOO_LARGE', message: expect.any(String) } }]);
    const atMcp = await app.inject({ method: 'POST', url: '/mcp', headers: { authorization: 'Bearer acme/viewer/ann', accept: BOTH }, payload });
    expect([atMcp.statusCode, atMcp.json()]).toMatchObject([413, { error: { code: -32001, data: { code: 'PAYLOAD_TOO_LARGE', max_size_kb: 2 } } }]);
  });
  it('browsers are shown the headers', () => {
    expect(readConfig(GatewayConfig, { DATABASE_URL: 'postgres://db', OIDC_ISSUER: 'https://issuer.test' }).corsExposeHeaders).toEqual(expect.arrayContaining(['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset', 'Retry-After']));
  });
});

describe('event streams', () => {
  const leaving: AbortController[] = [];
  const listen = async (token: string): Promise<Response> => {
    const leave = new AbortController();
    leaving.push(leave);
    const { port } = app.getHttpServer().address() as AddressInfo;
    return fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST', signal: leave.signal, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: BOTH, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true }, _meta: META } }),
    });
  };
  it.each([
    { name: 'an address', limits: { streams: { address: 10 } }, most: 10, reason: 'limit per address reached' },
    { name: 'a tenant', limits: { streams: { tenant: 4 } }, most: 4, reason: 'limit per tenant reached' },
    { name: 'the replica', limits: { streams: { total: 3 } }, most: 3, reason: 'total limit reached' },
  ])('of $name: one too many is 429 Too many connections, and a place that is left is free', async ({ limits, most, reason }) => {
    await start({ limits });
    await app.listen(0, '127.0.0.1');
    const open: Response[] = [];
    for (let n = 0; n < most; n += 1) open.push(await listen(`acme/viewer/p${n}`));
    expect(open.map(({ status }) => status)).toEqual(open.map(() => 200));
    const refused = await listen('acme/viewer/late');
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([429, '60', { error: { message: `Too many connections: ${reason}` } }]);
    leaving[0]?.abort();
    await expect.poll(async () => (await listen('acme/viewer/next')).status).toBe(200);
    for (const leave of leaving.splice(0)) leave.abort();
  });
  it('end after their longest time, with a complete result, and the client opens another', async () => {
    await start({ limits: {} }, { mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1), limits: { streamLifeMs: 50 } } });
    await app.listen(0, '127.0.0.1');
    expect(await (await listen('acme/viewer/ann')).text()).toContain('"resultType":"complete"');
  });
});

describe('absurd limits stop the start and name the variable', () => {
  it.each([
    ['RATE_LIMIT_REQUESTS_PER_MINUTE', '0'], ['RATE_LIMIT_REQUESTS_PER_MINUTE', '-5'], ['RATE_LIMIT_BURST', '-1'], ['RATE_LIMIT_TENANT_PER_DAY', '99999999999999999999'],
    ['RATE_LIMIT_TOOL', '10/60'], ['RATE_LIMIT_IP', '1e3'], ['RATE_LIMIT_ROLES', 'viewer=0/1'], ['RATE_LIMIT_ROLES', 'viewer=1/1,viewer=2/2'], ['MAX_CONCURRENT_CALLS', 'NaN'], ['SSE_MAX_PER_IP', '1.5'],
    ['TRUSTED_PROXIES', '0.0.0.0/0'], ['TRUSTED_PROXIES', 'proxy.internal'], ['REDIS_URL', 'http://redis'], ['REPLICAS', '0'], ['SSE_IDLE_SECONDS', '0'],
  ])('%s=%s', async (name, value) => {
    app = await createGateway(fakeGateway().parts);
    expect(() => configured({ [name]: value })).toThrow(new RegExp(`^The configuration is wrong:\\n {2}${name}: \\S`));
  });
});
