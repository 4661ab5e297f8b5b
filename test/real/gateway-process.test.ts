import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from './services/postgres.js';

const ISSUER = 'https://issuer.test';
const SECRET = 'CANARY-backend-key-81f3';

interface Running { readonly child: ChildProcess; readonly lines: string[]; readonly ended: Promise<number | null> }
function run(app: string, env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [`dist/apps/${app}/src/main.js`], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { lines.push(...text.split('\n').filter((said) => said !== '')); });
  return { child, lines, ended: once(child, 'exit').then(([code]) => code as number | null) };
}
/** The first line that says so, or what the process said before it ended. */
async function line({ child, lines, ended }: Running, words: string): Promise<Record<string, unknown>> {
  for (;;) {
    const found = lines.find((text) => text.includes(words));
    if (found !== undefined) return JSON.parse(found) as Record<string, unknown>;
    if (child.exitCode !== null) throw new Error(lines.join('\n'));
    // oxlint-disable-next-line no-await-in-loop -- one look after each word of the process
    await Promise.race([once(child.stdout ?? child, 'data'), ended]);
  }
}
const serve = async (handler: (request: IncomingMessage) => { status?: number; body: unknown; type?: string }): Promise<{ server: Server; url: string }> => {
  const server = createServer((request, response) => {
    const { status = 200, body } = handler(request);
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
};

it('the gateway does not start on wrong values, names each, and shows no secret', async () => {
  const { ended, lines } = run('gateway', { PORT: 'eighty', DATABASE_URL: 'mysql://ada:hunter2@db/x', POLICY_MODE: 'maybe' });
  expect(await ended).toBe(1);
  const said = lines.join('\n');
  for (const name of ['PORT', 'DATABASE_URL', 'POLICY_MODE']) expect(said).toContain(name);
  expect(said).not.toContain('hunter2');
});

describe('gateway and controller as two processes on Postgres', () => {
  let postgres: PostgresServer;
  let isUp = false;
  let gateway: Running;
  let controller: Running;
  let keys: { server: Server; url: string };
  let backend: { server: Server; url: string };
  let folder: string;
  let base: string;
  let gatewayEnv: Record<string, string>;
  let admin: string;
  let bearer: (roles: string[], tenant?: string) => Promise<string>;
  const requests: { url: string; headers: IncomingMessage['headers'] }[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gateway-'));
    const { publicKey, privateKey } = await generateKeyPair('RS256');
    const jwk = { ...await exportJWK(publicKey), kid: 'k', alg: 'RS256', use: 'sig' };
    keys = await serve(() => ({ body: { keys: [jwk] } }));
    backend = await serve((request) => { requests.push({ url: request.url ?? '', headers: request.headers }); return { body: { id: 7, name: 'Rex' } }; });
    bearer = async (roles, tenant) => `Bearer ${await new SignJWT({ realm_access: { roles }, azp: 'cli', ...(tenant === undefined ? {} : { tenant_id: tenant }) })
      .setProtectedHeader({ alg: 'RS256', kid: 'k' }).setIssuer(ISSUER).setAudience('stoa-mcp-gateway').setSubject('ada').setIssuedAt().setExpirationTime('5m').sign(privateKey)}`;
    postgres = await startPostgres();
    isUp = true;
    const url = await postgres.database();
    await writeFile(join(folder, 'database-url'), `${url}\n`);
    const env = { HOST: '127.0.0.1', PORT: '0', OIDC_ISSUER: ISSUER, ALLOWED_AUDIENCES: 'stoa-mcp-gateway', JWKS_URL: `${keys.url}/jwks`, EGRESS_ALLOW: '127.0.0.1' };
    controller = run('controller', { ...env, DATABASE_URL: url });
    admin = `http://127.0.0.1:${String((await line(controller, 'controller listens'))['port'])}/admin/v1`;
    gatewayEnv = { ...env, DATABASE_URL_FILE: join(folder, 'database-url'), POLICY_MODE: 'open', DATA_DIR: folder, STOA_CREDENTIAL_ACME_PETS: SECRET, DRAIN_SECONDS: '5' };
    gateway = run('gateway', gatewayEnv);
    base = String((await line(gateway, 'gateway listening'))['url']);
    const root = await bearer(['cpi-admin']);
    for (const slug of ['acme', 'globex']) await admins('POST', '/tenants', root, { slug, displayName: slug });
  });
  afterAll(async () => {
    for (const { child } of [gateway, controller]) child.kill('SIGKILL');
    keys.server.close();
    backend.server.close();
    if (isUp) await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  });
  async function admins(method: string, path: string, authorization: string, body?: unknown): Promise<Response> {
    const reply = await fetch(admin + path, { method, headers: { authorization, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
    return reply;
  }
  const tools = async (authorization: string): Promise<string[]> =>
    (await (await fetch(`${base}/mcp/v1/tools`, { headers: { authorization } })).json() as { tools: { name: string; tenant_id: string | null }[] }).tools.flatMap(({ name, tenant_id }) => (tenant_id === null ? [] : [name]));

  it('says at its start what it runs without', async () => {
    expect(await line(gateway, 'gateway listening')).toMatchObject({ policy: 'open', off: ['tracing'], version: expect.any(String) });
  });

  it('an import is callable within a second, by its own tenant alone, and its credential is seen by the backend alone', async () => {
    const viewer = await bearer(['viewer'], 'acme');
    expect(await tools(viewer)).toEqual([]);
    const document = JSON.stringify({
      openapi: '3.1.0', info: { title: 'Pets', version: '1' }, servers: [{ url: backend.url }], components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } }, security: [{ key: [] }],
      paths: { '/pets/{petId}': { get: { operationId: 'getPet', parameters: [{ name: 'petId', in: 'path', required: true, schema: { type: 'integer' } }], responses: { 200: { description: 'ok' } } } } },
    });
    const owner = await bearer(['tenant-admin'], 'acme');
    await admins('POST', '/tenants/acme/apis', owner, { name: 'pets', source: { inline: document } });
    await admins('PUT', '/tenants/acme/apis/pets/credentials/key', owner, { from: 'environment', name: 'pets' });
    await expect.poll(() => tools(viewer), { timeout: 1000, interval: 20 }).toEqual(['getpet']);
    expect(await tools(await bearer(['viewer'], 'globex'))).toEqual([]);

    const headers = { authorization: viewer, 'content-type': 'application/json', 'x-request-id': 'seen-everywhere', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await expect.poll(async () => {
      const reply = await fetch(`${base}/mcp/v1/tools/getpet/invoke`, { method: 'POST', headers, body: '{"arguments":{"petId":7}}' });
      return [reply.status, reply.headers.get('x-request-id'), (await reply.json() as { result: { content: { text: string }[] } }).result.content[0]?.text];
    }, { timeout: 3000 }).toEqual([200, 'seen-everywhere', '{"id":7,"name":"Rex"}']);
    expect(requests.at(-1)).toMatchObject({ url: '/pets/7', headers: { authorization: `Bearer ${SECRET}`, 'x-request-id': 'seen-everywhere', 'x-stoa-tenant-id': 'acme', traceparent: expect.stringContaining('0af7651916cd43dd8448eb211c80319c') } });
    const metrics = await (await fetch(`${base}/metrics`)).text();
    expect(metrics).toMatch(/stoa_mcp_gateway_mcp_tool_invocations_total\{tool_name="getpet",status="success"\} 1/);
    expect(metrics).toMatch(/stoa_mcp_gateway_auth_requests_total\{status="success",reason="ok"\} [1-9]/);
    expect(metrics).toMatch(/stoa_mcp_gateway_mcp_tools_registered [1-9]/);
    await expect.poll(() => gateway.lines.some((text) => text.includes('seen-everywhere') && text.includes('"msg":"call"'))).toBe(true);
  });

  it('with the database away, /ready is 503 and names it, /live is 200, and known tools still answer', async () => {
    isUp = false;
    await postgres.stop();
    await expect.poll(async () => (await fetch(`${base}/ready`)).status, { timeout: 10_000 }).toBe(503);
    const ready = await (await fetch(`${base}/ready`)).json() as { checks: Record<string, boolean>; reasons: Record<string, string> };
    expect(ready.checks).toMatchObject({ app_ready: true, database: false, issuer_keys: true });
    expect(ready.reasons['database']).toEqual(expect.any(String));
    expect((await fetch(`${base}/live`)).status).toBe(200);
    const reply = await fetch(`${base}/mcp/v1/tools/getpet/invoke`, { method: 'POST', headers: { authorization: await bearer(['viewer'], 'acme'), 'content-type': 'application/json' }, body: '{"arguments":{"petId":7}}' });
    expect(reply.status).toBe(200);
  });

  it('SIGTERM ends it with 0, and nothing that it ever wrote holds a secret', async () => {
    gateway.child.kill('SIGTERM');
    expect(await gateway.ended).toBe(0);
    const said = gateway.lines.join('\n');
    expect(said).toContain('stopped');
    expect(said).not.toContain(SECRET);
    expect(said).not.toMatch(/eyJ[\w-]+\.[\w-]+\./);
    for (const text of gateway.lines) expect(() => { JSON.parse(text); }).not.toThrow();
  });

  it('a cold start with the database away is alive, not ready, and serves the last good catalogue', async () => {
    gateway = run('gateway', gatewayEnv);
    base = String((await line(gateway, 'gateway listening'))['url']);
    expect((await fetch(`${base}/live`)).status).toBe(200);
    const ready = await fetch(`${base}/ready`);
    expect([ready.status, (await ready.json() as { checks: object }).checks]).toMatchObject([503, { catalogue: false, database: false }]);
    await expect.poll(async () => tools(await bearer(['viewer'], 'acme')), { timeout: 10_000 }).toEqual(['getpet']);
    await expect.poll(async () => (await fetch(`${base}/mcp/v1/tools`, { headers: { authorization: await bearer(['viewer'], 'globex') } })).status).toBe(200);
    expect((await fetch(`${base}/mcp/v1/tools`, { headers: { authorization: await bearer(['viewer'], 'never-loaded') } })).status).toBe(503);
  });
});
