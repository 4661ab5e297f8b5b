import { hash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { LEGACY_METHODS } from '#apps/gateway/src/mcp/legacy.js';
import { ownMethods } from '#apps/gateway/src/mcp/mcp-door.js';
import { modernMethods } from '#apps/gateway/src/mcp/modern.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { tenantSlug, type TenantSlug } from '#libs/core/tenant.js';
import { SQL_DATABASE } from '#libs/core/tokens.js';
import { type Asker, initialize, LEGACY, legacy, MODERN, modern, type Names, ROUTES } from './surfaces.js';
import { type Answer, ask, type Asked, openWorld, type World } from './world.js';

/** In every text of globex's that is nowhere a name: whoever else reads it has read what is globex's. */
const MARKER = `marker-${randomBytes(8).toString('hex')}`;
interface Identity extends Asker { readonly name: string; readonly token: string | undefined }

let world: World;
let known: Names;
let unknown: Names;
let strangers: readonly Identity[];
let owner: Identity;

const json = async (token: string | undefined, asked: Asked): Promise<unknown> => {
  const answer = await ask(world, token, asked);
  if (answer.status >= 300) throw new Error(`${asked.method} ${asked.path}: ${answer.status} ${answer.body}`);
  return answer.body === '' ? undefined : JSON.parse(answer.body);
};
const post = (token: string, path: string, body: unknown): Promise<unknown> => json(token, { method: 'POST', path, body });
async function sessionOf(token: string): Promise<string> {
  const { path, headers, body } = initialize;
  const answer = await fetch(`${world.url}${path}`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify(body) });
  await answer.arrayBuffer();
  return answer.headers.get('mcp-session-id') ?? '';
}
async function capabilityOf(token: string, tools: readonly string[]): Promise<{ token: string; jti: string }> {
  const answer = await fetch(`${world.url}/v1/token/exchange`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify({ tools, ttl_seconds: 120 }) });
  const body = (await answer.json()) as { access_token: string; jti: string };
  return { token: body.access_token, jti: body.jti };
}

/** A tenant with one of everything; `word` is in all of its names. */
async function fill(admin: string, tenant: string, word: string, marker: string): Promise<{ readonly resourceId: string; readonly keyId: string; readonly digest: string }> {
  const at = `/admin/v1/tenants/${tenant}`;
  await post(admin, '/admin/v1/tenants', { slug: tenant, displayName: marker, description: marker });
  const operations = [...Array(110).keys()].map((n) => [`/things/${n}`, { get: { operationId: `${word}_list_${n}`, summary: marker, responses: { 200: { description: 'ok' } } } }]);
  const described = { operationId: `${word}_read`, summary: marker, tags: [marker], responses: { 200: { description: 'ok' } } };
  await post(admin, `${at}/apis`, { name: word, category: marker, source: { inline: { openapi: '3.1.0', info: { title: marker, version: '1' }, servers: [{ url: 'https://backend.invalid' }], paths: { '/read': { get: described, delete: { ...described, operationId: `${word}_gone` } }, ...Object.fromEntries(operations) } } } });
  await post(admin, `${at}/prompts`, { name: `${word}_prompt`, description: marker, arguments: [{ name: 'colour', values: [marker, 'red'] }], messages: [{ role: 'user', text: `${marker} {{colour}}` }] });
  const made = await post(admin, `${at}/resources`, { uri: `note://${word}/secret`, name: marker, content: { text: marker } }) as { id: string };
  await post(admin, `${at}/resources`, { uri: `page://${word}/{page}`, name: marker, content: { url: 'https://backend.invalid/{page}' } });
  const own = await world.token('tenant-admin', tenant);
  await post(own, `${at}/plans`, { name: `${word}-plan`, title: marker, fee: '4711.00' });
  await post(own, `${at}/subscriptions`, { plan: `${word}-plan`, subscriber: marker });
  await json(own, { method: 'PUT', path: `${at}/budgets`, body: { cap: '4711.00' } });
  const key = await post(own, `${at}/keys`, { name: marker }) as { id?: string; key?: { id: string } };
  const rules = `policies: [{ name: ${word}-rule, description: ${marker}, tool: "never_*", rules: [{ condition: { field: a, operator: eq, value: 1 }, action: deny, message: ${marker} }] }]`;
  const applied = await json(admin, { method: 'PUT', path: `${at}/policies`, body: { files: { 'rules.yaml': rules } } }) as { digest: string };
  return { resourceId: made.id, keyId: key.id ?? key.key?.id ?? '', digest: applied.digest };
}

beforeAll(async () => {
  world = await openWorld();
  const admin = await world.token('cpi-admin');
  await fill(admin, 'acme', 'axthing', 'acme');
  const { resourceId, keyId, digest } = await fill(admin, 'globex', 'gxvault', MARKER);
  const globex = await world.token('tenant-admin', 'globex');
  owner = { name: 'globex itself', token: globex, tenant: 'globex', session: await sessionOf(globex) };
  const { result: { nextCursor: cursor } } = await json(globex, modern('tools/list', {})) as { result: { nextCursor: string } };
  const { result: { requestState: state } } = await json(globex, modern('tools/call', { name: 'gxvault_gone', arguments: {} })) as { result: { requestState: string } };
  const decided = modern('tools/call', { name: 'gxvault_read', arguments: {} });
  await json(globex, { ...decided, headers: { ...decided.headers, 'x-request-id': 'gxvault-request-1' } });
  // What it used is in its ledger before anybody asks.
  await vi.waitFor(async () => { if ((await json(globex, { method: 'GET', path: '/admin/v1/usage' }) as { rows: unknown[] }).rows.length === 0) throw new Error('globex used nothing yet'); }, { timeout: 20_000, interval: 100 });
  const { token: capability, jti } = await capabilityOf(globex, ['gxvault_read']);
  known = { tenant: 'globex', api: 'gxvault', tool: 'gxvault_read', gone: 'gxvault_gone', prompt: 'gxvault_prompt', uri: 'note://gxvault/secret', page: 'page://gxvault/1', resourceId, keyId, digest, request: 'gxvault-request-1', cursor, session: await sessionOf(globex), state, capability, jti };
  for (const [name, value] of Object.entries(known)) if (typeof value !== 'string' || value.length < 4) throw new Error(`globex has no ${name}`);
  unknown = {
    tenant: 'glabex', api: 'gxnulls', tool: 'gxnulls_read', gone: 'gxnulls_gone', prompt: 'gxnulls_prompt', uri: 'note://gxnulls/secret', page: 'page://gxnulls/1', resourceId: hash('sha256', 'note://gxnulls/secret').slice(0, 32), digest: randomBytes(32).toString('hex'), request: 'gxnulls-request-1', keyId: randomUUID(),
    cursor: likeness(known.cursor), session: likeness(known.session), state: likeness(known.state), capability: `${known.capability.slice(0, 60)}${likeness(known.capability.slice(60))}`, jti: likeness(known.jti),
  };
  const acme = async (role: string): Promise<Identity> => { const token = await world.token(role, 'acme'); return { name: `${role} of acme`, token, tenant: 'acme', session: await sessionOf(token) }; };
  const viewer = await acme('viewer');
  // A capability may name what it likes: naming another tenant's tool gives nothing.
  const { token: confined } = await capabilityOf(viewer.token ?? '', ['axthing_read', known.tool, unknown.tool]);
  const lone = await world.token('viewer');
  strangers = [
    { name: 'nobody', token: undefined, tenant: 'acme', session: undefined }, viewer, await acme('devops'), await acme('tenant-admin'), await acme('stoa.agent'),
    { name: 'a capability token of acme', token: confined, tenant: 'acme', session: await sessionOf(confined) },
    ...await keyIdentity(),
    { name: 'a viewer of no tenant', token: lone, tenant: 'acme', session: await sessionOf(lone) },
  ];
}, 120_000);
afterAll(() => world.close());

/** An API key of acme, where this process proves them. */
async function keyIdentity(): Promise<readonly Identity[]> {
  const made = await post(await world.token('tenant-admin', 'acme'), '/admin/v1/tenants/acme/keys', { name: 'k' }) as { secret?: string };
  const token = made.secret;
  if (token === undefined || (await ask(world, token, { method: 'GET', path: '/mcp/v1/tools' })).status !== 200) return [];
  return [{ name: 'an API key of acme', token, tenant: 'acme', session: await sessionOf(token) }];
}

/** What globex itself is told. */
const toldToOwner = async (path: string): Promise<string> => JSON.stringify(await json(owner.token, { method: 'GET', path }));
/** Other characters, of the same length. */
const likeness = (text: string): string => randomBytes(text.length).toString('base64url').slice(0, text.length);
/** What was asked for is echoed: the one name is put for the other, and nothing else may differ. */
const alike = (text: string): string => Object.keys(known).reduce((read, key) => read.replaceAll(known[key as keyof Names], unknown[key as keyof Names]), text)
  .replaceAll('gxvault', 'gxnulls').replaceAll('globex', 'glabex').replaceAll(/"(access_token|jti)":"[^"]*"/g, '"$1":""').replaceAll(/"requestState":"[^"]*"/g, '"requestState":""');
const normal = ({ status, headers, body }: Answer): object => ({ status, headers: JSON.parse(alike(JSON.stringify(headers))) as object, body: alike(body) });

const claiming = (asked: Asked, names: Names): Asked => ({ ...asked, headers: { ...asked.headers, 'x-tenant-id': names.tenant, 'x-consumer-id': names.tenant } });
/** Everything that one surface is asked, once for each set of names. */
const twins = (make: (names: Names, asker: Asker) => readonly Asked[], asker: Asker): readonly (readonly [Asked, Asked])[] => {
  const [a, b] = [make(known, asker), make(unknown, asker)];
  return a.flatMap((one, at) => {
    const other = b[at] ?? one;
    return [[one, other] as const, [claiming(one, known), claiming(other, unknown)] as const];
  });
};

let compared = 0;
async function leaks(make: (names: Names, asker: Asker) => readonly Asked[], identity: Identity): Promise<string[]> {
  const found: string[] = [];
  for (const [one, other] of twins(make, identity)) {
    const [a, b] = [await ask(world, identity.token, one), await ask(world, identity.token, other)];
    compared += 1;
    const what = `${one.method} ${one.path} ${typeof one.body === 'object' ? JSON.stringify(one.body).slice(0, 160) : ''}`;
    if (a.body.includes(MARKER) || JSON.stringify(a.headers).includes(MARKER)) found.push(`${what} shows globex's text`);
    if (JSON.stringify(normal(a)) !== JSON.stringify(normal(b))) found.push(`${what} tells globex's from nobody's: ${JSON.stringify(normal(a)).slice(0, 300)} / ${JSON.stringify(normal(b)).slice(0, 300)}`);
  }
  return found;
}
async function differs(make: (names: Names, asker: Asker) => readonly Asked[]): Promise<boolean> {
  const [a, b] = [make(known, owner), make(unknown, owner)];
  for (const [at, one] of a.entries()) {
    const answers = [await ask(world, owner.token, one), await ask(world, owner.token, b[at] ?? one)];
    if (JSON.stringify(normal(answers[0]!)) !== JSON.stringify(normal(answers[1]!)) || answers[0]!.body.includes(MARKER)) return true;
  }
  return false;
}

type Make = (names: Names, asker: Asker) => readonly Asked[];
const surfaces = (): readonly { readonly name: string; readonly make: Make; readonly owned: boolean }[] => [
  ...Object.entries(ROUTES).flatMap(([name, surface]) => ('ask' in surface ? [{ name, make: surface.ask, owned: surface.owned }] : [])),
  ...Object.entries(MODERN).map(([name, { params, owned }]) => ({ name: `2026-07-28 ${name}`, owned, make: (names: Names) => params(names).map((one) => modern(name, one)) })),
  ...Object.entries(LEGACY).map(([name, { params, owned }]) => ({ name: `2025 ${name}`, owned, make: (names: Names, { session }: Asker) => params(names).map((one) => legacy(name, one, session)) })),
];

describe('every surface is known here', () => {
  it('each route that the product registers, and no other', () => {
    expect(Object.keys(ROUTES).toSorted()).toEqual([...world.routes].toSorted());
  });
  it('each method of both eras, and no other', () => {
    expect(Object.keys(MODERN).toSorted()).toEqual([...modernMethods(ownMethods(undefined as never, undefined as never)).keys()].toSorted());
    expect(Object.keys(LEGACY).toSorted()).toEqual([...LEGACY_METHODS.keys()].toSorted());
  });
});

describe('what is globex\'s', () => {
  it('is a plan, a subscription, a budget, usage, entries of the ledger and a bill, beside tools and documents', async () => {
    for (const path of ['plans', 'subscriptions', 'policies']) expect([path, await toldToOwner(`/admin/v1/tenants/globex/${path}`)]).toEqual([path, expect.stringMatching(new RegExp(`${MARKER}|${known.digest}`))]);
    expect(await toldToOwner('/admin/v1/tenants/globex/budgets')).toContain('4711');
    for (const path of ['usage', 'ledger']) expect([path, await toldToOwner(`/admin/v1/${path}?tenant=globex`)]).toEqual([path, expect.stringContaining(known.tool)]);
    expect(await toldToOwner(`/admin/v1/bills?tenant=globex&month=${new Date().toISOString().slice(0, 7)}`)).toContain('4711');
    expect(await toldToOwner(`/admin/v1/tenants/globex/decisions/${known.request}`)).toContain(known.tool);
  });
  it('is there to be seen by globex itself, wherever others are asked to see it', { timeout: 60_000 }, async () => {
    const blind: string[] = [];
    for (const { name, make, owned } of surfaces()) if (owned && !await differs(make)) blind.push(name);
    expect(blind).toEqual([]);
  });

  it('is to every other identity, at every surface and in every position, what nobody has: byte for byte', { timeout: 120_000 }, async () => {
    const found: string[] = [];
    for (const identity of strangers) for (const { name, make } of surfaces()) for (const leak of await leaks(make, identity)) found.push(`${identity.name} · ${name} · ${leak}`);
    console.info(`isolation: ${strangers.length} identities × ${surfaces().length} surfaces, ${compared} pairs of answers compared, ${found.length} leaks`);
    expect(found).toEqual([]);
  });

  it('is in nothing that answers all alike', { timeout: 60_000 }, async () => {
    const found: string[] = [];
    for (const [route, surface] of Object.entries(ROUTES)) {
      if (!('common' in surface) || !route.startsWith('GET ') || route.includes(':') || route.includes('*')) continue;
      for (const { name, token } of strangers) if ((await ask(world, token, { method: 'GET', path: route.slice(4) })).body.includes(MARKER)) found.push(`${name} · ${route}`);
    }
    expect(found).toEqual([]);
  });

  it('is unchanged by all that others tried', { timeout: 60_000 }, async () => {
    const still = async (path: string): Promise<string> => JSON.stringify(await json(owner.token, { method: 'GET', path: `/admin/v1/tenants/globex${path}` }));
    expect(await still('')).toContain(MARKER);
    for (const [path, name] of [['/apis', known.api], ['/prompts', known.prompt], ['/resources', known.uri], ['/keys', known.keyId]] as const) expect(await still(path)).toContain(name);
    expect(await still(`/tools/${known.tool}`)).toContain('"enabled":true');
    expect(await still(`/keys/${known.keyId}`)).toMatch(/"revokedAt":null/);
    expect((await ask(world, known.capability, { method: 'GET', path: '/mcp/v1/tools' })).body).toContain(known.tool);
    expect((await ask(world, owner.token, legacy('ping', {}, known.session))).status).toBe(200);
  });

  it('is told to no stream of another tenant: of two changes it hears its own', { timeout: 60_000 }, async () => {
    const asked = modern('subscriptions/listen', { notifications: { promptsListChanged: true, resourcesListChanged: true, resourceSubscriptions: [known.uri] } });
    const gone = new AbortController();
    const stream = await fetch(`${world.url}${asked.path}`, { method: 'POST', signal: gone.signal, headers: { ...asked.headers, 'content-type': 'application/json', authorization: `Bearer ${strangers[1]?.token ?? ''}` }, body: JSON.stringify(asked.body) });
    const admin = await world.token('cpi-admin');
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of stream.body ?? []) {
      const acknowledged = text.includes('acknowledged');
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (!acknowledged && text.includes('acknowledged')) {
        await json(admin, { method: 'PUT', path: `/admin/v1/tenants/globex/resources/${known.resourceId}`, body: { uri: known.uri, name: MARKER, content: { text: `${MARKER} changed` } } });
        await post(admin, '/admin/v1/tenants/globex/resources', { uri: 'note://gxvault/new', name: MARKER, content: { text: MARKER } });
        await post(admin, '/admin/v1/tenants/acme/prompts', { name: 'axthing_new', messages: [{ role: 'user', text: 'x' }] });
      }
      if (text.includes('prompts/list_changed')) break;
    }
    gone.abort();
    expect(text).not.toMatch(/notifications\/resources/);
    expect(text).not.toContain(MARKER);
  });

  it('is the platform administrator\'s to see, and to call it is its own tenant\'s alone', async () => {
    const admin = await world.token('cpi-admin');
    const seen = async (path: string): Promise<Answer> => ask(world, admin, { method: 'GET', path });
    expect((await seen('/admin/v1/tenants/globex')).body).toContain(MARKER);
    expect((await seen(`/mcp/v1/tools?tenant_id=globex&search=${known.tool}`)).body).toContain(known.tool);
    expect((await ask(world, admin, { method: 'POST', path: `/mcp/v1/tools/${known.tool}/invoke`, body: { arguments: {} } })).status).toBe(404);
  });

  it('is no row to a transaction of another tenant, whatever it asks of which table', async () => {
    const database = world.app.get<SqlDatabase>(SQL_DATABASE, { strict: false });
    const [acme, globex] = [tenantSlug('acme'), tenantSlug('globex')];
    if (!acme || !globex) throw new Error('no slugs');
    const tables = await database.control((sql) => sql.query<{ name: string; key: string }>(
      `SELECT c.relname::text AS name, a.attname::text AS key FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attname IN ('tenant', 'tenant_id') AND NOT a.attisdropped`));
    expect(tables.length).toBeGreaterThanOrEqual(5);
    const rows = (who: TenantSlug, name: string, key: string) => database.tenant(who, (sql) => sql.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${name} WHERE ${key} = 'globex'`)).then(([row]) => row?.n ?? 0);
    const [seen, own]: [string[], string[]] = [[], []];
    for (const { name, key } of tables) {
      if (await rows(acme, name, key) > 0) seen.push(name);
      if (await rows(globex, name, key) > 0) own.push(name);
    }
    expect(seen).toEqual([]);
    // What globex itself sees is what there is to be kept.
    expect(own.length).toBeGreaterThanOrEqual(5);
  });
});
