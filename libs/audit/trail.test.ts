import { trailContract } from '#libs/audit/trail.contract.js';
import { openDatabase } from '#libs/state/database.js';
import { emptyFolder } from '#libs/state/empty-folder.contract.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';

trailContract('PGlite', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  return { database: sqlDatabase(database), asOwner: (sql) => database.session((session) => session.script(sql)), close: async () => { await database.close(); await remove(); } };
});
