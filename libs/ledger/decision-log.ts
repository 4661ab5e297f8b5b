import type { CallRecord } from '#libs/core/call-record.js';
import type { DecisionLog } from '#libs/core/decision-log.js';
import type { SqlDatabase } from '#libs/core/sql.js';

/** Calls as the ledger's database keeps them, for `days` days. */
export const storedDecisionLog = (database: SqlDatabase, days: number): DecisionLog => ({
  reach: `${days} days`,
  find: (tenant, id) => database.control(async (sql) => {
    const [row] = await sql.query<{ record: CallRecord }>(
      `SELECT record FROM ledger.call_records WHERE (id = $2 OR request_id = $2) AND CASE WHEN $1::text IS NULL THEN NOT (record ? 'tenant') ELSE record->>'tenant' = $1 END ORDER BY (id = $2) DESC, event_date DESC, (record->>'at')::bigint DESC LIMIT 1`, tenant ?? null, id);
    return row?.record;
  }),
});
