import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { decodeJwt } from 'jose';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLocalIssuer } from '#apps/standalone/src/issuer/issuer.js';
import { CommandError, readConnection } from './client.js';
import { getToken, tokenCommand } from './token.js';

let home: string, app: FastifyInstance, url: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'stoa-token-'));
  url = `http://127.0.0.1:${await freePort()}`;
  const issuer = await createLocalIssuer({ issuerUrl: `${url}/oidc`, resource: `${url}/mcp`, storage: join(home, 'issuer'), tenantExists: async (tenant) => tenant === 'acme', users: async () => [] });
  app = fastify();
  issuer.mount(app);
  await app.listen({ host: '127.0.0.1', port: Number(new URL(url).port) });
  await writeFile(join(home, 'cli.json'), JSON.stringify({ url, issuer: issuer.issuerUrl, clientId: issuer.clientId, clientSecret: issuer.clientSecret }));
});
afterAll(async () => { await app.close(); await rm(home, { recursive: true }); });

async function run(...args: string[]): Promise<{ readonly code: number; readonly out: readonly string[]; readonly err: readonly string[] }> {
  const out: string[] = [], err: string[] = [];
  const code = await tokenCommand(args, { out: (line) => out.push(line), err: (line) => err.push(line), stdin: () => new Uint8Array(), env: { STOA_HOME: home } });
  return { code, out, err };
}

it('prints the token and nothing else', async () => {
  const { code, out, err } = await run('--tenant', 'acme', '--role', 'tenant-admin');
  expect({ code, lines: out.length, err }).toEqual({ code: 0, lines: 1, err: [] });
  expect(decodeJwt(out[0] ?? '')).toMatchObject({ aud: `${url}/mcp`, tenant_id: 'acme', realm_access: { roles: ['tenant-admin'] } });
});
it('gives a platform token without a tenant, to other commands too', async () => {
  expect(decodeJwt(await getToken({ home, tenant: undefined, role: 'cpi-admin' }))).not.toHaveProperty('tenant_id');
});
it.each([
  { name: 'no role', args: ['--tenant', 'acme'], says: /--role is missing/ },
  { name: 'an unknown role', args: ['--tenant', 'acme', '--role', 'king'], says: /refused a token: parameter role must be one of cpi-admin/ },
  { name: 'an unknown tenant', args: ['--tenant', 'nobody', '--role', 'viewer'], says: /names no tenant/ },
  { name: 'nobody listening', args: ['--role', 'viewer', '--url', 'http://127.0.0.1:9'], says: /nothing answers on http:\/\/127\.0\.0\.1:9: is the product running\?/ },
  { name: 'a data folder without a product', args: ['--role', 'viewer', '--home', join(tmpdir(), 'no-such-stoa')], says: /npm start/ },
  { name: 'a URL that is none', args: ['--role', 'viewer', '--url', 'here'], says: /not an absolute URL/ },
])('says in one line what to do about $name', async ({ args, says }) => {
  const failure = await run(...args).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CommandError);
  expect((failure as CommandError).message).toMatch(says);
  expect((failure as CommandError).message).not.toContain('\n');
});

it.each([
  { name: 'who asks', env: { STOA_URL: 'https://stoa.test' }, says: /set STOA_TOKEN, or STOA_ISSUER/ },
  { name: 'the client', env: { STOA_URL: 'https://stoa.test', STOA_ISSUER: 'https://issuer.test' }, says: /--client-id is missing/ },
  { name: 'an address', env: { STOA_URL: 'stoa.test', STOA_TOKEN: 'x' }, says: /STOA_URL is not an absolute URL/ },
  { name: 'an address of the control plane', env: { STOA_URL: 'https://stoa.test', STOA_ADMIN_URL: 'admin', STOA_TOKEN: 'x' }, says: /STOA_ADMIN_URL is not an absolute URL/ },
])('the environment names a product elsewhere; it says what to do about a lack of $name', async ({ env, says }) => {
  const io = { out: () => undefined, err: () => undefined, stdin: () => new Uint8Array(), env };
  await expect(tokenCommand([], io)).rejects.toThrow(says);
});
it('the environment may hold the token itself, and the control plane may be elsewhere', () => {
  expect(readConnection({ STOA_URL: 'https://stoa.test/', STOA_ADMIN_URL: 'https://admin.test', STOA_TOKEN: 'x' })).toEqual({ url: 'https://stoa.test', adminUrl: 'https://admin.test', signIn: { kind: 'token', token: 'x' } });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}
