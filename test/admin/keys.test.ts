import { beforeEach, describe, expect, it } from 'vitest';
import { digestOf } from '#libs/api-keys/api-key-secret.js';
import { FakeApiKeyStore } from '#libs/api-keys/fake-api-key-store.js';
import { grantedScopes } from '#libs/auth/scopes.js';
import type { Principal } from '#libs/core/principal.js';
import { ACME, document, harness, type Harness, slug } from './harness.js';

interface Shown { readonly key: Record<string, unknown> & { readonly id: string }; readonly secret: string }
const NOW = new Date('2026-11-21T00:00:00.000Z');
let on: Harness;
let keys: FakeApiKeyStore;
/** What the next callers are, beside what the harness makes of the role. */
let facts: Partial<Principal>;
beforeEach(async () => {
  keys = new FakeApiKeyStore(() => NOW);
  for (const tenant of ['acme', 'globex']) keys.tenants.add(slug(tenant));
  facts = {};
  // `trustRoleHeader` comes after: the principal is read when the request is handled.
  on = await harness({ apiKeys: keys, now: () => NOW }, {}, (server) => {
    server.addHook('preParsing', (request, _reply, _payload, done) => {
      const holder = request as { principal?: Principal };
      if (holder.principal) holder.principal = { ...holder.principal, scopes: grantedScopes([], holder.principal.roles), ...facts };
      done();
    });
  });
  for (const tenant of ['acme', 'globex']) await on.ask('cpi-admin', 'POST /tenants', { slug: tenant }); // oxlint-disable-line no-await-in-loop -- two
  await on.ask('cpi-admin', 'POST /tenants/acme/apis', { name: 'pets', source: { inline: JSON.stringify(document({ listPets: 'all' })) } });
  return () => on.app.close();
});
const make = async (body: object = {}, role = 'tenant-admin@acme') => on.ask(role, 'POST /tenants/acme/keys', body);
const made = async (body: object = {}): Promise<Shown> => (await make(body)).json<Shown>();
const opens = async (secret: string): Promise<boolean> => (await keys.find([digestOf(secret)])).some(({ until }) => until > NOW);

describe('an API key', () => {
  it('is shown once, with an end, a default role and the tools that it is limited to', async () => {
    const answer = await make({ name: 'robot', tools: ['listPets', 'stoa_platform_info'], ttlSeconds: 86_400 });
    expect(answer.statusCode).toBe(201);
    const { key, secret } = answer.json<Shown>();
    expect(secret).toMatch(/^stoa_sk_[A-Za-z0-9_-]{43}$/);
    expect(key).toEqual({
      id: key.id, name: 'robot', prefix: secret.slice(0, 12), owner: { issuer: 'https://issuer.test', subject: 'ada' }, roles: ['stoa.agent'], scopes: [], tools: ['listPets', 'stoa_platform_info'], stepUp: false, status: 'active',
      expiresAt: '2026-11-22T00:00:00.000Z', createdAt: NOW.toISOString(), rotatedAt: null, graceUntil: null, revokedAt: null,
    });
    expect(await opens(secret)).toBe(true);
    for (const route of ['GET /tenants/acme/keys', `GET /tenants/acme/keys/${key.id}`]) expect((await on.ask('tenant-admin@acme', route)).body).not.toContain(secret.slice(12)); // oxlint-disable-line no-await-in-loop -- two
  });
  it('is rotated with a grace, and revoked for good', async () => {
    const first = await made();
    const rotated = (await on.ask('tenant-admin@acme', `POST /tenants/acme/keys/${first.key.id}/rotate`, { graceSeconds: 3600 })).json<Shown>();
    expect(rotated.key).toMatchObject({ id: first.key.id, graceUntil: '2026-11-21T01:00:00.000Z', status: 'active' });
    expect([await opens(first.secret), await opens(rotated.secret)]).toEqual([true, true]);
    const again = (await on.ask('tenant-admin@acme', `POST /tenants/acme/keys/${first.key.id}/rotate`, { graceSeconds: 0 })).json<Shown>();
    expect([await opens(first.secret), await opens(rotated.secret), await opens(again.secret)]).toEqual([false, false, true]);
    expect((await on.ask('tenant-admin@acme', `DELETE /tenants/acme/keys/${first.key.id}`)).statusCode).toBe(204);
    expect(await opens(again.secret)).toBe(false);
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/acme/keys')).json()).toMatchObject({ keys: [{ status: 'revoked' }] });
    expect((await on.ask('tenant-admin@acme', `POST /tenants/acme/keys/${first.key.id}/rotate`, {})).statusCode).toBe(409);
  });
  it('of another tenant is one that never was', async () => {
    const { key } = await made();
    for (const [method, path] of [['GET', ''], ['POST', '/rotate'], ['DELETE', '']] as const) {
      // oxlint-disable-next-line no-await-in-loop -- three
      const [theirs, nobodys] = await Promise.all([key.id, '7d9f2f2e-0000-4000-8000-000000000000'].map((id) => on.ask('tenant-admin@globex', `${method} /tenants/globex/keys/${id}${path}`, method === 'POST' ? {} : undefined)));
      expect([theirs?.statusCode, theirs?.body]).toEqual([404, nobodys?.body.replace('7d9f2f2e-0000-4000-8000-000000000000', key.id)]);
    }
    expect((await keys.get(ACME, key.id)).revokedAt).toBeUndefined();
  });
  it.each([
    { name: 'a tool that the tenant does not have', body: { tools: ['listPets', 'lsitPets'] }, says: ['body', 'tools', 1] },
    { name: 'an empty list of tools', body: { tools: [] }, says: ['body', 'tools'] },
    { name: 'an end in a second', body: { ttlSeconds: 1 }, says: ['body', 'ttlSeconds'] },
    { name: 'an end in two years', body: { ttlSeconds: 2 * 366 * 86_400 }, says: ['body', 'ttlSeconds'] },
    { name: 'neither role nor scope', body: { roles: [] }, says: ['body', 'roles'] },
    { name: 'a scope that is two', body: { scopes: ['a b'] }, says: ['body', 'scopes', 0] },
    { name: 'a digest of the caller\'s choice', body: { digest: 'x' }, says: ['body'] },
  ])('is not made with $name', async ({ body, says }) => {
    const answer = await make(body);
    expect([answer.statusCode, answer.json<{ detail: { loc: unknown }[] }>().detail[0]?.loc]).toEqual([422, says]);
    expect(await keys.list(ACME)).toEqual([]);
  });
});

describe('a key is never more than its maker', () => {
  it.each([
    { maker: 'tenant-admin', roles: ['tenant-admin', 'devops', 'viewer', 'stoa.agent', 'stoa.developer', 'stoa.consumer', 'stoa.product_owner'], status: 201 },
    { maker: 'cpi-admin', roles: ['tenant-admin', 'team-lead'], status: 201 },
    { maker: 'tenant-admin', roles: ['cpi-admin'], status: 422 },
    { maker: 'tenant-admin', roles: ['viewer', 'stoa.admin'], status: 422 },
    { maker: 'tenant-admin', roles: ['stoa.security'], status: 422 },
    { maker: 'tenant-admin', roles: ['team-lead'], status: 422 },
    { maker: 'tenant-admin+team-lead', roles: ['team-lead'], status: 201 },
    { maker: 'cpi-admin', roles: ['cpi-admin'], status: 422 },
    { maker: 'cpi-admin', roles: ['stoa.admin'], status: 422 },
    { maker: 'tenant-admin', scopes: ['stoa:read'], status: 201 },
    { maker: 'tenant-admin', scopes: ['stoa:admin'], status: 422 },
    { maker: 'tenant-admin', scopes: ['stoa:break-glass'], status: 422 },
  ])('$maker gives $roles $scopes: $status', async ({ maker, status, ...body }) => { expect((await make(body, `${maker}@acme`)).statusCode).toBe(status); });

  it('nor made or rotated by a key, and nobody who may only call tools administers anything', async () => {
    const { key } = await made();
    facts = { credential: 'api-key' };
    for (const route of ['POST /tenants/acme/keys', `POST /tenants/acme/keys/${key.id}/rotate`, `DELETE /tenants/acme/keys/${key.id}`]) {
      expect((await on.ask('tenant-admin@acme', route, route.startsWith('POST') ? {} : undefined)).statusCode).toBe(403); // oxlint-disable-line no-await-in-loop -- three
    }
    facts = { allowedTools: new Set(['listPets']) };
    expect((await on.ask('cpi-admin', 'GET /tenants')).json()).toEqual({ detail: 'Access denied: this credential calls tools and does nothing else' });
  });
  it('nor rotated by somebody who holds less than it', async () => {
    const { key } = (await make({ roles: ['team-lead'] }, 'cpi-admin')).json<Shown>();
    expect((await on.ask('tenant-admin@acme', `POST /tenants/acme/keys/${key.id}/rotate`, {})).statusCode).toBe(403);
    expect((await on.ask('cpi-admin', `POST /tenants/acme/keys/${key.id}/rotate`, {})).statusCode).toBe(200);
  });
});

describe('step-up', () => {
  it('a key that asks for it is rotated after a sign-in with a second factor alone', async () => {
    const { key, secret } = await made({ stepUp: true });
    const rotate = async (acr?: string) => { facts = acr === undefined ? {} : { acr }; return on.ask('tenant-admin@acme', `POST /tenants/acme/keys/${key.id}/rotate`, {}); };
    for (const acr of [undefined, '1', 'totp mfa', '']) {
      const refused = await rotate(acr); // oxlint-disable-line no-await-in-loop -- four
      expect([refused.statusCode, refused.headers['x-step-up-auth'], refused.headers['www-authenticate']]).toEqual([403, 'totp', 'Bearer error="insufficient_user_authentication", acr_values="totp mfa"']);
      expect(refused.body).not.toContain('stoa_sk_');
    }
    expect(await opens(secret)).toBe(true);
    expect((await rotate('totp')).json<Shown>().secret).toMatch(/^stoa_sk_/);
  });
  it('is not asked for otherwise', async () => {
    const { key } = await made();
    expect((await on.ask('tenant-admin@acme', `POST /tenants/acme/keys/${key.id}/rotate`, {})).statusCode).toBe(200);
  });
});

it('are told to be off where they are', async () => {
  const off = await harness();
  expect((await off.ask('cpi-admin', 'GET /tenants/acme/keys')).json()).toEqual({ detail: 'API keys are switched off here' });
  await off.app.close();
});
