import { databaseCatalogueSource } from './catalogue-source.js';
import { controlStoreContract } from './control-store.contract.js';
import { databaseControlStore } from './control-store.js';
import { openDatabase } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { FakeControlStore } from './fake-control-store.js';
import { migrate } from './migrate.js';

controlStoreContract('in memory', async () => {
  const fake = new FakeControlStore();
  return { store: fake, source: fake, close: async () => undefined };
});

controlStoreContract('PGlite', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  return {
    store: databaseControlStore(database), source: databaseCatalogueSource(database),
    close: async () => { await database.close(); await remove(); },
  };
});
