import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { databaseCatalogueSource } from './catalogue-source.js';
import { controlStoreContract } from './control-store.contract.js';
import { databaseControlStore } from './control-store.js';
import { openDatabase } from './database.js';
import { FakeControlStore } from './fake-control-store.js';
import { migrate } from './migrate.js';

controlStoreContract('in memory', async () => {
  const fake = new FakeControlStore();
  return { store: fake, source: fake, close: async () => undefined };
});

controlStoreContract('PGlite', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-state-'));
  const database = await openDatabase({ directory: path.join(folder, 'data') });
  await migrate(database);
  return {
    store: databaseControlStore(database), source: databaseCatalogueSource(database),
    close: async () => { await database.close(); await rm(folder, { recursive: true, force: true }); },
  };
});
