import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { adminDoor, legacyDoor, modernDoor, restDoor } from './doors.js';
import { keycloakMint } from './keycloak-mint.js';
import { localMint, type Mint } from './mint.js';
import { adminKey, productMint } from './product.js';
import { reportLines, runSuite, startCanary } from './suite.js';
import type { World } from './trial.js';

const HELP = `npm run token-suite -- --url URL [options]

The 34 cases of a resource server that takes bearer tokens, through every door of the server at URL. The last line is "N of 34";
the exit code is 0 only for 34. See docs/authentication.md, "The token suite".

  --url URL             base URL of the server; its doors are URL/mcp (both eras), URL/mcp/v1 and URL/admin/v1
  --admin-url URL       base URL of the admin API where it is another, or "none"
  --doors LIST          of modern, legacy, rest, admin; default all
  --tenants A,B         two tenants; A has a tool that B has not (default acme,globex)
  --tool NAME           that tool; default: found in the lists
  --audience URL        the aud of good tokens; default: "resource" of the server's metadata (RFC 9728)
  --only LIST           numbers of cases

Whose tokens the server trusts, one of:
  --listen PORT         the suite's own issuer, http://127.0.0.1:PORT/realms/stoa (default 8099): start the server with it first
  --home FOLDER         the local issuer of a product started with npm start, whose data folder this is
  --issuer URL          a Keycloak realm for tests. It is lent keys of the suite's for the time of the run. Needs
                        KEYCLOAK_ADMIN_PASSWORD (user admin), and CLIENT_ID, USERNAME and PASSWORD: an administrator of A and a public client
                        that takes passwords`;

const { values } = parseArgs({
  options: {
    url: { type: 'string' }, 'admin-url': { type: 'string' }, doors: { type: 'string', default: 'modern,legacy,rest,admin' }, tenants: { type: 'string', default: 'acme,globex' }, tool: { type: 'string' },
    audience: { type: 'string' }, only: { type: 'string' }, listen: { type: 'string', default: '8099' }, home: { type: 'string' }, issuer: { type: 'string' }, help: { type: 'boolean' },
  },
});

if (values.help === true || values.url === undefined) {
  process.stdout.write(`${HELP}\n`);
  process.exitCode = values.help === true ? 0 : 2;
} else {
  process.exitCode = await main(values.url.replace(/\/+$/, ''));
}

async function main(url: string): Promise<number> {
  const audience = values.audience ?? await publishedResource(url);
  const mint = await mintFor(audience);
  const canary = await startCanary();
  try {
    const [owner = 'acme', stranger = 'globex'] = values.tenants.split(',');
    const admin = values['admin-url'] ?? url;
    const all = { modern: modernDoor(`${url}/mcp`), legacy: legacyDoor(`${url}/mcp`), rest: restDoor(url), admin: adminDoor(admin) };
    const world: World = {
      mint, canary, owner: { tenant: owner, role: 'tenant-admin' }, stranger: { tenant: stranger, role: 'tenant-admin' },
      doors: values.doors.split(',').filter((name) => name !== 'admin' || admin !== 'none').map((name) => {
        if (!Object.hasOwn(all, name)) throw new Error(`--doors: ${name} is not one of ${Object.keys(all).join(', ')}`);
        return all[name as keyof typeof all];
      }),
      ...(values.tool === undefined ? {} : { tool: values.tool }), ...(admin === 'none' ? {} : { revocable: adminKey(admin, mint, { tenant: owner, role: 'tenant-admin' }) }),
      wait: (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds * 1000); }),
    };
    process.stdout.write(`issuer ${mint.issuer}, audience ${audience}\n`);
    const report = await runSuite(world, values.only === undefined ? undefined : new Set(values.only.split(',').map(Number)));
    process.stdout.write(`${reportLines(report).join('\n')}\n`);
    return report.held === 34 ? 0 : 1;
  } finally {
    canary.close();
    await mint.close();
  }
}

async function publishedResource(url: string): Promise<string> {
  for (const at of ['/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-protected-resource']) {
    const reply = await fetch(url + at).catch((failure: unknown) => { throw new Error(`nothing answers on ${url}`, { cause: failure }); });
    if (!reply.ok) continue;
    const { resource } = await reply.json() as { resource?: unknown };
    if (typeof resource === 'string') return resource;
  }
  throw new Error(`${url} publishes no protected-resource metadata (RFC 9728): name the audience with --audience`);
}

async function mintFor(audience: string): Promise<Mint & { close(): Promise<void> }> {
  if (values.issuer !== undefined) return realm(values.issuer.replace(/\/+$/, ''), audience);
  if (values.home !== undefined) return productMint(values.home, issuerIn(values.home), audience);
  return localMint({ port: Number(values.listen), audience });
}

async function realm(issuer: string, audience: string): Promise<Mint & { close(): Promise<void> }> {
  const [, base = '', name = ''] = /^(.*)\/realms\/([^/]+)$/.exec(issuer) ?? [];
  if (base === '') throw new Error(`--issuer ${issuer} is not {base}/realms/{realm} of a Keycloak`);
  const { KEYCLOAK_ADMIN_PASSWORD: password, CLIENT_ID: clientId, USERNAME: username, PASSWORD: word } = process.env;
  if (password === undefined || clientId === undefined || username === undefined || word === undefined) throw new Error('--issuer needs KEYCLOAK_ADMIN_PASSWORD, CLIENT_ID, USERNAME and PASSWORD in the environment');
  const admin = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const login = await fetch(`${base}/realms/master/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username: 'admin', password }) });
    const { access_token: token } = await login.json() as { access_token?: string };
    const reply = await fetch(`${base}/admin/realms/${name}${path}`, { method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return keycloakMint({ issuer, audience, admin, person: { clientId, username, password: word } });
}

function issuerIn(home: string): string {
  return (JSON.parse(readFileSync(join(home, 'cli.json'), 'utf8')) as { issuer: string }).issuer;
}
