import { trailContract } from '#libs/audit/trail.contract.js';
import { openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { afterAll, beforeAll } from 'vitest';
import { type PostgresServer, startPostgres } from './services/postgres.js';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres(); });
afterAll(() => server.stop());

trailContract('Postgres', async () => {
  const database = await openDatabase({ url: await server.database() });
  await migrate(database);
  return { database: sqlDatabase(database), asOwner: (sql) => database.session((session) => session.script(sql)), close: () => database.close() };
});
