import { openDatabase } from '#libs/state/database.js';
import { emptyFolder } from '#libs/state/empty-folder.contract.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { billsContract } from './bills.contract.js';
import { consumerContract } from './consumer.contract.js';

consumerContract('PGlite', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  return { database: sqlDatabase(database), close: async () => { await database.close(); await remove(); } };
});

billsContract('PGlite', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  return { database: sqlDatabase(database), close: async () => { await database.close(); await remove(); } };
});
