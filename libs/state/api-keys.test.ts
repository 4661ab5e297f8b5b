import { expect, it } from 'vitest';
import { apiKeyStoreContract, draftOf } from '#libs/api-keys/api-key-store.contract.js';
import { databaseApiKeyDirectory, databaseApiKeyStore } from './api-keys.js';
import { slug } from './control-store.contract.js';
import { databaseControlStore } from './control-store.js';
import { type Database, openDatabase } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { migrate } from './migrate.js';

async function open(): Promise<{ readonly database: Database; readonly close: () => Promise<void> }> {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  return { database, close: async () => { await database.close(); await remove(); } };
}

apiKeyStoreContract('PGlite', async () => {
  const { database, close } = await open();
  const tenants = databaseControlStore(database);
  return {
    store: databaseApiKeyStore(database), directory: databaseApiKeyDirectory(database), close,
    createTenant: async (tenant) => { await tenants.createTenant({ slug: tenant, displayName: tenant, description: '' }); },
    deleteTenant: (tenant) => tenants.deleteTenant(tenant),
  };
});

it('the database holds no secret, and shows across tenants only what is named by its digest', async () => {
  const { database, close } = await open();
  await databaseControlStore(database).createTenant({ slug: slug('acme'), displayName: '', description: '' });
  const { secret, ...draft } = draftOf();
  await databaseApiKeyStore(database).create(slug('acme'), draft);
  await databaseApiKeyStore(database).create(slug('acme'), draftOf({ name: 'other' }));
  const rows = await database.session((session) => session.query('SELECT api_keys::text AS row FROM api_keys'));
  expect(rows).toHaveLength(2);
  expect(JSON.stringify(rows)).toContain(draft.digest);
  expect(JSON.stringify(rows)).not.toContain(secret.slice(12));

  const seen = (digests: string | undefined) => database.control(async (transaction) => {
    if (digests !== undefined) await transaction.$queryRaw`SELECT set_config('app.key_digests', ${digests}, true)`;
    return transaction.$queryRaw<{ name: string }[]>`SELECT name FROM api_keys`;
  });
  expect(await seen(undefined)).toEqual([]);
  expect(await seen('')).toEqual([]);
  expect(await seen(draft.digest)).toEqual([{ name: 'robot' }]);
  await expect(database.control((transaction) => transaction.$executeRaw`UPDATE api_keys SET revoked_at = NULL`)).rejects.toThrow(/permission denied/);
  await expect(database.tenant(slug('acme'), (transaction) => transaction.$executeRaw`UPDATE api_keys SET roles = '{cpi-admin}'`)).rejects.toThrow(/permission denied/);
  await expect(database.tenant(slug('acme'), (transaction) => transaction.$executeRaw`DELETE FROM api_keys`)).rejects.toThrow(/permission denied/);
  await close();
});
