import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { auth, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { createTokenVerifier, type ReadyTokenVerifier } from '#libs/auth/token-verifier.js';
import { registerWellKnown, resourceMetadataUrl, wellKnownRoutes } from '#libs/auth/well-known.js';
import { Denial } from '#libs/core/errors.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Principal } from '#libs/core/principal.js';
import { ISSUER_PUBLIC_ROUTES } from './mount.js';
import { CLI_CLIENT_ID, createLocalIssuer, type LocalIssuer, MCP_CLIENT_ID } from './issuer.js';

/** Loopback only, for tests: the product gives the verifier its egress client. */
const outbound: Pick<Outbound, 'request'> = {
  async request({ url, method, headers }) {
    const answer = await fetch(url, { method, headers: headers.map(([name, value]): [string, string] => [name, value]), redirect: 'manual' });
    return { status: answer.status, headers: Object.fromEntries(answer.headers), body: new Uint8Array(await answer.arrayBuffer()) };
  },
};
const USERS = [
  { id: 'alice', name: 'Alice', tenant: 'acme', role: 'tenant-admin' },
  { id: 'bob', name: 'Bob', tenant: 'globex', role: 'viewer' },
];
const options = (port: number, storage: string) => ({
  issuerUrl: `http://127.0.0.1:${port}/oidc`, resource: `http://127.0.0.1:${port}/mcp`, storage,
  tenantExists: async (tenant: string) => tenant === 'acme' || tenant === 'globex', users: async () => USERS,
});

let folder: string, app: FastifyInstance, issuer: LocalIssuer, base: string, port: number, verifier: ReadyTokenVerifier;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stoa-issuer-'));
  port = await freePort();
  base = `http://127.0.0.1:${port}`;
  issuer = await createLocalIssuer(options(port, folder));
  app = fastify();
  verifier = createTokenVerifier({ issuers: [{ issuer: issuer.issuerUrl, audiences: [`${base}/mcp`], keys: { from: 'discovery' } }], outbound });
  const published = { resource: `${base}/mcp`, authorizationServers: [issuer.issuerUrl] };
  installDoor(app, { verifier, isPublic: publicRoutes([...ISSUER_PUBLIC_ROUTES, ...wellKnownRoutes(published)]), resourceMetadataUrl: resourceMetadataUrl(published.resource) });
  registerWellKnown(app, { ...published, outbound });
  app.get('/mcp', (request) => ({ subject: request.principal.subject, tenant: request.principal.tenant }));
  issuer.mount(app);
  await app.listen({ host: '127.0.0.1', port });
});
afterAll(async () => { await app.close(); await rm(folder, { recursive: true }); });

const post = (path: string, body: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${base}${path}`, { method: 'POST', body: new URLSearchParams(body), headers, redirect: 'manual' });
const basic = (): Record<string, string> => ({ authorization: `Basic ${Buffer.from(`${CLI_CLIENT_ID}:${issuer.clientSecret}`).toString('base64')}` });
const credentials = (body: Record<string, string>): Promise<Response> => post('/oidc/token', { grant_type: 'client_credentials', ...body }, basic());
async function principal(token: string): Promise<Principal> {
  const answer = await verifier.verify(token);
  if (answer instanceof Denial) throw new Error(`${answer.message}: ${answer.reason}`);
  return answer;
}
const accessToken = async (answer: Response): Promise<string> => (await answer.json() as { access_token: string }).access_token;

describe('client credentials', () => {
  it('gives a token that the verifier proves by discovery, with tenant, role and its scopes', async () => {
    const answer = await credentials({ tenant: 'acme', role: 'tenant-admin', resource: `${base}/mcp` });
    expect(answer.status).toBe(200);
    const token = await accessToken(answer);
    expect(await principal(token)).toMatchObject({ tenant: 'acme', issuer: `${base}/oidc`, subject: 'stoa-cli', clientId: 'stoa-cli', roles: new Set(['tenant-admin']) });
    const [header, payload] = token.split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
    expect(header).toMatchObject({ alg: 'RS256', typ: 'at+jwt' });
    expect(payload).toMatchObject({ aud: `${base}/mcp`, azp: 'stoa-cli', tenant_id: 'acme', realm_access: { roles: ['tenant-admin'] } });
    expect(String(payload?.['scope']).split(' ')).toEqual(expect.arrayContaining(['stoa:read', 'stoa:write', 'stoa:tools:execute']));
    expect(payload?.['scope']).not.toContain('stoa:admin');
  });
  it('needs neither a tenant nor a resource parameter', async () => {
    expect(await principal(await accessToken(await credentials({ role: 'cpi-admin' })))).toMatchObject({ tenant: undefined, roles: new Set(['cpi-admin']) });
  });
  it('never gives a scope that the role does not have, however it is asked for', async () => {
    const proved = await principal(await accessToken(await credentials({ tenant: 'acme', role: 'viewer', scope: 'stoa:admin stoa:read' })));
    expect(proved.scopes.has('stoa:read')).toBe(true);
    expect(proved.scopes.has('stoa:admin')).toBe(false);
    expect(proved.scopes.has('stoa:tools:execute')).toBe(false);
  });
  it.each([
    { name: 'an unknown role', body: { tenant: 'acme', role: 'root' }, says: /role must be one of cpi-admin, tenant-admin/ },
    { name: 'no role', body: { tenant: 'acme' }, says: /role must be one of/ },
    { name: 'a tenant that does not exist', body: { tenant: 'nobody', role: 'viewer' }, says: /tenant names no tenant/ },
    { name: 'a tenant that cannot exist', body: { tenant: '../acme', role: 'viewer' }, says: /tenant names no tenant/ },
    { name: 'another resource', body: { tenant: 'acme', role: 'viewer', resource: 'http://127.0.0.1:1/mcp' }, says: /unknown resource/ },
  ])('refuses $name and says what is wrong', async ({ body, says }) => {
    const answer = await credentials(body as Record<string, string>);
    expect(answer.status).toBe(400);
    expect((await answer.json() as { error_description: string }).error_description).toMatch(says);
  });
  it('refuses a wrong secret', async () => {
    const answer = await post('/oidc/token', { grant_type: 'client_credentials', role: 'viewer' }, { authorization: `Basic ${Buffer.from(`${CLI_CLIENT_ID}:wrong`).toString('base64')}` });
    expect(answer.status).toBe(401);
  });
});

/** A client on this computer with a browser: follows the login page as a person would. Answers what its redirect address receives. */
async function login(client: { readonly id: string; readonly redirect: string }, user: string): Promise<{ readonly query: URLSearchParams; readonly verifier: string; readonly page: string }> {
  const secret = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    response_type: 'code', client_id: client.id, redirect_uri: client.redirect, state: 'xyz', resource: `${base}/mcp`, scope: 'stoa:read stoa:write',
    code_challenge: createHash('sha256').update(secret).digest('base64url'), code_challenge_method: 'S256',
  });
  return { ...await browse(`/oidc/auth?${query.toString()}`, client.redirect, user), verifier: secret };
}

async function browse(start: string, redirectUri: string, user: string): Promise<{ readonly query: URLSearchParams; readonly page: string }> {
  const jar = new Map<string, string>();
  const go = async (url: string, init: RequestInit = {}): Promise<Response> => {
    const answer = await fetch(new URL(url, base), { ...init, redirect: 'manual', headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') } });
    for (const cookie of answer.headers.getSetCookie()) { const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []; jar.set(name, value); }
    return answer;
  };
  const started = await go(start);
  const where = started.headers.get('location') ?? '';
  expect(started.status).toBe(303);
  const page = await (await go(where)).text();
  let answer = await go(where, { method: 'POST', body: new URLSearchParams({ user }) });
  for (let hops = 0; hops < 5 && !(answer.headers.get('location') ?? '').startsWith(redirectUri); hops += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one hop leads to the next
    answer = await go(answer.headers.get('location') ?? '');
  }
  return { query: new URL(answer.headers.get('location') ?? '').searchParams, page };
}

const redirect = 'http://127.0.0.1:45678/callback';
const ask = (more: Record<string, string>): Promise<Response> => {
  const query = new URLSearchParams({ response_type: 'code', client_id: MCP_CLIENT_ID, redirect_uri: redirect, scope: 'stoa:read', ...more });
  return fetch(`${base}/oidc/auth?${query.toString()}`, { redirect: 'manual' });
};
const register = (uris: readonly string[]): Promise<Response> => fetch(`${base}/oidc/reg`, {
  method: 'POST', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ client_name: '<b>Editor</b>', redirect_uris: uris, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' }),
});

describe('authorization code with PKCE', () => {
  it('logs a public client in on any loopback port, as whom the person chose, and refreshes', async () => {
    const { query, verifier: secret, page } = await login({ id: MCP_CLIENT_ID, redirect }, 'alice');
    expect(page).toContain('Alice');
    expect(page).toContain(redirect);
    expect(query.get('state')).toBe('xyz');
    const answer = await post('/oidc/token', { grant_type: 'authorization_code', client_id: MCP_CLIENT_ID, code: query.get('code') ?? '', code_verifier: secret, redirect_uri: redirect, resource: `${base}/mcp` });
    const tokens = await answer.json() as { access_token: string; refresh_token: string };
    expect(answer.status).toBe(200);
    expect(await principal(tokens.access_token)).toMatchObject({ tenant: 'acme', subject: 'alice', clientId: MCP_CLIENT_ID, roles: new Set(['tenant-admin']) });
    const again = await post('/oidc/token', { grant_type: 'refresh_token', client_id: MCP_CLIENT_ID, refresh_token: tokens.refresh_token });
    expect(await principal(await accessToken(again))).toMatchObject({ tenant: 'acme', subject: 'alice' });
  });
  it('tells the client when the person cancels', async () => {
    expect((await login({ id: MCP_CLIENT_ID, redirect }, '')).query.get('error')).toBe('access_denied');
  });
  it('shows the login page to a client that asks for consent, as the MCP SDK does for offline_access', async () => {
    const answer = await ask({ prompt: 'consent', scope: 'openid offline_access', code_challenge: 'a'.repeat(43), code_challenge_method: 'S256' });
    expect(answer.headers.get('location')).toContain('/oidc/interaction/');
  });
  it('refuses a request without PKCE, and a redirect address that is not registered', async () => {
    expect((await ask({})).headers.get('location')).toContain('error=invalid_request');
    const elsewhere = await ask({ redirect_uri: 'https://evil.example/callback', code_challenge: 'a'.repeat(43), code_challenge_method: 'S256' });
    expect(elsewhere.status).toBe(400);
    expect(elsewhere.headers.get('location')).toBeNull();
  });
  it('lets an MCP client register itself, keeps only its loopback addresses, and logs it in', async () => {
    const answer = await register(['http://127.0.0.1:33418/', 'https://editor.example/redirect']);
    const client = await answer.json() as { client_id: string; redirect_uris: string[] };
    expect(answer.status).toBe(201);
    expect(client.redirect_uris).toEqual(['http://127.0.0.1:33418/']);
    const { query, page } = await login({ id: client.client_id, redirect: 'http://127.0.0.1:33418/' }, 'bob');
    expect(query.get('code')).toBeTruthy();
    expect(page).toContain('&lt;b&gt;Editor');
    // Cursor's own address, to the letter: nothing else of its scheme.
    const cursor = 'cursor://anysphere.cursor-mcp/oauth/callback';
    expect((await (await register([cursor, 'cursor://evil/oauth/callback', 'http://127.0.0.1:33418/'])).json() as { redirect_uris: string[] }).redirect_uris).toEqual([cursor, 'http://127.0.0.1:33418/']);
    expect((await register(['cursor://anysphere.cursor-mcp/oauth/callback/x'])).status).toBe(400);
    const refused = await register(['https://evil.example/callback']);
    expect(refused.status).toBe(400);
    expect(await refused.json()).toEqual({ error: 'invalid_redirect_uri', error_description: expect.stringContaining('loopback') as string });
  });
});

/** What an editor keeps between the steps of its login. */
class Editor implements OAuthClientProvider {
  readonly redirectUrl = 'http://localhost:33999/oauth/callback';
  readonly clientMetadata = { client_name: 'Editor', redirect_uris: [this.redirectUrl], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' };
  private client: OAuthClientInformationMixed | undefined;
  private proof = '';
  sentTo: URL | undefined;
  kept: OAuthTokens | undefined;
  clientInformation(): OAuthClientInformationMixed | undefined { return this.client; }
  saveClientInformation(client: OAuthClientInformationMixed): void { this.client = client; }
  tokens(): OAuthTokens | undefined { return this.kept; }
  saveTokens(tokens: OAuthTokens): void { this.kept = tokens; }
  redirectToAuthorization(url: URL): void { this.sentTo = url; }
  saveCodeVerifier(proof: string): void { this.proof = proof; }
  codeVerifier(): string { return this.proof; }
}

it('logs the official MCP client in, from the challenge at /mcp alone: discovery, registration, PKCE, resource, refresh', async () => {
  const editor = new Editor();
  const refused = await fetch(`${base}/mcp`);
  expect(refused.status).toBe(401);
  const metadata = new URL(/resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '')?.[1] ?? '');
  expect(await auth(editor, { serverUrl: `${base}/mcp`, resourceMetadataUrl: metadata })).toBe('REDIRECT');
  const { query } = await browse(editor.sentTo?.href ?? '', editor.redirectUrl, 'bob');
  expect(await auth(editor, { serverUrl: `${base}/mcp`, resourceMetadataUrl: metadata, authorizationCode: query.get('code') ?? '' })).toBe('AUTHORIZED');
  const call = async (): Promise<unknown> => (await fetch(`${base}/mcp`, { headers: { authorization: `Bearer ${editor.kept?.access_token}` } })).json();
  expect(await call()).toEqual({ subject: 'bob', tenant: 'globex' });
  const first = editor.kept?.access_token;
  expect(await auth(editor, { serverUrl: `${base}/mcp`, resourceMetadataUrl: metadata })).toBe('AUTHORIZED');
  expect(editor.kept?.access_token).not.toBe(first);
  expect(await call()).toEqual({ subject: 'bob', tenant: 'globex' });
});

describe('the issuer on this computer', () => {
  it('refuses requests for a host name that is not its own, so that rebinding a name does not reach the login', async () => {
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1:1']) {
      // oxlint-disable-next-line no-await-in-loop -- a handful
      expect((await app.inject({ url: '/oidc/.well-known/openid-configuration', headers: { host } })).statusCode).toBe(403);
    }
  });
  it('takes the login form from its own page only', async () => {
    const answer = await app.inject({ method: 'POST', url: '/oidc/interaction/any', headers: { host: `127.0.0.1:${port}`, origin: 'https://evil.example', 'content-type': 'application/x-www-form-urlencoded' }, body: 'user=alice' });
    expect(answer.statusCode).toBe(403);
  });
  it('answers 400 for a login that has ended', async () => {
    const answer = await app.inject({ url: '/oidc/interaction/any', headers: { host: `127.0.0.1:${port}` } });
    expect(answer.statusCode).toBe(400);
  });
  it('serves its metadata at the issuer and with the well-known part in front of the path', async () => {
    for (const path of ['/oidc/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/oidc', '/.well-known/openid-configuration/oidc']) {
      // oxlint-disable-next-line no-await-in-loop -- a handful
      const metadata = await (await fetch(`${base}${path}`)).json() as Record<string, unknown>;
      expect(metadata).toMatchObject({ issuer: `${base}/oidc`, token_endpoint: `${base}/oidc/token`, authorization_endpoint: `${base}/oidc/auth`, registration_endpoint: `${base}/oidc/reg`, code_challenge_methods_supported: ['S256'] });
    }
  });
  it('keeps its keys and secret over a restart, readable by the owner only, so that tokens stay good', async () => {
    const token = await accessToken(await credentials({ tenant: 'acme', role: 'viewer' }));
    const again = await createLocalIssuer(options(port, folder));
    expect(again.clientSecret).toBe(issuer.clientSecret);
    const second = fastify();
    again.mount(second);
    await app.close();
    await second.listen({ host: '127.0.0.1', port });
    app = second;
    const cold = createTokenVerifier({ issuers: [{ issuer: issuer.issuerUrl, audiences: [`${base}/mcp`], keys: { from: 'discovery' } }], outbound });
    expect(await cold.verify(token)).toMatchObject({ tenant: 'acme' });
    expect(((await stat(join(folder, 'issuer.json'))).mode & 0o777).toString(8)).toBe('600');
    expect(await readFile(join(folder, 'clients.json'), 'utf8')).toContain('33418');
  });
  it('does not start on an address that others can reach', async () => {
    await expect(createLocalIssuer({ ...options(1, folder), issuerUrl: 'http://10.0.0.1:8080/oidc' })).rejects.toThrow(/loopback/);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return free;
}
