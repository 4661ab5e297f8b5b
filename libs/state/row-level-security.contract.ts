import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '#libs/api-keys/api-key-secret.js';
import { databaseApiKeyStore } from './api-keys.js';
import { slug } from './control-store.contract.js';
import { databaseControlStore } from './control-store.js';
import type { Database } from './database.js';
import { databasePolicyStore } from './policies.js';
import { draftOf, petTool } from './pet-draft.contract.js';

const count = async (rows: Promise<{ n: bigint }[]>): Promise<number> => Number((await rows)[0]?.n);

/** `database` belongs to a superuser in both engines: only the role taken on for each transaction makes the policies apply. */
export function rowLevelSecurityContract(name: string, open: () => Promise<{ readonly database: Database; readonly close: () => Promise<void> }>): void {
  describe(`row-level security: ${name}`, () => {
    const [acme, globex] = [slug('acme'), slug('globex')];
    let database: Database;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ database, close } = await open());
      const store = databaseControlStore(database);
      for (const tenant of [acme, globex]) {
        await store.createTenant({ slug: tenant, displayName: tenant, description: '' });
        await store.putApi(tenant, draftOf({ tools: [petTool('listPets')] }));
        await store.putPrompt(tenant, { name: 'p', description: '', arguments: [], messages: [], tags: [] });
        await databaseApiKeyStore(database).create(tenant, { name: 'k', digest: digestOf(tenant), prefix: '', owner: { issuer: '', subject: '' }, roles: [], scopes: [], tools: undefined, stepUp: false, expiresAt: new Date() });
        await databasePolicyStore(database).put({ scope: tenant, digest: digestOf(tenant), files: {}, createdBy: '' });
        await store.putResource(tenant, { uri: 'note://a', name: '', description: '', mimeType: 'text/plain', tags: [], content: { text: '' } });
      }
    });
    afterAll(() => close());

    const tables = ['apis', 'api_contents', 'tools', 'prompts', 'resources'];
    /** Of whose rows a tenant may only change some columns, and delete none. */
    const guarded = ['api_keys', 'policies'];
    /** That no tenant sees. */
    const common = ['policy_modules'];

    it('covers every table of the product, forced for its owner', async () => {
      const rows = await database.session((session) => session.query<{ relname: string; relrowsecurity: boolean; relforcerowsecurity: boolean }>(
        `SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '_prisma_migrations' ORDER BY relname`));
      expect(rows.map((row) => row.relname)).toEqual([...tables, ...guarded, ...common, 'tenants'].toSorted());
      expect(rows.filter((row) => !row.relrowsecurity || !row.relforcerowsecurity)).toEqual([]);
    });

    it('uses roles that neither log in nor bypass it', async () => {
      const roles = await database.session((session) => session.query(`SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname LIKE 'stoa_%' ORDER BY rolname`));
      const nothing = { rolsuper: false, rolbypassrls: false, rolcanlogin: false, rolcreaterole: false };
      expect(roles).toEqual([{ rolname: 'stoa_app', ...nothing }, { rolname: 'stoa_control', ...nothing }]);
    });

    it('takes the role on in each transaction and gives it back after', async () => {
      expect(await database.tenant(acme, (transaction) => transaction.$queryRaw`SELECT current_user::text AS "user", current_setting('app.tenant') AS tenant`)).toEqual([{ user: 'stoa_app', tenant: 'acme' }]);
      expect(await database.control((transaction) => transaction.$queryRaw`SELECT current_user::text AS "user"`)).toEqual([{ user: 'stoa_control' }]);
      const [after] = await database.session((session) => session.query<{ user: string; tenant: string | null }>(`SELECT current_user::text AS "user", nullif(current_setting('app.tenant', true), '') AS tenant`));
      expect(after).toEqual({ user: 'postgres', tenant: null });
    });

    it.each([...tables, ...guarded, 'tenants'])('gives no row of %s to a query without a tenant', async (table) => {
      const n = await database.tenant('' as never, (transaction) => count(transaction.$queryRawUnsafe(`SELECT count(*) AS n FROM ${table}`)));
      expect(n).toBe(0);
    });

    it.each([...tables, ...guarded])("reads of %s its own rows only, even when the query asks for another's", async (table) => {
      await database.tenant(acme, async (transaction) => {
        expect(await count(transaction.$queryRawUnsafe(`SELECT count(*) AS n FROM ${table}`))).toBe(1);
        expect(await count(transaction.$queryRawUnsafe(`SELECT count(*) AS n FROM ${table} WHERE tenant = 'globex'`))).toBe(0);
      });
    });

    it.each(tables)("neither updates nor deletes another tenant's rows of %s", async (table) => {
      await database.tenant(acme, async (transaction) => {
        expect(await transaction.$executeRawUnsafe(`UPDATE ${table} SET tenant = tenant WHERE tenant = 'globex'`)).toBe(0);
        expect(await transaction.$executeRawUnsafe(`DELETE FROM ${table} WHERE tenant = 'globex'`)).toBe(0);
      });
    });

    it("changes no API key of another tenant, nor makes one for it", async () => {
      await database.tenant(acme, async (transaction) => {
        expect(await transaction.$executeRaw`UPDATE api_keys SET revoked_at = now() WHERE tenant = 'globex'`).toBe(0);
      });
      await expect(database.tenant(acme, (transaction) => transaction.$executeRaw`INSERT INTO api_keys (tenant, name, digest, prefix, issuer, subject, expires_at) VALUES ('globex', '', repeat('0', 64), '', '', '', now())`)).rejects.toThrow(/row-level security/);
    });

    it.each(tables)('cannot give a row of %s to another tenant, nor insert one for it', async (table) => {
      const rows = await database.tenant(acme, (transaction) => transaction.$queryRawUnsafe<object[]>(`SELECT * FROM ${table}`));
      expect(rows).toHaveLength(1);
      await expect(database.tenant(acme, (transaction) => transaction.$executeRawUnsafe(`UPDATE ${table} SET tenant = 'globex'`))).rejects.toThrow(/row-level security/);
      await expect(database.tenant(acme, (transaction) => transaction.$executeRawUnsafe(
        `INSERT INTO ${table} SELECT (jsonb_populate_record(row, '{"tenant": "globex"}')).* FROM ${table} AS row`))).rejects.toThrow(/row-level security/);
    });

    it('reads and changes no other row of tenants, and cannot rename, make or delete one', async () => {
      await database.tenant(acme, async (transaction) => {
        expect(await transaction.$queryRaw`SELECT slug FROM tenants`).toEqual([{ slug: 'acme' }]);
        expect(await transaction.$executeRaw`UPDATE tenants SET enabled = false WHERE slug = 'globex'`).toBe(0);
      });
      for (const statement of [`UPDATE tenants SET slug = 'other'`, `INSERT INTO tenants (slug, display_name) VALUES ('other', '')`, `DELETE FROM tenants`]) {
        await expect(database.tenant(acme, (transaction) => transaction.$executeRawUnsafe(statement))).rejects.toThrow(/permission denied/);
      }
    });

    it('lets the control role see the list of tenants and of APIs, and nothing else of a tenant', async () => {
      await database.control(async (transaction) => {
        expect(await transaction.$queryRaw`SELECT slug FROM tenants ORDER BY slug`).toEqual([{ slug: 'acme' }, { slug: 'globex' }]);
        expect(await transaction.$queryRaw`SELECT tenant FROM api_keys`).toEqual([]);
        expect(await transaction.$queryRaw`SELECT tenant FROM apis ORDER BY tenant`).toEqual([{ tenant: 'acme' }, { tenant: 'globex' }]);
      });
      for (const statement of ['DELETE FROM apis', ...['api_contents', 'tools', 'prompts', 'resources'].map((table) => `SELECT * FROM ${table}`)]) {
        await expect(database.control((transaction) => transaction.$executeRawUnsafe(statement))).rejects.toThrow(/permission denied/);
      }
    });
  });
}
