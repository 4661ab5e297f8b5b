import { createServer } from 'node:net';
import { Client, type OAuthClientProvider, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { decodeJwt } from 'jose';
import { allowInsecureRequests, authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, discovery, None, randomPKCECodeVerifier } from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLIENTS } from '#apps/cli/src/doctor-clients.js';
import { diagnose } from '#apps/cli/src/doctor.js';
import { tokenCommand } from '#apps/cli/src/token.js';
import { issuerSelfCheck } from '#libs/auth/self-check.js';
import { createTokenVerifier } from '#libs/auth/token-verifier.js';
import { createEgress } from '#libs/egress/egress.js';
import { bearer } from '../token-suite/doors.js';
import { grant, keycloakMint } from '../token-suite/keycloak-mint.js';
import { serveStoa, type Served } from '../token-suite/serve.js';
import { CASE_COUNT, reportLines, runSuite, startCanary } from '../token-suite/suite.js';
import { signIn } from './services/keycloak-browser.js';
import { CLIENT_SECRET, DEMO_PASSWORD, type KeycloakServer, startKeycloak } from './services/keycloak.js';

let keycloak: KeycloakServer, served: Served, resource: string;
const running: { keycloak?: KeycloakServer; served?: Served } = {};
let ahead = 0;
const now = (): number => Date.now() + ahead;

beforeAll(async () => {
  resource = `http://127.0.0.1:${await freePort()}/mcp`;
  keycloak = running.keycloak = await startKeycloak({ STOA_RESOURCE_URL: resource });
  served = running.served = await serveStoa({ resource, clock: now, issuers: [{ issuer: keycloak.issuer, audiences: [resource], keys: { from: 'discovery' } }] });
});
// Whatever of the two came up: a Keycloak that is left behind holds half a gigabyte.
afterAll(async () => { await Promise.all([running.keycloak?.dispose(), running.served?.close()]); });

const text = (answer: Readonly<Record<string, unknown>>): string => String(answer['access_token']);
const person = async (username: string, scope = ''): Promise<string> => text(await grant(keycloak.issuer, { grant_type: 'password', client_id: 'stoa-demo', username, password: DEMO_PASSWORD, ...(scope === '' ? {} : { scope }) }));
const machine = async (clientId = 'stoa-agent'): Promise<string> => text(await grant(keycloak.issuer, { grant_type: 'client_credentials', client_id: clientId, client_secret: CLIENT_SECRET }));
const [MODERN, LEGACY, REST, ADMIN] = [0, 1, 2, 3];
const door = (index = REST) => { const found = served.doors[index ?? 0]; if (!found) throw new Error('no such door'); return found; };

describe('tokens of the shipped realm', () => {
  it.each([
    ['vic', 'acme', 'viewer', ['list_pets']], ['dora', 'acme', 'devops', ['list_pets']], ['alice', 'acme', 'tenant-admin', ['list_pets']], ['gus', 'globex', 'viewer', ['forecast']],
  ])('of %s by password: tenant %s, role %s, and the tools of that tenant at every door', async (username, tenant, role, tools) => {
    const token = await person(username);
    expect(decodeJwt(token)).toMatchObject({ iss: keycloak.issuer, aud: resource, tenant_id: tenant, realm_access: { roles: expect.arrayContaining([role]) } });
    for (const index of [MODERN, LEGACY, REST]) expect((await door(index).names(bearer(token))).filter((name) => ['list_pets', 'forecast'].includes(name))).toEqual(tools);
    expect(await door(ADMIN).names(bearer(token))).toEqual([tenant]);
  });

  it('of a machine by client credentials call a tool', async () => {
    const answer = await door().reach(bearer(await machine()), 'list_pets');
    expect([answer.status, decodeJwt(await machine())]).toMatchObject([200, { aud: resource, azp: 'stoa-agent', tenant_id: 'acme', realm_access: { roles: ['stoa.agent'] } }]);
  });

  it('of the administrator of the platform are in no tenant', async () => {
    const token = await person('root');
    expect(decodeJwt(token)['tenant_id']).toBeUndefined();
    expect(await door(ADMIN).names(bearer(token))).toEqual(['acme', 'globex']);
  });

  it('hold no scope that the roles of their person do not give, whatever was asked', async () => {
    const scopes = String(decodeJwt(await person('vic', 'stoa:admin stoa:write stoa:tools:read stoa:tools:execute'))['scope']).split(' ');
    expect(scopes.filter((scope) => scope.startsWith('stoa:'))).toEqual(['stoa:tools:read']);
  });

  it('never take their tenant from what a person may change', async () => {
    const login = await grant(keycloak.issuer, { grant_type: 'password', client_id: 'admin-cli', username: 'gus', password: DEMO_PASSWORD, scope: 'openid' });
    const reply = await fetch(`${keycloak.issuer}/account/`, { method: 'POST', headers: { authorization: `Bearer ${text(login)}`, 'content-type': 'application/json', accept: 'application/json' }, body: JSON.stringify({ username: 'gus', email: 'gus@example.test', firstName: 'G', lastName: 'G', attributes: { tenant_id: ['acme'] } }) });
    expect(reply.ok).toBe(false);
    expect(decodeJwt(await person('gus'))['tenant_id']).toBe('globex');
  });
});

describe('a person with a browser', () => {
  const redirectUri = 'http://127.0.0.1:49152/callback';
  it('signs in to the command line\'s client with PKCE, and its token works', async () => {
    const config = await discovery(new URL(keycloak.issuer), 'stoa-cli', undefined, None(), { execute: [allowInsecureRequests] });
    const verifier = randomPKCECodeVerifier();
    const url = buildAuthorizationUrl(config, { redirect_uri: redirectUri, scope: 'openid', code_challenge: await calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', resource });
    const { landed } = await signIn(url, redirectUri, { username: 'alice', password: DEMO_PASSWORD });
    // RFC 9207: who answered is named.
    expect(landed.searchParams.get('iss')).toBe(keycloak.issuer);
    const tokens = await authorizationCodeGrant(config, landed, { pkceCodeVerifier: verifier });
    expect((await door().ask(bearer(tokens.access_token))).status).toBe(200);
  });
  it.each([['without PKCE', {}], ['with a plain challenge', { code_challenge: 'x'.repeat(43), code_challenge_method: 'plain' }]])('is refused %s', async (_name, more) => {
    const url = `${keycloak.issuer}/protocol/openid-connect/auth?${new URLSearchParams({ client_id: 'stoa-cli', response_type: 'code', redirect_uri: redirectUri, scope: 'openid', ...more }).toString()}`;
    const landed = (await fetch(url, { redirect: 'manual' })).headers.get('location') ?? '';
    expect(landed).toMatch(/^http:\/\/127\.0\.0\.1:49152\/callback\?error=invalid_request/);
  });
});

describe('an MCP client that knows nothing but the address', () => {
  it('finds Keycloak, registers itself, signs a person in with consent, and calls a tool', async () => {
    const redirectUri = 'http://127.0.0.1:49153/callback';
    const kept: { information?: unknown; tokens?: unknown; verifier?: string; authorization?: URL } = {};
    const provider: OAuthClientProvider = {
      redirectUrl: redirectUri,
      clientMetadata: { client_name: 'A newcomer', redirect_uris: [redirectUri], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none' },
      clientInformation: () => kept.information as never, saveClientInformation: (information) => { kept.information = information; },
      tokens: () => kept.tokens as never, saveTokens: (tokens) => { kept.tokens = tokens; },
      redirectToAuthorization: (url) => { kept.authorization = url; }, saveCodeVerifier: (verifier) => { kept.verifier = verifier; }, codeVerifier: () => kept.verifier ?? '',
    };
    const transport = () => new StreamableHTTPClientTransport(new URL(resource), { authProvider: provider });
    const first = transport();
    await expect(new Client({ name: 'newcomer', version: '1' }).connect(first)).rejects.toThrow(UnauthorizedError);
    expect(kept.authorization?.href).toContain(`${keycloak.issuer}/protocol/openid-connect/auth`);
    expect(kept.authorization?.searchParams.get('resource')).toBe(resource);
    expect(kept.authorization?.searchParams.get('code_challenge_method')).toBe('S256');
    const { landed, consent } = await signIn(kept.authorization ?? '', redirectUri, { username: 'alice', password: DEMO_PASSWORD });
    expect(consent).toContain('A newcomer');
    await first.finishAuth(landed.searchParams);
    const client = new Client({ name: 'newcomer', version: '1' });
    await client.connect(transport());
    const result = await client.callTool({ name: 'list_pets', arguments: {} });
    expect(result.isError ?? false).toBe(false);
    expect(decodeJwt((kept.tokens as { access_token: string }).access_token)).toMatchObject({ aud: resource, tenant_id: 'acme', realm_access: { roles: expect.arrayContaining(['tenant-admin']) } });
    await client.close();
  });

  it.each([
    'http://127.0.0.1:33418/', 'http://localhost:6274/oauth/callback', 'https://vscode.dev/redirect', 'cursor://anysphere.cursor-mcp/oauth/callback', 'https://www.cursor.com/agents/mcp/oauth/callback', 'https://claude.ai/api/mcp/auth_callback',
  ])('may register %s', async (redirectUri) => { expect((await register(redirectUri)).status).toBe(201); });
  it.each(['https://evil.example/callback', 'http://127.0.0.1.evil.example/'])('may not register %s', async (redirectUri) => { expect((await register(redirectUri)).status).toBe(403); });
});

describe('stoa token', () => {
  it('prints a token of a real issuer, by client secret and by password', async () => {
    expect(decodeJwt(await run('--client-id', 'stoa-agent', '--client-secret', CLIENT_SECRET))).toMatchObject({ azp: 'stoa-agent', tenant_id: 'acme' });
    expect(decodeJwt(await run('--client-id', 'stoa-demo', '--username', 'vic', '--password', DEMO_PASSWORD))).toMatchObject({ azp: 'stoa-demo', tenant_id: 'acme' });
  });
  it('says in one line what the issuer refused', async () => {
    await expect(run('--client-id', 'stoa-demo', '--username', 'vic', '--password', 'wrong')).rejects.toThrow(/^the issuer refused a token: .*credentials/);
  });
});

describe('the check at start', () => {
  interface Named { readonly id: string; readonly name: string }
  /** Takes a mapper out of the shipped scope, looks, and puts it back. */
  const without = async (mapper: string): Promise<string | undefined> => {
    const scope = (await keycloak.admin('GET', '/client-scopes') as Named[]).find(({ name }) => name === 'stoa-resource');
    const at = `/client-scopes/${scope?.id}/protocol-mappers/models`;
    const found = (await keycloak.admin('GET', at) as Named[]).find(({ name }) => name === mapper);
    await keycloak.admin('DELETE', `${at}/${found?.id}`);
    try { return await check(); } finally { await keycloak.admin('POST', at, { ...found, id: undefined }); }
  };
  it('passes with the shipped realm, and says which mapper is missing where one is', async () => {
    expect(await check()).toBeUndefined();
    expect(await without('audience')).toMatch(/"aud".*add an audience mapper/);
    expect(await without('tenant_id')).toMatch(/name no tenant/);
    expect(await check('wrong')).toMatch(/gives stoa-mcp-gateway no token \(the issuer says (unauthorized_client|invalid_client)\)/);
    expect(await check()).toBeUndefined();
  });
});

describe('stoa doctor', () => {
  it.each(Object.entries(CLIENTS))('gets to the login page as %s, and leaves no client behind', async (_name, profile) => {
    const before = await clientCount();
    expect(await diagnose(resource, profile, { token: await machine() })).toMatchObject({ failed: undefined, steps: { length: 7 } });
    expect(await clientCount()).toBe(before);
  });
  it('names the policy of Keycloak that keeps a client out', async () => {
    const { vscode } = CLIENTS;
    if (!vscode) throw new Error('no such profile');
    const { failed } = await diagnose(resource, { ...vscode, redirectUris: ['https://ide.example/cb'], redirectUri: 'https://ide.example/cb' });
    expect(failed).toEqual({ step: 'registration', what: expect.stringContaining('Trusted Hosts'), fix: expect.stringContaining('https://ide.example/cb') });
  });
});

describe('keys', () => {
  it('are rotated through the admin API without a lost request', async () => {
    const before = await machine();
    const { id: parentId } = await keycloak.admin('GET', '') as { id: string };
    let lost = 0;
    let asked = 0;
    const use = async (token: string): Promise<void> => { asked += 1; if ((await door(asked % 3).ask(bearer(token))).status !== 200) lost += 1; };
    for (let round = 0; round < 20; round += 1) await use(await machine());
    await keycloak.admin('POST', '/components', { name: 'next', parentId, providerId: 'rsa-generated', providerType: 'org.keycloak.keys.KeyProvider', config: { priority: ['500'], algorithm: ['RS256'], keySize: ['2048'], active: ['true'], enabled: ['true'] } });
    const after = await machine();
    expect(kid(after)).not.toBe(kid(before));
    for (let round = 0; round < 30; round += 1) { await use(round === 0 ? after : await machine()); await use(before); }
    expect([asked, lost]).toEqual([80, 0]);
  });
});

describe('the token suite', () => {
  it('holds against Keycloak, with keys that it was lent', { timeout: 300_000 }, async () => {
    const canary = await startCanary();
    const mint = await keycloakMint({ issuer: keycloak.issuer, admin: keycloak.admin, audience: resource, now, person: { clientId: 'stoa-demo', username: 'alice', password: DEMO_PASSWORD } });
    ahead += 31_000;
    const report = await runSuite({
      mint: { ...mint, keyFetches: () => served.asked('/certs'), otherRealm: { fetches: () => served.asked('/realms/master'), token: async () => text(await grant(`${keycloak.url}/realms/master`, { grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: keycloak.adminPassword })) } },
      doors: served.doors, owner: { tenant: 'acme', role: 'tenant-admin' }, stranger: { tenant: 'globex', role: 'tenant-admin' }, canary, witness: served.witness, revocable: served.revocable, now,
      wait: async (seconds) => { ahead += seconds * 1000; },
    });
    canary.close();
    await mint.close();
    process.stdout.write(`${reportLines(report).slice(-5).join('\n')}\n`);
    expect(report.verdicts.filter(({ faults }) => faults.length > 0)).toEqual([]);
    expect(report.held).toBe(CASE_COUNT);
  });
});

describe('Keycloak away', () => {
  const DAY_SECONDS = 86_400;
  /** A token that lasts three days, so that only the keys can end it. */
  const lasting = async (): Promise<string> => {
    const [client] = await keycloak.admin('GET', '/clients?clientId=stoa-demo') as { id: string; attributes: object }[];
    await keycloak.admin('PUT', `/clients/${client?.id}`, { ...client, attributes: { ...client?.attributes, 'access.token.lifespan': String(3 * DAY_SECONDS) } });
    await keycloak.admin('PUT', '', { ssoSessionMaxLifespan: 4 * DAY_SECONDS, ssoSessionIdleTimeout: 4 * DAY_SECONDS });
    return person('alice');
  };
  it('tokens are taken until keys are older than 24 h, then 503; back again, they are taken', { timeout: 240_000 }, async () => {
    const token = await lasting();
    for (const index of [MODERN, LEGACY, REST, ADMIN]) expect((await door(index).ask(bearer(token))).status).toBe(200);
    await keycloak.stop();
    // Sixty minutes, asked each minute at every door.
    const answered = new Map<number, number>();
    for (let minute = 1; minute <= 60; minute += 1) {
      ahead += 60_000;
      for (const index of [MODERN, LEGACY, REST, ADMIN]) { const { status } = await door(index).ask(bearer(token)); answered.set(status, (answered.get(status) ?? 0) + 1); }
    }
    expect([...answered]).toEqual([[200, 240]]);
    ahead += 22 * 3_600_000;
    expect((await door().ask(bearer(token))).status).toBe(200);
    // Still no key that nobody knows, and no fetch for each who tries.
    const before = served.asked('/certs') + served.asked('openid-configuration');
    const [head = '', body = '', signature = ''] = token.split('.');
    const unknown = `${Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(head, 'base64url').toString()) as object, kid: 'nobody' })).toString('base64url')}.${body}.${signature}`;
    for (let n = 0; n < 50; n += 1) expect((await door().ask(bearer(unknown))).status).toBe(401);
    expect(served.asked('/certs') + served.asked('openid-configuration') - before).toBeLessThanOrEqual(2);
    ahead += 2 * 3_600_000;
    for (const index of [MODERN, LEGACY, REST, ADMIN]) {
      const answer = await door(index).ask(bearer(token));
      expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
      expect(JSON.parse(answer.body)).toMatchObject({ detail: 'Authentication service unavailable' });
    }
    await keycloak.start();
    ahead += 31_000;
    const fresh = await lasting();
    for (const index of [MODERN, LEGACY, REST, ADMIN]) expect((await door(index).ask(bearer(fresh))).status).toBe(200);
    expect((await door().ask(bearer(token))).status).toBe(401);
  });
});

/** `stoa token` against this Keycloak. */
const run = async (...args: string[]): Promise<string> => {
  const out: string[] = [];
  await tokenCommand(['--issuer', keycloak.issuer, ...args], { out: (line) => { out.push(line); }, err: () => undefined, stdin: () => new Uint8Array(), env: {} });
  return out.join('\n');
};
const register = (redirectUri: string): Promise<Response> => fetch(`${keycloak.issuer}/clients-registrations/openid-connect`, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ client_name: 'x', redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' }),
});
/** What the check at start finds. */
const check = (secret = CLIENT_SECRET): Promise<string | undefined> => {
  const outbound = createEgress({ allow: ['127.0.0.0/8'] });
  const tokens = createTokenVerifier({ issuers: [{ issuer: keycloak.issuer, audiences: [resource], keys: { from: 'discovery' } }], outbound });
  return issuerSelfCheck({ issuer: keycloak.issuer, clientId: 'stoa-mcp-gateway', clientSecret: secret, resource, outbound, tokens })();
};
const clientCount = async (): Promise<number> => (await keycloak.admin('GET', '/clients?max=1000') as object[]).length;
const kid = (token: string): unknown => (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid?: unknown }).kid;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}
