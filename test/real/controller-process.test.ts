import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from './services/postgres.js';

const MAIN = 'dist/apps/controller/src/main.js';
const ISSUER = 'https://issuer.test';
const DOCUMENT = { openapi: '3.1.0', info: { title: 'Pets', version: '1', description: 'x'.repeat(300_000) }, servers: [{ url: 'https://pets.test' }], paths: { '/pets': { get: { operationId: 'listPets', responses: { 200: { description: 'ok' } } } } } };

interface Running { readonly child: ChildProcess; readonly lines: string[]; readonly ended: Promise<number | null> }

function run(env: Readonly<Record<string, string>>): Running {
  const child = spawn(process.execPath, [MAIN], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { lines.push(...text.split('\n').filter((line) => line !== '')); });
  return { child, lines, ended: once(child, 'exit').then(([code]) => code as number | null) };
}

/** The port that the process tells of, or what it said before it ended. */
async function listening({ child, lines, ended }: Running): Promise<number> {
  for (;;) {
    const line = lines.find((text) => text.includes('controller listens'));
    if (line !== undefined) return (JSON.parse(line) as { port: number }).port;
    if (child.exitCode !== null) throw new Error(lines.join('\n'));
    // oxlint-disable-next-line no-await-in-loop -- one look after each word of the process
    await Promise.race([once(child.stdout ?? child, 'data'), ended]);
  }
}

describe('the controller process', () => {
  it('does not start on wrong values, and names each', async () => {
    const { ended, lines } = run({ PORT: 'eighty', DATABASE_URL: 'mysql://ada:hunter2@db/x', EGRESS_ALLOW: '' });
    expect(await ended).toBe(1);
    const said = lines.join('\n');
    for (const name of ['PORT', 'DATABASE_URL']) expect(said).toContain(name);
    expect(said).not.toContain('hunter2');
  });

  it('does not start without its database, and says so in one line', async () => {
    const { ended, lines } = run({ DATABASE_URL: 'postgres://ada:hunter2@127.0.0.1:1/x', OIDC_ISSUER: ISSUER, JWKS_URL: 'http://127.0.0.1:1/', LOG_LEVEL: 'silent' });
    expect(await ended).toBe(1);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^The controller cannot start: /);
    expect(lines[0]).not.toContain('hunter2');
  });

  describe('on Postgres', () => {
    let postgres: PostgresServer;
    let isUp = false;
    let keys: Server;
    let process1: Running;
    let base: string;
    let env: Record<string, string>;
    let bearer: (roles: string[], tenant?: string) => Promise<string>;
    beforeAll(async () => {
      const { publicKey, privateKey } = await generateKeyPair('RS256');
      const jwk = { ...await exportJWK(publicKey), kid: 'k', alg: 'RS256', use: 'sig' };
      keys = createServer((_request, response) => { response.setHeader('content-type', 'application/json'); response.end(JSON.stringify({ keys: [jwk] })); }).listen(0, '127.0.0.1');
      await once(keys, 'listening');
      bearer = async (roles, tenant) => `Bearer ${await new SignJWT({ realm_access: { roles }, azp: 'cli', ...(tenant === undefined ? {} : { tenant_id: tenant }) })
        .setProtectedHeader({ alg: 'RS256', kid: 'k' }).setIssuer(ISSUER).setAudience('stoa-mcp-gateway').setSubject('ada').setIssuedAt().setExpirationTime('5m').sign(privateKey)}`;
      postgres = await startPostgres();
      isUp = true;
      env = {
        HOST: '127.0.0.1', PORT: '0', DATABASE_URL: await postgres.database(), OIDC_ISSUER: ISSUER, ALLOWED_AUDIENCES: 'stoa-mcp-gateway',
        JWKS_URL: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/jwks`, EGRESS_ALLOW: '127.0.0.1',
      };
      process1 = run(env);
      base = `http://127.0.0.1:${await listening(process1)}`;
    });
    afterAll(async () => {
      process1.child.kill('SIGKILL');
      keys.close();
      if (isUp) await postgres.stop();
    });
    const ask = async (method: string, path: string, authorization: string, body?: unknown): Promise<Response> =>
      fetch(`${base}/admin/v1${path}`, { method, headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });

    it('answers its probes to everyone and the admin API to nobody without a token', async () => {
      for (const path of ['/health', '/health/live', '/health/startup', '/health/ready', '/live', '/ready', '/info', '/metrics', '/admin/v1/openapi.json', '/admin/v1/docs']) expect([path, (await fetch(base + path)).status]).toEqual([path, 200]);
      const refused = await fetch(`${base}/admin/v1/tenants`);
      expect([refused.status, refused.headers.get('www-authenticate')?.startsWith('Bearer ')]).toEqual([401, true]);
    });

    it('makes a tenant, imports a document and lists its tools, with a request id in answer and log', async () => {
      const root = await bearer(['cpi-admin']);
      const own = await bearer(['tenant-admin'], 'acme');
      expect((await ask('POST', '/tenants', root, { slug: 'acme' })).status).toBe(201);
      expect((await ask('POST', '/tenants', own, { slug: 'other' })).status).toBe(403);
      const imported = await ask('POST', '/tenants/acme/apis', own, { name: 'pets', source: { inline: DOCUMENT } });
      expect([imported.status, await imported.json()]).toEqual([201, expect.objectContaining({ tools: [{ name: 'listpets', method: 'GET', path: '/pets', verdict: 'exact' }] })]);
      const listed = await ask('GET', '/tenants/acme/tools', await bearer(['viewer'], 'acme'));
      expect(await listed.json()).toMatchObject({ totalCount: 1 });
      expect(await (await fetch(`${base}/metrics`)).text()).toMatch(/stoa_controller_http_requests_total\{method="POST",endpoint="\/admin\/v1\/tenants\/\{tenant\}\/apis",status_code="201"\} 1/);
      expect(imported.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    });

    it('drains on SIGTERM, exits 0, logs every request by its id, and finds its state again', async () => {
      const answer = await ask('GET', '/tenants', await bearer(['cpi-admin']));
      process1.child.kill('SIGTERM');
      expect(await process1.ended).toBe(0);
      const logged = process1.lines.map((line) => JSON.parse(line) as { request_id?: string });
      expect(logged.some((line) => line.request_id === answer.headers.get('x-request-id'))).toBe(true);
      expect(process1.lines.join('\n')).not.toContain(new URL(env['DATABASE_URL'] ?? '').password);
      process1 = run(env);
      base = `http://127.0.0.1:${await listening(process1)}`;
      expect(await (await ask('GET', '/tenants/acme/apis', await bearer(['cpi-admin']))).json()).toMatchObject({ apis: [{ name: 'pets' }] });
    });

    it('is alive but not ready while its database is away, names it, and answers 503', async () => {
      const root = await bearer(['cpi-admin']);
      await postgres.stop();
      isUp = false;
      const ready = await fetch(`${base}/ready`);
      expect([ready.status, await ready.json()]).toEqual([503, expect.objectContaining({ status: 'not_ready', checks: { app_ready: true, database: false, issuer_keys: true, policy: true }, reasons: { database: expect.any(String) as unknown } })]);
      expect((await fetch(`${base}/live`)).status).toBe(200);
      const refused = await ask('GET', '/tenants', root);
      expect([refused.status, await refused.json()]).toEqual([503, { detail: 'The service is temporarily unavailable.' }]);
    });
  });
});
