import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { CredentialVerifier, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { composeVerifiers } from './compose-verifiers.js';
import { type DoorOptions, installDoor, publicRoutes } from './door.js';
import { anonymousAnswers, enumerateRoutes, type RegisteredRoute } from './enumerate-routes.contract.js';
import { FakeIssuer, ISSUER } from './fake-issuer.contract.js';
import { registerWellKnown, wellKnownRoutes } from './well-known.js';

const RESOURCE = 'https://gw.example/mcp';
const CHALLENGE = 'Bearer resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp"';
const principal: Principal = { tenant: undefined, issuer: ISSUER, subject: 'user-1', clientId: 'agent', roles: new Set(), scopes: new Set(), expiresAt: 4e9 };
const verifier: TokenVerifier = {
  verify: (token) => {
    switch (token) {
      case 'now': return principal;
      case 'later': return Promise.resolve(principal);
      case KEY: return { ...principal, subject: 'key' };
      case 'outsider': return new Denial({ code: 'FORBIDDEN', message: 'Access denied: a required group is missing', reason: 'private' });
      case 'old': return Promise.resolve(new Denial({ code: 'UNAUTHENTICATED', message: 'Token has expired', reason: 'private' }));
      case 'down': return Promise.reject(new Unavailable('token issuer', { cause: new Error('private') }));
      case 'broken': return Promise.reject(new Error('private'));
      default: return new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token', reason: 'private' });
    }
  },
};
/** Knows `robot:secret`. */
const withBasic: TokenVerifier = { ...verifier, verifyBasic: (credential) => (credential === 'cm9ib3Q6c2VjcmV0' ? { ...principal, subject: 'robot' } : new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid client credentials' })) };
const KEY = `stoa_sk_${'k'.repeat(43)}`;
const config = { resource: RESOURCE, authorizationServers: [ISSUER] };
const PUBLIC = ['GET /health', 'GET /icons/:name', ...wellKnownRoutes(config)];

const reasons: string[] = [];
let app: FastifyInstance, routes: readonly RegisteredRoute[], issuer: FakeIssuer, port: number, handled = 0;
beforeAll(async () => {
  app = fastify({ routerOptions: { ignoreTrailingSlash: false } });
  routes = enumerateRoutes(app);
  installDoor(app, { verifier, isPublic: publicRoutes(PUBLIC), resourceMetadataUrl: 'https://gw.example/.well-known/oauth-protected-resource/mcp', refused: (requestId, reason) => reasons.push(`${typeof requestId} ${reason}`) });
  issuer = new FakeIssuer([]);
  registerWellKnown(app, { ...config, outbound: issuer.outbound });
  app.get('/health', () => ({ status: 'ok' }));
  app.get('/icons/:name', () => ({}));
  app.post('/health', () => { handled += 1; return {}; });
  app.route({ method: ['GET', 'POST', 'DELETE'], url: '/mcp', handler: (request) => { handled += 1; return { subject: request.principal.subject }; } });
  await app.register(async (scope) => { scope.get('/:tenant/tools/:name', (request) => ({ subject: request.principal.subject })); }, { prefix: '/admin/v1/tenants' });
  await app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = app.server.address() as AddressInfo);
});
afterAll(() => app.close());

interface Answer { readonly status: number; readonly challenge: string | undefined; readonly body: unknown; readonly retryAfter: string | undefined }
/** By node's own client, so that repeated headers go out as they are. */
const call = (headers: readonly string[], path = '/mcp', method = 'GET'): Promise<Answer> => new Promise((resolve, reject) => {
  const request = httpRequest({ host: '127.0.0.1', port, path, method, headers: ['host', 'gw.example', 'connection', 'close', ...headers], agent: false }, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const text = Buffer.concat(chunks).toString();
      resolve({ status: response.statusCode ?? 0, challenge: response.headers['www-authenticate'], body: text === '' ? undefined : JSON.parse(text), retryAfter: response.headers['retry-after'] });
    });
  });
  request.on('error', reject).end();
});
const bearer = (token: string, scheme = 'Bearer'): readonly string[] => ['authorization', `${scheme} ${token}`];
const described = (error: string, description: string): string => `${CHALLENGE}, error="${error}", error_description="${description}"`;

describe('the door', () => {
  it.each([
    { name: 'a proved token, answered at once', headers: bearer('now') },
    { name: 'a proved token, answered later', headers: bearer('later') },
    { name: '25 the scheme in lower case', headers: bearer('now', 'bearer') },
    { name: '25 the scheme in upper case', headers: bearer('now', 'BEARER') },
    { name: 'more than one space', headers: bearer('  now') },
  ])('lets in $name', async ({ headers }) => { expect(await call(headers)).toMatchObject({ status: 200, body: { subject: 'user-1' } }); });

  it.each([
    { name: 'no credential', headers: [], detail: 'Not authenticated', challenge: CHALLENGE },
    { name: '25 Basic', headers: bearer('YTpi', 'Basic'), detail: 'Not authenticated', challenge: CHALLENGE },
    { name: 'an empty credential', headers: bearer(''), detail: 'Not authenticated', challenge: CHALLENGE },
    { name: 'the scheme alone', headers: ['authorization', 'Bearer'], detail: 'Not authenticated', challenge: CHALLENGE },
    { name: 'an expired token', headers: bearer('old'), detail: 'Token has expired', challenge: described('invalid_token', 'Token has expired') },
    { name: 'a bad token', headers: bearer('bad'), detail: 'Invalid token', challenge: described('invalid_token', 'Invalid token') },
    { name: '24 two headers, the first good', headers: [...bearer('now'), ...bearer('bad')], detail: 'Send exactly one Authorization header', challenge: described('invalid_request', 'Send exactly one Authorization header') },
    { name: '24 two headers in different case', headers: [...bearer('now'), 'AUTHORIZATION', 'Basic YTpi'], detail: 'Send exactly one Authorization header', challenge: described('invalid_request', 'Send exactly one Authorization header') },
    { name: '24 two joined by a comma', headers: bearer('now, Bearer now'), detail: 'Invalid token', challenge: described('invalid_token', 'Invalid token') },
  ])('answers 401 with the challenge to $name', async ({ headers, detail, challenge }) => {
    const before = handled;
    expect(await call(headers)).toEqual({ status: 401, challenge, body: { detail }, retryAfter: undefined });
    expect(handled).toBe(before);
  });
  it('23 never takes a token from the query string, not even beside a good one', async () => {
    const challenge = described('invalid_request', 'Send the token in the Authorization header, never in the query string');
    for (const path of ['/mcp?access_token=now', '/mcp?a=b&access_token=now', '/mcp?%61ccess_token=now']) {
      // oxlint-disable-next-line no-await-in-loop -- a handful
      for (const headers of [[], bearer('now')]) expect(await call(headers, path)).toMatchObject({ status: 401, challenge });
    }
    expect(await call(bearer('now'), '/mcp?filter=access_token')).toMatchObject({ status: 200 });
  });
  it('answers 503 and nothing of the cause when nobody can be proved', async () => {
    expect(await call(bearer('down'))).toEqual({ status: 503, challenge: undefined, body: { detail: 'Authentication service unavailable' }, retryAfter: '1' });
  });
  it('tells the log why, and the caller only that', async () => {
    reasons.length = 0;
    const told = [await call(bearer('old')), await call(bearer('bad')), await call(bearer('down')), await call(bearer('broken'))];
    expect(reasons).toEqual(['string private', 'string private', 'string token issuer is unavailable: private', 'string private']);
    expect(JSON.stringify(told.slice(0, 3))).not.toContain('private');
  });
  it('does not let in on a failure of its own', async () => {
    const before = handled;
    expect(await call(bearer('broken'))).toMatchObject({ status: 500 });
    expect(handled).toBe(before);
  });
});

const door = async (more: Partial<DoorOptions>, headers: Readonly<Record<string, string>>) => {
  const other = fastify();
  installDoor(other, { verifier: withBasic, isPublic: () => false, resourceMetadataUrl: 'https://gw.example/.well-known/oauth-protected-resource/mcp', ...more });
  other.get('/who', (request) => request.principal.subject);
  const answer = await other.inject({ url: '/who', headers });
  return [answer.statusCode, answer.statusCode === 200 ? answer.body : answer.json<{ detail: string }>().detail];
};

describe('other ways in', () => {
  const debugged: Partial<DoorOptions> = { debugUser: (header) => ({ ...principal, subject: header }) };
  const EITHER = 'Send either an Authorization header or X-API-Key';
  it.each<{ readonly name: string; readonly more?: Partial<DoorOptions>; readonly headers: Readonly<Record<string, string>>; readonly is: readonly [number, string] }>([
    { name: 'Basic, where it is taken', headers: { authorization: 'bAsIc cm9ib3Q6c2VjcmV0' }, is: [200, 'robot'] },
    { name: 'Basic with a wrong secret', headers: { authorization: 'Basic cm9ib3Q6d3Jvbmc=' }, is: [401, 'Invalid client credentials'] },
    { name: 'Basic, where it is not taken', more: { verifier }, headers: { authorization: 'Basic cm9ib3Q6c2VjcmV0' }, is: [401, 'Not authenticated'] },
    { name: 'Basic without a credential', headers: { authorization: 'Basic ' }, is: [401, 'Not authenticated'] },
    { name: 'Digest', headers: { authorization: 'Digest username="x"' }, is: [401, 'Not authenticated'] },
    { name: 'X-API-Key', headers: { 'x-api-key': KEY }, is: [200, 'key'] },
    { name: 'X-API-Key with a token', headers: { 'x-api-key': 'now' }, is: [401, 'Invalid API key'] },
    { name: 'two keys in one', headers: { 'x-api-key': `${KEY}, ${KEY}` }, is: [401, 'Invalid API key'] },
    { name: 'an empty X-API-Key', headers: { 'x-api-key': '' }, is: [401, 'Not authenticated'] },
    { name: 'X-API-Key beside a token', headers: { 'x-api-key': KEY, authorization: 'Bearer now' }, is: [401, EITHER] },
    { name: 'a debug user, where there are any', more: debugged, headers: { 'x-debug-user': 'ada' }, is: [200, 'ada'] },
    { name: 'a debug user, where there are none', headers: { 'x-debug-user': 'ada' }, is: [401, 'Not authenticated'] },
    { name: 'a debug user beside a wrong token', more: debugged, headers: { 'x-debug-user': 'ada', authorization: 'Bearer bad' }, is: [401, 'Invalid token'] },
    { name: 'a debug user beside a wrong key', more: debugged, headers: { 'x-debug-user': 'ada', 'x-api-key': 'bad' }, is: [401, 'Invalid API key'] },
  ])('$name: $is', async ({ more = {}, headers, is }) => { expect(await door(more, headers)).toEqual(is); });
  it('answer 403 with the challenge to somebody who is proved and may not come in', async () => {
    expect(await call(bearer('outsider'))).toMatchObject({ status: 403, challenge: described('insufficient_scope', 'Access denied: a required group is missing') });
  });
  it('ask the verifier of a credential\'s form alone, whatever it answers', async () => {
    const asked: string[] = [];
    const kind = (name: string, form: string, answer: Principal | Denial): CredentialVerifier => ({ takes: (token) => token.startsWith(form), verify: () => { asked.push(name); return answer; } });
    const bad = new Denial({ code: 'UNAUTHENTICATED', message: 'no' });
    const composed = composeVerifiers({ verify: () => { asked.push('jwt'); return principal; } }, [kind('a', 'a_', bad), kind('b', 'b_', principal), kind('never', 'a_', principal)]);
    expect(await Promise.all(['a_1', 'b_1', 'c_1'].map(async (token) => composed.verify(token)))).toEqual([bad, principal, principal]);
    expect(asked).toEqual(['a', 'b', 'jwt']);
    expect(composed).not.toHaveProperty('verifyBasic');
  });
});

describe('what needs no token', () => {
  it('is the listed route only, whatever token comes along, and HEAD of it', async () => {
    for (const headers of [[], bearer('bad'), bearer('down')]) expect(await call(headers, '/health', 'GET')).toMatchObject({ status: 200 }); // oxlint-disable-line no-await-in-loop -- a handful
    expect(await call([], '/health', 'HEAD')).toMatchObject({ status: 200 });
    expect(await call([], '/health', 'POST')).toMatchObject({ status: 401 });
  });
  it('is not a path without a route: it is refused with the same bytes as one that exists', async () => {
    expect(await call([], '/no/such/thing')).toEqual(await call([]));
    expect(await call(bearer('now'), '/no/such/thing')).toMatchObject({ status: 404 });
  });
  it('is a probe for a discovery document that is not there, which is a plain 404', async () => {
    expect(await call([], '/.well-known/openid-configuration/mcp', 'GET')).toMatchObject({ status: 404, challenge: undefined });
  });
  it('is nothing else in any spelling and by any method (SEC-16)', async () => {
    const golden = PUBLIC.flatMap((route) => [route, route.replace('GET', 'HEAD')]);
    expect(await anonymousAnswers(`http://127.0.0.1:${port}`, routes)).toEqual(golden.toSorted());
    expect(routes.length).toBeGreaterThan(8);
  });
});

const get = async (path: string): Promise<{ readonly status: number; readonly body: unknown }> => {
  const answer = await app.inject({ url: path });
  return { status: answer.statusCode, body: answer.json<unknown>() };
};

describe('discovery documents', () => {
  it('describe the resource at the root and at the path-inserted place, byte-equal to the configured URL', async () => {
    const document = {
      resource: RESOURCE, authorization_servers: [ISSUER], bearer_methods_supported: ['header'], resource_name: 'Stoa',
      scopes_supported: ['stoa:read', 'stoa:write', 'stoa:admin', 'stoa:catalog:read', 'stoa:catalog:write', 'stoa:subscription:read', 'stoa:subscription:write', 'stoa:observability:read', 'stoa:observability:write', 'stoa:tools:read', 'stoa:tools:execute', 'stoa:admin:read', 'stoa:admin:write', 'stoa:security:read', 'stoa:security:write'],
    };
    expect(await get('/.well-known/oauth-protected-resource')).toEqual({ status: 200, body: document });
    expect(await get('/.well-known/oauth-protected-resource/mcp')).toEqual({ status: 200, body: document });
  });
  it('pass the issuer\'s metadata on as it came, and keep serving it while the issuer is away', async () => {
    const metadata = { issuer: ISSUER, jwks_uri: `${ISSUER}/certs` };
    expect(await get('/.well-known/oauth-authorization-server')).toEqual({ status: 200, body: metadata });
    issuer.up = false;
    expect(await get('/.well-known/openid-configuration')).toEqual({ status: 200, body: metadata });
  });
  it('are not held up by an issuer that does not answer any more', async () => {
    let now = 0, hangs = false;
    const { outbound } = new FakeIssuer([]);
    const patient = fastify();
    registerWellKnown(patient, { ...config, clock: () => now, outbound: { request: (request) => (hangs ? Promise.withResolvers<never>().promise : outbound.request(request)) } });
    expect((await patient.inject('/.well-known/openid-configuration')).statusCode).toBe(200);
    hangs = true; now = 300_000;
    expect((await patient.inject('/.well-known/openid-configuration')).statusCode).toBe(200);
  });
  it('are 503 where the issuer never answered, or answered as another', async () => {
    const lonely = fastify();
    registerWellKnown(lonely, { ...config, authorizationServers: ['https://other.example'], issuerMetadataUrl: `${ISSUER}/.well-known/openid-configuration`, outbound: new FakeIssuer([]).outbound });
    expect((await lonely.inject('/.well-known/oauth-authorization-server')).statusCode).toBe(503);
  });
});
