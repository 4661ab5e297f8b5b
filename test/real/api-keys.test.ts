import { afterAll, beforeAll, expect, it } from 'vitest';
import { newApiKeySecret } from '#libs/api-keys/api-key-secret.js';
import { apiKeyStoreContract, draftOf } from '#libs/api-keys/api-key-store.contract.js';
import { ApiKeyVerifier } from '#libs/api-keys/api-key-verifier.js';
import { Denial } from '#libs/core/errors.js';
import { databaseApiKeyDirectory, databaseApiKeyStore } from '#libs/state/api-keys.js';
import { slug } from '#libs/state/control-store.contract.js';
import { databaseControlStore } from '#libs/state/control-store.js';
import { type Database, openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { type PostgresServer, startPostgres } from './services/postgres.js';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres(); });
afterAll(() => server.stop());

apiKeyStoreContract('Postgres', async () => {
  const database = await openDatabase({ url: await server.database() });
  await migrate(database);
  const tenants = databaseControlStore(database);
  return {
    store: databaseApiKeyStore(database), directory: databaseApiKeyDirectory(database), close: () => database.close(),
    createTenant: async (tenant) => { await tenants.createTenant({ slug: tenant, displayName: tenant, description: '' }); },
    deleteTenant: (tenant) => tenants.deleteTenant(tenant),
  };
});

/** A data plane of its own: connections, memory and clock are not shared with the others. */
async function replica(url: string, hears: boolean): Promise<{ readonly says: (secret: string) => Promise<string>; readonly stop: () => Promise<void> }> {
  const database: Database = await openDatabase({ url });
  const directory = databaseApiKeyDirectory(database);
  const verifier = new ApiKeyVerifier({ directory, grantedScopes: () => new Set() });
  const silence = hears ? await directory.watch((id) => { verifier.forget(id); }) : async () => undefined;
  const timer = setInterval(() => void verifier.refresh(), 700);
  return {
    says: async (secret) => { const answer = await verifier.verify(secret); return answer instanceof Denial ? 'refused' : answer.subject; },
    stop: async () => { clearInterval(timer); await silence(); await database.close(); },
  };
}

it.each([{ name: 'that hear of it', hears: true }, { name: 'that hear nothing', hears: false }])('a revocation holds within 2 s in three replicas $name, calls going on all the while', async ({ hears }) => {
  const url = await server.database();
  const control = await openDatabase({ url });
  await migrate(control);
  await databaseControlStore(control).createTenant({ slug: slug('acme'), displayName: '', description: '' });
  const store = databaseApiKeyStore(control);
  const { secret, ...draft } = draftOf();
  const { id } = await store.create(slug('acme'), draft);
  const replicas = await Promise.all([replica(url, hears), replica(url, hears), replica(url, hears)]);
  const asked = (key: string): Promise<readonly string[]> => Promise.all(replicas.map(({ says }) => says(key)));
  expect(await asked(secret)).toEqual(['ada', 'ada', 'ada']);

  const next = newApiKeySecret();
  await store.rotate(slug('acme'), id, next, new Date(Date.now() + 3_600_000));
  expect([await asked(secret), await asked(next.secret)]).toEqual([['ada', 'ada', 'ada'], ['ada', 'ada', 'ada']]);

  await store.revoke(slug('acme'), id);
  const since = performance.now();
  // oxlint-disable-next-line no-await-in-loop -- until all refuse, or the time is over
  while (performance.now() - since < 2000 && (await asked(secret)).includes('ada')) await new Promise((resolve) => { setTimeout(resolve, 20); });
  expect(performance.now() - since).toBeLessThan(2000);
  expect([await asked(secret), await asked(next.secret)]).toEqual([['refused', 'refused', 'refused'], ['refused', 'refused', 'refused']]);
  await Promise.all(replicas.map(({ stop }) => stop()));
  await control.close();
});
