import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyCommand } from '#apps/cli/src/key.js';
import { StandaloneConfig } from '#apps/standalone/src/config.js';
import { writeHandover } from '#apps/standalone/src/handover.js';
import { type Standalone, startStandalone } from '#apps/standalone/src/start.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { freshHome } from './product.js';

const SECRET = 'a shared secret of at least 32 bytes';
const { home, remove } = freshHome();
let product: Standalone;
beforeAll(async () => {
  const environment = {
    STOA_HOME: join(home, 'data'), STOA_PORT: '0', LOG_LEVEL: 'silent', DEBUG: 'true', STATIC_TOKENS: 'demo-agent@acme:stoa.agent=demo-token',
    JWT_SECRET_KEY: SECRET, JWT_ISSUER: 'https://upstream.example', JWT_AUDIENCE: 'mcp-gateway', JWT_MAX_TOKEN_AGE_MINUTES: '60', JWT_ALLOWED_API_VERSIONS: '1.1',
  };
  product = await startStandalone(readConfig(StandaloneConfig, environment), environment);
  await writeHandover(environment.STOA_HOME, product);
});
afterAll(async () => { await product.stop(); remove(); });

type Headers = Readonly<Record<string, string>>;
const names = async (headers: Headers): Promise<readonly string[] | number> => {
  const answer = await fetch(`${product.url}/mcp/v1/tools?limit=1000`, { headers });
  return answer.status === 200 ? ((await answer.json()) as { tools: { name: string }[] }).tools.map(({ name }) => name).toSorted() : answer.status;
};
const invoke = async (name: string, headers: Headers): Promise<number> =>
  (await fetch(`${product.url}/mcp/v1/tools/${name}/invoke`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ arguments: {} }) })).status;
const rpc = async (method: string, params: object, headers: Headers): Promise<{ readonly status: number; readonly body: unknown }> => {
  const answer = await fetch(`${product.url}/mcp`, {
    method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'x-request-id': 'same', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...('name' in params ? { 'mcp-name': String(params.name) } : {}), ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': {} } } }),
  });
  return { status: answer.status, body: await answer.json() };
};
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });
const status = async (given: Promise<string>): Promise<number> => invoke('list_pets', bearer(await given));
const now = (): number => Math.floor(Date.now() / 1000);
/** Standard output of `stoa key …`. */
async function key(...args: readonly string[]): Promise<string> {
  const out: string[] = [];
  await keyCommand(args, { out: (line) => out.push(line), err: () => undefined, stdin: () => new Uint8Array(), env: { STOA_HOME: join(home, 'data') } });
  return out.join('\n');
}
const create = async (...args: readonly string[]): Promise<{ readonly id: string; readonly secret: string }> => {
  const { key: { id }, secret } = JSON.parse(await key('create', '--tenant', 'acme', '--json', ...args)) as { key: { id: string }; secret: string };
  return { id, secret };
};

describe('an API key', () => {
  it('prints its secret alone, lists and calls exactly its tools through every door, and administers nothing', async () => {
    const secret = await key('create', '--tenant', 'acme', '--tool', 'list_pets', '--ttl', '30d', '--name', 'robot');
    expect(secret).toMatch(/^stoa_sk_[A-Za-z0-9_-]{43}$/);
    for (const headers of [bearer(secret), { 'x-api-key': secret }]) {
      /* oxlint-disable no-await-in-loop -- two */
      expect(await names(headers)).toEqual(['list_pets']);
      expect(await invoke('list_pets', headers)).toBe(200);
      expect([await invoke('list_orders', headers), await invoke('get_current_weather', headers), await invoke('nothing', headers)]).toEqual([403, 403, 403]);
      expect((await rpc('tools/call', { name: 'list_pets', arguments: {} }, headers)).body).toMatchObject({ result: { structuredContent: expect.anything() as unknown } });
      expect((await rpc('tools/list', {}, headers)).body).toMatchObject({ result: { tools: [{ name: 'list_pets' }] } });
      // Of a tool that exists and one that does not it hears the same.
      const said = await Promise.all(['list_orders', 'list_nothing'].map(async (name) => JSON.stringify((await rpc('tools/call', { name, arguments: {} }, headers)).body).replaceAll(name, 'NAME')));
      expect(said[0]).toContain('"isError":true');
      expect(said[0]).toBe(said[1]);
      expect((await fetch(`${product.url}/admin/v1/tenants/acme/keys`, { headers })).status).toBe(403);
      /* oxlint-enable no-await-in-loop */
    }
    const listed = await key('list', '--tenant', 'acme');
    expect(listed).toContain(`robot  stoa.agent  only list_pets`);
    expect(listed).not.toContain(secret.slice(12));
  });
  it('works by both secrets while its grace lasts, and by none at most 2 s after it is revoked', async () => {
    const { id, secret } = await create();
    expect(await invoke('list_pets', bearer(secret))).toBe(200);
    const next = await key('rotate', id, '--tenant', 'acme', '--grace', '1h');
    expect([await invoke('list_pets', bearer(secret)), await invoke('list_pets', bearer(next))]).toEqual([200, 200]);
    await key('revoke', id, '--tenant', 'acme');
    await expect.poll(async () => [await invoke('list_pets', bearer(secret)), await invoke('list_pets', bearer(next))], { timeout: 2000, interval: 50 }).toEqual([401, 401]);
  });
  it('is refused with the challenge when it is wrong', async () => {
    const answer = await fetch(`${product.url}/mcp`, { method: 'POST', headers: bearer(`stoa_sk_${'x'.repeat(43)}`) });
    expect([answer.status, await answer.json(), answer.headers.get('www-authenticate')]).toEqual([401, expect.objectContaining({ detail: 'Invalid API key' }), `Bearer resource_metadata="${product.url}/.well-known/oauth-protected-resource/mcp", error="invalid_token", error_description="Invalid API key"`]);
  });
});

const token = (more: object = {}, secret = SECRET): Promise<string> => new SignJWT({ iss: 'https://upstream.example', aud: 'mcp-gateway', sub: 'ada', workspace: 'acme', roles: ['viewer'], v: '1.1', iat: now(), exp: now() + 36_000, ...more })
  .setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret));

describe('tokens of another issuer', () => {
  it('are taken with the shared secret, its audience, its claim names, in their age and version', async () => {
    expect(await status(token())).toBe(200);
    expect(await names(bearer(await token()))).toContain('list_pets');
    expect(await names(bearer(await token({ workspace: 'globex' })))).not.toContain('list_pets');
    expect(await names(bearer(await token({ workspace: undefined, tenant_id: 'acme' })))).not.toContain('list_pets');
  });
  it.each([
    { name: 'another secret', make: () => token({}, `${SECRET}!`) },
    { name: 'another audience', make: () => token({ aud: 'account' }) },
    { name: 'the name of the local issuer', make: () => token({ iss: product.issuer.url, aud: `${product.url}/mcp` }) },
    { name: 'an age of 61 minutes', make: () => token({ iat: now() - 3660 }) },
    { name: 'another version', make: () => token({ v: 9 }) },
    { name: 'no version', make: () => token({ v: undefined }) },
  ])('are refused with $name', async ({ make }) => { expect(await status(make())).toBe(401); });
});

describe('for development', () => {
  it('a static token stands for whom the configuration says', async () => {
    expect(await invoke('list_pets', bearer('demo-token'))).toBe(200);
    expect(await invoke('list_pets', bearer('demo-toke'))).toBe(401);
    expect(await invoke('list_pets', { 'x-api-key': 'demo-token' })).toBe(401);
  });
  it('X-Debug-User signs in as anybody, where nothing else is sent', async () => {
    expect(await names({ 'x-debug-user': 'ada@acme:viewer' })).toContain('list_pets');
    expect((await fetch(`${product.url}/admin/v1/tenants`, { headers: { 'x-debug-user': 'ada' } })).status).toBe(200);
    expect(await names({ 'x-debug-user': 'ada@acme:viewer', ...bearer('wrong') })).toBe(401);
    expect(await names({ 'x-debug-user': 'a da' })).toBe(401);
  });
  it.each([{ STATIC_TOKENS: 'a=b' }, { DEBUG: 'true' }])('%o stops the start where ENVIRONMENT is prod', (wrong) => {
    expect(() => readConfig(StandaloneConfig, { ...wrong, ENVIRONMENT: 'prod' })).toThrow(new RegExp(Object.keys(wrong)[0] ?? ''));
  });
});
