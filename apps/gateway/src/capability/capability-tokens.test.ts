import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { type Capabilities } from '#libs/capability/capabilities.js';
import { CAPABILITIES, CapabilityModule } from '#libs/capability/capability.module.js';
import { requestHash } from '#libs/capability/canonical-request.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import { ADMIN_AUDIT, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import type { AdminAudit, AdminChange, TokenVerifier } from '#libs/core/ports.js';
import { CALLERS, fakeGateway, type FakeGateway, fakeTarget } from '../../../../test/fake-gateway.js';
import { createGateway } from '../create-gateway.js';
import { PUBLIC_ROUTES } from '../public-routes.js';
import { CapabilityRoutesModule } from './capability-routes.module.js';

const RESOURCE = 'https://gw.test/mcp';
let app: NestFastifyApplication;
let fake: FakeGateway;
const audited: AdminChange[] = [];
let recordable = true;
const audit: AdminAudit = { record: async (change) => { if (!recordable) throw new Unavailable('audit'); audited.push(change); } };

beforeEach(async () => {
  audited.length = 0;
  recordable = true;
  // The door stands before the modules are asked: whom it asks is known once the application is made.
  let capabilities: Capabilities | undefined;
  const verifier: TokenVerifier = { verify: (token) => (capabilities?.takes(token) === true ? capabilities.verify(token) : CALLERS[token] ?? new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' })) };
  fake = fakeGateway({
    authenticate: (server: FastifyInstance) => { installDoor(server, { verifier, isPublic: publicRoutes(PUBLIC_ROUTES), resourceMetadataUrl: 'https://gw.test/.well-known/oauth-protected-resource/mcp' }); },
    mcp: { allowedOrigins: [], allowedHosts: undefined, cursorKey: Buffer.alloc(32), limits: {} },
  });
  fake.catalogue.put('acme', ['get_pet', 'list_pets', 'delete_pet'].map((name) => fakeTarget('acme', 'tool', name)).concat(fakeTarget('acme', 'prompt', 'greet'), fakeTarget('acme', 'resource', 'acme://x')));
  app = await createGateway(fake.parts, verifierModule(verifier), CapabilityModule.with({ issuer: 'https://gw.test/v1/token', audience: RESOURCE, secrets: [] }), CapabilityRoutesModule.with({ audience: RESOURCE }));
  capabilities = app.get<Capabilities>(CAPABILITIES, { strict: false });
});
afterEach(() => app.close());
@Module({})
class VerifierModule {}
const verifierModule = (verifier: TokenVerifier) => ({ module: VerifierModule, global: true, providers: [{ provide: TOKEN_VERIFIER, useValue: verifier }, { provide: ADMIN_AUDIT, useValue: audit }], exports: [TOKEN_VERIFIER, ADMIN_AUDIT] });

const post = (url: string, token: string, payload: object | string, type = 'application/json') =>
  app.inject({ method: 'POST', url, headers: { authorization: `Bearer ${token}`, 'content-type': type }, payload: typeof payload === 'string' ? payload : JSON.stringify(payload) });
const exchange = (body: object | string, token = 'acme-viewer', type?: string) => post('/v1/token/exchange', token, body, type);
async function capability(body: object, token?: string): Promise<string> {
  const answer = await exchange(body, token);
  expect([answer.statusCode, answer.body]).toEqual([200, expect.any(String)]);
  return answer.json<{ access_token: string }>().access_token;
}
const invoke = (token: string, tool: string, args: object = {}) => post(`/mcp/v1/tools/${tool}/invoke`, token, { arguments: args });
const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
const mcp = (token: string, method: string, params: Record<string, unknown>) => app.inject({
  method: 'POST', url: '/mcp',
  headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}) },
  payload: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } }),
});

const form = (more: Record<string, string>) => new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'acme-viewer', subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', ...more }).toString();
const names = (body: unknown): string[] => (body as { tools: { name: string }[] }).tools.map(({ name }) => name);

describe('the audit trail', () => {
  it('has each issuance and each revocation with who asked, and never a token', async () => {
    const token = await capability({ tools: ['get_pet'], one_time: true });
    await post('/v1/token/revoke', token, { token });
    expect(audited).toMatchObject([
      { action: 'POST /v1/token/exchange', tenant: 'acme', effect: 'allow', object: { jti: expect.any(String), tools: 'get_pet' }, principal: { subject: 'ada' } },
      { action: 'POST /v1/token/revoke', tenant: 'acme', object: { token: 'given' }, principal: { subject: 'ada' } },
    ]);
    expect(JSON.stringify(audited)).not.toContain(token.slice(-20));
  });
  it('is written before a token is handed out: where it cannot be, nobody gets one and nothing is revoked', async () => {
    const token = await capability({ tools: ['get_pet'] });
    recordable = false;
    const refused = await exchange({ tools: ['get_pet'] });
    expect([refused.statusCode, refused.body.includes('access_token')]).toEqual([503, false]);
    expect((await post('/v1/token/revoke', 'acme-viewer', { token })).statusCode).toBe(503);
    expect((await invoke(token, 'get_pet')).statusCode).toBe(200);
  });
});

describe('POST /v1/token/exchange', () => {
  it('answers as RFC 8693 §2.2.1 says, never to be stored', async () => {
    const answer = await exchange({ tools: ['get_pet'], ttl_seconds: 60, one_time: true });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.json()).toEqual({
      access_token: expect.any(String), issued_token_type: 'urn:ietf:params:oauth:token-type:jwt', token_type: 'Bearer', expires_in: 60, scope: 'tools:get_pet:call', tools: ['get_pet'], jti: expect.any(String), one_time: true,
    });
  });
  it('takes the form of RFC 8693 §2.1 as well, whose subject token is the bearer', async () => {
    const taken = await exchange(form({ scope: 'tools:get_pet:call tools:list_pets:op:mine', resource: RESOURCE, ttl_seconds: '90', unknown: 'x' }), undefined, 'application/x-www-form-urlencoded');
    expect(taken.json()).toMatchObject({ expires_in: 90, tools: ['get_pet', 'list_pets'], scope: 'tools:get_pet:call tools:list_pets:op:mine' });
    const other = await exchange(form({ tools: 'get_pet', subject_token: 'globex-viewer' }), undefined, 'application/x-www-form-urlencoded');
    expect([other.statusCode, other.json()]).toEqual([400, { error: 'invalid_request', error_description: 'subject_token is the bearer token of this request.' }]);
  });
  it.each<{ name: string; body: object | string; type?: string; error: string; says: string; status?: number }>([
    { name: 'no tools', body: {}, error: 'invalid_request', says: 'tools names each tool' },
    { name: 'an unknown member', body: { tools: ['get_pet'], admin: true }, error: 'invalid_request', says: 'admin' },
    { name: 'a lifetime of an hour', body: { tools: ['get_pet'], ttl_seconds: 3600 }, error: 'invalid_request', says: 'ttl_seconds' },
    { name: 'a lifetime as text', body: { tools: ['get_pet'], ttl_seconds: '60' }, error: 'invalid_request', says: 'ttl_seconds' },
    { name: 'another resource', body: { tools: ['get_pet'], resource: 'https://elsewhere.test' }, error: 'invalid_target', says: RESOURCE },
    { name: 'a scope that the caller lacks', body: { tools: ['get_pet'], scope: 'stoa:admin' }, error: 'invalid_scope', says: 'stoa:admin' },
    { name: 'a hash that is none', body: { tools: ['get_pet'], request_hash: 'abc' }, error: 'invalid_request', says: 'request_hash' },
    { name: 'a hash of another request', body: { tools: ['get_pet'], request_hash: requestHash('get_pet', { id: '8' }), request: { arguments: { id: '7' } } }, error: 'invalid_request', says: 'not that of request' },
    { name: 'an actor that is nobody', body: { tools: ['get_pet'], actor_token: 'nonsense' }, error: 'invalid_request', says: 'actor_token' },
    { name: 'an actor of another tenant', body: { tools: ['get_pet'], actor_token: 'globex-viewer' }, error: 'invalid_grant', says: 'tenant' },
    { name: 'a list as the body', body: '[]', error: 'invalid_request', says: 'body' },
    { name: 'a body that is not JSON', body: '{', error: 'invalid_request', says: 'JSON' },
    { name: 'a member twice', body: '{"tools":["get_pet"],"tools":["delete_pet"]}', error: 'invalid_request', says: 'tools' },
    { name: 'a form parameter twice', body: 'tools=get_pet&tools=delete_pet', type: 'application/x-www-form-urlencoded', error: 'invalid_request', says: 'more than once' },
    { name: 'another media type', body: 'x', type: 'text/plain', error: 'invalid_request', says: 'application/json', status: 415 },
    { name: 'more than 64 KiB', body: { tools: ['x'.repeat(70_000)] }, error: 'invalid_request', says: 'larger', status: 413 },
  ])('$name is refused', async ({ body, type, error, says, status = 400 }) => {
    const answer = await exchange(body, undefined, type);
    expect([answer.statusCode, answer.json()]).toEqual([status, { error, error_description: expect.stringContaining(says) }]);
  });
  it('needs a token', async () => {
    for (const url of ['exchange', 'introspect', 'revoke']) expect((await app.inject({ method: 'POST', url: `/v1/token/${url}`, payload: {} })).statusCode).toBe(401);
  });
});

describe('a capability token at the doors', () => {
  it('calls exactly the tool that was asked for; any other is 403, whether it exists or not', async () => {
    const token = await capability({ tools: ['get_pet'] });
    expect((await invoke(token, 'get_pet')).statusCode).toBe(200);
    const other = await invoke(token, 'delete_pet');
    expect(other.statusCode).toBe(403);
    expect((await invoke(token, 'no_such_tool')).body).toBe(other.body.replace('delete_pet', 'no_such_tool'));
    expect((await mcp(token, 'tools/call', { name: 'get_pet', arguments: {} })).json()).toMatchObject({ result: { resultType: 'complete' } });
    expect((await mcp(token, 'tools/call', { name: 'delete_pet', arguments: {} })).json()).toMatchObject({ result: { isError: true, _meta: { 'dev.gostoa/error': { code: 'FORBIDDEN' } } } });
    expect(fake.calls.map(({ name }) => name)).toEqual(['get_pet', 'get_pet']);
  });
  it('is shown what it may call and nothing else, in lists, details, counts, prompts and resources', async () => {
    const token = await capability({ tools: ['get_pet', 'absent'] });
    const get = (url: string) => app.inject({ url, headers: { authorization: `Bearer ${token}` } });
    expect(names((await get('/mcp/v1/tools')).json())).toEqual(['get_pet']);
    expect((await get('/mcp/v1/tools')).json()).toMatchObject({ total_count: 1 });
    expect(names((await mcp(token, 'tools/list', {})).json<{ result: unknown }>().result)).toEqual(['get_pet']);
    expect((await get('/mcp/v1/tools/delete_pet')).statusCode).toBe(404);
    expect((await get('/mcp/v1/prompts')).json()).toMatchObject({ prompts: [], total_count: 0 });
    expect((await get('/mcp/v1/resources')).json()).toMatchObject({ resources: [] });
    // Its subject sees the same lists as before.
    expect(names((await app.inject({ url: '/mcp/v1/tools', headers: { authorization: 'Bearer acme-viewer' } })).json())).toEqual(expect.arrayContaining(['get_pet', 'list_pets', 'delete_pet']));
  });
  it('for one use: the second is 401 and counted, at either door', async () => {
    const token = await capability({ tools: ['get_pet'], one_time: true });
    expect((await invoke(token, 'get_pet')).statusCode).toBe(200);
    expect((await invoke(token, 'get_pet')).statusCode).toBe(401);
    expect((await mcp(token, 'tools/call', { name: 'get_pet', arguments: {} })).statusCode).toBe(401);
    expect(await fake.parts.metrics?.render()).toMatch(/^stoa_mcp_gateway_replay_reject_total(\{\})? 2$/m);
    expect(fake.calls).toHaveLength(1);
  });
  it('for one use: ten calls at once reach the backend once', async () => {
    const token = await capability({ tools: ['get_pet'], one_time: true });
    const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await invoke(token, 'get_pet')).statusCode));
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array<number>(9).fill(401)]);
    expect(fake.calls).toHaveLength(1);
  });
  it('bound to a request is 401 with another body, at either door, and nothing is called', async () => {
    const token = await capability({ tool: 'get_pet', request: { arguments: { id: '7' } } });
    expect((await invoke(token, 'get_pet', { id: '8' })).statusCode).toBe(401);
    expect((await mcp(token, 'tools/call', { name: 'get_pet', arguments: { id: '8' } })).statusCode).toBe(401);
    expect(fake.calls).toHaveLength(0);
    expect((await invoke(token, 'get_pet', { id: '7' })).statusCode).toBe(200);
  });
  it('revoked is 401 at once; introspection is for administrators and says what was revoked no longer', async () => {
    const token = await capability({ tools: ['get_pet'] });
    expect((await post('/v1/token/introspect', 'acme-viewer', { token })).statusCode).toBe(403);
    expect((await post('/v1/token/introspect', 'admin', { token })).json()).toMatchObject({ active: true, tools: ['get_pet'], sub: 'ada' });
    expect((await post('/v1/token/introspect', 'admin', new URLSearchParams({ token }).toString(), 'application/x-www-form-urlencoded')).json()).toMatchObject({ active: true });
    expect([(await post('/v1/token/revoke', 'globex-viewer', { token })).body, (await invoke(token, 'get_pet')).statusCode]).toEqual(['{}', 200]);
    expect((await post('/v1/token/revoke', 'acme-viewer', { token })).body).toBe('{}');
    expect((await invoke(token, 'get_pet')).statusCode).toBe(401);
    expect((await post('/v1/token/introspect', 'admin', { token })).json()).toEqual({ active: false });
  });
  it('cannot introspect, is no platform administrator, and is in no log line', async () => {
    const token = await capability({ tools: ['stoa_tenants', 'get_pet'] }, 'admin');
    expect((await post('/v1/token/introspect', token, { token })).statusCode).toBe(403);
    expect((await app.inject({ url: '/admin/status', headers: { authorization: `Bearer ${token}` } })).statusCode).toBe(403);
    expect((await app.inject({ url: '/mcp/v1/tools?tenant_id=globex', headers: { authorization: `Bearer ${token}` } })).statusCode).toBe(403);
    expect(fake.rawLogs()).not.toContain(token);
    expect(fake.rawLogs()).toContain('capability token issued');
  });
});
