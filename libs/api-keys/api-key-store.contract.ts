import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiKeyDirectory, ApiKeyDraft, ApiKeyRecord, ApiKeyStore } from '#libs/core/api-key.js';
import { tenantSlug, type TenantSlug } from '#libs/core/tenant.js';
import { digestOf, newApiKeySecret } from './api-key-secret.js';

export interface OpenApiKeyStore {
  readonly store: ApiKeyStore;
  readonly directory: ApiKeyDirectory;
  readonly createTenant: (tenant: TenantSlug) => Promise<void>;
  readonly deleteTenant: (tenant: TenantSlug) => Promise<void>;
  readonly close: () => Promise<void>;
}
const slug = (text: string): TenantSlug => tenantSlug(text) ?? expect.unreachable(text);
const [ACME, GLOBEX, NOBODY] = [slug('acme'), slug('globex'), slug('nobody')];
const FAR = new Date('2099-01-01T00:00:00.000Z');

export const draftOf = (more: Partial<ApiKeyDraft> = {}): ApiKeyDraft & { readonly secret: string } => ({
  name: 'robot', owner: { issuer: 'https://issuer.test', subject: 'ada' }, roles: ['stoa.agent'], scopes: [], tools: ['weather_forecast'], stepUp: false, expiresAt: FAR, ...newApiKeySecret(), ...more,
});
/** What the port takes: without the secret, which no store ever sees. */
const create = async (store: ApiKeyStore, tenant: TenantSlug, { secret: _secret, ...draft } = draftOf()): Promise<ApiKeyRecord> => store.create(tenant, draft);

export function apiKeyStoreContract(name: string, open: () => Promise<OpenApiKeyStore>): void {
  describe(`API keys: ${name}`, () => {
    let opened: OpenApiKeyStore;
    let store: ApiKeyStore;
    let directory: ApiKeyDirectory;
    beforeAll(async () => {
      opened = await open();
      ({ store, directory } = opened);
      for (const tenant of [ACME, GLOBEX]) await opened.createTenant(tenant); // oxlint-disable-line no-await-in-loop -- two
    });
    afterAll(() => opened.close());
    const opens = async (...secrets: readonly string[]): Promise<readonly string[]> => {
      const found = await directory.find(secrets.map(digestOf));
      return secrets.filter((secret) => found.some(({ digest }) => digest === digestOf(secret)));
    };

    it('keeps every field of a key, and finds it by the digest of its secret', async () => {
      const draft = draftOf({ roles: ['viewer', 'devops'], scopes: ['custom:thing'], stepUp: true });
      const made = await create(store, ACME, draft);
      expect(made).toMatchObject({ tenant: 'acme', name: 'robot', prefix: draft.secret.slice(0, 12), owner: { issuer: 'https://issuer.test', subject: 'ada' }, roles: ['viewer', 'devops'], scopes: ['custom:thing'], tools: ['weather_forecast'], stepUp: true, expiresAt: FAR, rotatedAt: undefined, graceUntil: undefined, revokedAt: undefined });
      expect(await store.get(ACME, made.id)).toEqual(made);
      expect(await directory.find([draft.digest, digestOf('stoa_sk_other')])).toEqual([{ digest: draft.digest, key: made, until: FAR }]);
      const unlimited = await create(store, ACME, draftOf({ tools: undefined, roles: [] }));
      expect(await store.get(ACME, unlimited.id)).toMatchObject({ tools: undefined, roles: [] });
    });
    it('finds nothing without a digest, and nothing by anything else', async () => {
      const made = await create(store, ACME);
      expect(await directory.find([])).toEqual([]);
      expect(await directory.find(['', '%', made.id, made.prefix])).toEqual([]);
    });
    it('lists the keys of one tenant, the newest first, and shows no secret or digest of any', async () => {
      const draft = draftOf({ name: 'in globex' });
      await create(store, GLOBEX, draft);
      const listed = await store.list(GLOBEX);
      expect(listed.map((key) => key.name)).toEqual(['in globex']);
      expect(JSON.stringify(listed)).not.toMatch(new RegExp(`${draft.digest}|${draft.secret}`));
    });
    it('after a rotation opens by both secrets, the older one until the end of the grace alone', async () => {
      const [old, next] = [draftOf(), newApiKeySecret()];
      const { id } = await create(store, ACME, old);
      const grace = new Date('2030-01-01T00:00:00.000Z');
      const rotated = await store.rotate(ACME, id, next, grace);
      expect(rotated).toMatchObject({ id, prefix: next.prefix, graceUntil: grace, rotatedAt: expect.any(Date) as Date });
      const found = await directory.find([old.digest, next.digest]);
      expect(Object.fromEntries(found.map(({ digest, until }) => [digest, until]))).toEqual({ [old.digest]: grace, [next.digest]: FAR });
    });
    it('opens by two secrets at most: a second rotation ends the oldest at once', async () => {
      const [first, second, third] = [draftOf(), newApiKeySecret(), newApiKeySecret()];
      const { id } = await create(store, ACME, first);
      await store.rotate(ACME, id, second, FAR);
      await store.rotate(ACME, id, third, FAR);
      expect(await opens(first.secret, second.secret, third.secret)).toEqual([second.secret, third.secret]);
    });
    it('opens by none of its secrets once revoked, stays in the list, and gets no new one', async () => {
      const [old, next] = [draftOf(), newApiKeySecret()];
      const { id } = await create(store, ACME, old);
      await store.rotate(ACME, id, next, FAR);
      const revoked = await store.revoke(ACME, id);
      expect(revoked.revokedAt).toBeInstanceOf(Date);
      expect(await opens(old.secret, next.secret)).toEqual([]);
      expect(await store.revoke(ACME, id)).toEqual(revoked);
      expect((await store.list(ACME)).map((key) => key.id)).toContain(id);
      await expect(store.rotate(ACME, id, newApiKeySecret(), FAR)).rejects.toMatchObject({ code: 'NO_SUCH_RECORD' });
    });
    it("is not there for another tenant, exactly as one that never was", async () => {
      const draft = draftOf();
      const { id } = await create(store, ACME, draft);
      for (const unknown of [id, '7d9f2f2e-0000-4000-8000-000000000000', 'no uuid', "'; DROP TABLE api_keys"]) {
        const refusal = { code: 'NO_SUCH_RECORD', message: `API key ${unknown} does not exist` };
        /* oxlint-disable no-await-in-loop -- a handful */
        await expect(store.get(GLOBEX, unknown)).rejects.toMatchObject(refusal);
        await expect(store.revoke(GLOBEX, unknown)).rejects.toMatchObject(refusal);
        await expect(store.rotate(GLOBEX, unknown, newApiKeySecret(), FAR)).rejects.toMatchObject(refusal);
        /* oxlint-enable no-await-in-loop */
      }
      expect(await opens(draft.secret)).toEqual([draft.secret]);
    });
    it('rejects for a tenant that does not exist', async () => {
      for (const refused of [() => create(store, NOBODY), () => store.list(NOBODY), () => store.get(NOBODY, 'x'), () => store.revoke(NOBODY, 'x')]) await expect(refused()).rejects.toMatchObject({ code: 'NO_SUCH_RECORD', noun: 'Tenant' }); // oxlint-disable-line no-await-in-loop -- a handful
    });
    it('tells of rotations and revocations by the id of the key', async () => {
      const { id } = await create(store, ACME);
      const heard: string[] = [];
      const stop = await directory.watch((changed) => heard.push(changed));
      await store.rotate(ACME, id, newApiKeySecret(), FAR);
      await expect.poll(() => heard, { timeout: 5000 }).toEqual([id]);
      await store.revoke(ACME, id);
      await expect.poll(() => heard, { timeout: 5000 }).toEqual([id, id]);
      await stop();
    });
    it('ends with its tenant', async () => {
      const draft = draftOf();
      await opened.createTenant(slug('short-lived'));
      await create(store, slug('short-lived'), draft);
      expect(await opens(draft.secret)).toEqual([draft.secret]);
      await opened.deleteTenant(slug('short-lived'));
      expect(await opens(draft.secret)).toEqual([]);
    });
  });
}
