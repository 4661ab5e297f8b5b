import { afterAll, beforeAll } from 'vitest';
import { billsContract } from '#libs/ledger/bills.contract.js';
import { consumerContract } from '#libs/ledger/consumer.contract.js';
import { openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { type PostgresServer, startPostgres } from './services/postgres.js';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres(); });
afterAll(() => server.stop());

consumerContract('Postgres', async () => {
  const database = await openDatabase({ url: await server.database() });
  await migrate(database);
  return { database: sqlDatabase(database), close: () => database.close() };
});

billsContract('Postgres', async () => {
  const database = await openDatabase({ url: await server.database() });
  await migrate(database);
  return { database: sqlDatabase(database), close: () => database.close() };
});
