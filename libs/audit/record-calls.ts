import { appendFacts } from '#libs/audit/append.js';
import { auditFactOf, auditFactOfChange } from '#libs/audit/call-fact.js';
import type { CallRecord } from '#libs/core/call-record.js';
import type { AdminAudit } from '#libs/core/ports.js';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';

interface Batch {
  readonly taken: readonly { readonly record?: CallRecord }[];
  /** What the ledger newly took of it, where it is the one that takes. */
  readonly charged: readonly { readonly usage: { readonly id: string }; readonly book: string }[];
}

/** A step of the consumer of call records: their entries are kept in the batch's own transaction, or nothing of it is. Bears to see a call twice. */
export const auditCalls = async (sql: Sql, { taken, charged }: Batch): Promise<void> => {
  const books = new Map(charged.map(({ usage, book }) => [usage.id, book]));
  await appendFacts(sql, taken.flatMap(({ record }) => (record ? [auditFactOf(record, { priceBook: books.get(record.id) })] : [])));
};

/** Administration on record, each change in a transaction of its own, before it is made. */
export const storedAdminAudit = (database: SqlDatabase): AdminAudit => ({
  record: async (change) => { await database.control((sql) => appendFacts(sql, [auditFactOfChange(change)])); },
});
