import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import type { Database, Transaction } from './database.js';

const statements = (transaction: Transaction): Sql => ({
  query: <Row extends object>(text: string, ...parameters: readonly unknown[]) => transaction.$queryRawUnsafe<Row[]>(text, ...parameters),
});

/** The database as other libraries know it. */
export const sqlDatabase = (database: Database): SqlDatabase => ({
  tenant: (tenant, work) => database.tenant(tenant, (transaction) => work(statements(transaction))),
  control: (work) => database.control((transaction) => work(statements(transaction))),
});
