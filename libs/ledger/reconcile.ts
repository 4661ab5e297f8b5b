import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import type { Reconciliation, UsageLedger } from '#libs/core/usage-ledger.js';
import type { Pricing } from './apply-charges.js';
import { bills } from './bills.js';

const MOST = 1000;

/** Everything that must agree, counted by statements that share nothing with those that wrote it. */
export const reconciler = (database: SqlDatabase, pricing: () => Promise<Pricing>): UsageLedger['reconcile'] => async ({ tenant, since, until }) => {
  const found = await database.control(async (sql): Promise<Omit<Reconciliation, 'wronglyPriced'> & { readonly months: readonly { readonly tenant: string; readonly month: string }[] }> => {
    const within = [since.toISOString(), until.toISOString(), tenant ?? null] as const;
    const entries = `FROM ledger.entries WHERE entry = 'charge' AND at >= $1::text::timestamptz AND at < $2::text::timestamptz AND event_date >= ($1::text::timestamptz AT TIME ZONE 'UTC')::date AND event_date <= ($2::text::timestamptz AT TIME ZONE 'UTC')::date AND ($3::text IS NULL OR tenant = $3)`;
    const records = `FROM ledger.call_records WHERE (record->>'at')::bigint >= extract(epoch FROM $1::text::timestamptz) * 1000 AND (record->>'at')::bigint < extract(epoch FROM $2::text::timestamptz) * 1000
      AND event_date >= ($1::text::timestamptz AT TIME ZONE 'UTC')::date AND event_date <= ($2::text::timestamptz AT TIME ZONE 'UTC')::date AND ($3::text IS NULL OR tenant = $3)`;
    const [counts] = await sql.query<{ entries: string; invoked: string; records: string }>(
      `SELECT (SELECT count(*) ${entries})::text AS entries, (SELECT count(*) ${entries} AND (usage->>'invoked')::boolean)::text AS invoked, (SELECT count(*) ${records})::text AS records`, ...within);
    const ids = async (text: string): Promise<string[]> => (await sql.query<{ id: string }>(`${text} ORDER BY id LIMIT ${MOST}`, ...within)).map(({ id }) => id);
    const kept = BigInt(counts?.records ?? 0) > 0n;
    return {
      sources: await sourcesOf(sql, since, until),
      entries: counts?.entries ?? '0', callRecords: counts?.records ?? '0', invoked: counts?.invoked ?? '0',
      unknown: await ids(`SELECT id ${entries} AND outcome = 'unknown'`),
      // Where records are kept elsewhere there is nothing to compare with.
      onlyInLedger: kept ? await ids(`(SELECT id ${entries}) EXCEPT (SELECT id ${records})`) : [],
      onlyInRecords: kept ? await ids(`(SELECT id ${records}) EXCEPT (SELECT id ${entries})`) : [],
      quarantined: (await sql.query<{ key: string; tenant: string | null; reason: string; detail: string; at: Date }>(
        `SELECT key, tenant, reason, detail, at FROM ledger.quarantine WHERE at >= $1::text::timestamptz AND at < $2::text::timestamptz + interval '1 day' AND ($3::text IS NULL OR tenant = $3) ORDER BY at, key LIMIT ${MOST}`, ...within)).map((row) => ({ ...row, at: row.at.toISOString() })),
      rollUpsAgree: await rollUpsAgree(sql, tenant),
      months: await sql.query<{ tenant: string; month: string }>(`SELECT tenant, to_char(month, 'YYYY-MM') AS month FROM ledger.months WHERE ($3::text IS NULL OR tenant = $3) AND month >= date_trunc('month', $1::text::timestamptz)::date AND month < $2::text::timestamptz ORDER BY tenant, month`, ...within),
    };
  });
  const { months, ...rest } = found;
  const wronglyPriced: string[] = [];
  for (const { tenant: of, month } of months) wronglyPriced.push(...(await bills(database, pricing).rerate(of as never, month)).wrong.slice(0, MOST));
  return { ...rest, wronglyPriced };
};

async function sourcesOf(sql: Sql, since: Date, until: Date): Promise<Reconciliation['sources']> {
  const rows = await sql.query<{ source: string; ended: boolean; last: string; missing: { from: string; to: string }[] | null }>(
    `SELECT source, ended, (upper(seen) - 1)::text AS last, (SELECT jsonb_agg(jsonb_build_object('from', lower(gap)::text, 'to', (upper(gap) - 1)::text) ORDER BY lower(gap)) FROM unnest(int8multirange(int8range(1, upper(seen))) - seen) AS gap) AS missing
     FROM ledger.sources WHERE last_at >= $1::text::timestamptz AND first_at < $2::text::timestamptz + interval '1 day' ORDER BY source LIMIT ${MOST}`, since.toISOString(), until.toISOString());
  return rows.map(({ missing, ...row }) => ({ ...row, missing: missing ?? [] }));
}

/** Entries, hours, meters and months are four sums of the same. */
async function rollUpsAgree(sql: Sql, tenant: string | undefined): Promise<boolean> {
  const rows = await sql.query(`WITH e AS (SELECT tenant, month, sum(amount) AS amount, count(*) FILTER (WHERE entry = 'charge') AS calls FROM ledger.entries WHERE ($1::text IS NULL OR tenant = $1) GROUP BY 1, 2),
    h AS (SELECT tenant, date_trunc('month', hour AT TIME ZONE 'UTC')::date AS month, sum(amount) AS amount, sum(calls) AS calls FROM ledger.usage_hours WHERE ($1::text IS NULL OR tenant = $1) GROUP BY 1, 2),
    l AS (SELECT tenant, month, sum(amount) AS amount FROM ledger.meters WHERE ($1::text IS NULL OR tenant = $1) GROUP BY 1, 2)
    SELECT tenant, month FROM e LEFT JOIN h USING (tenant, month) LEFT JOIN l USING (tenant, month) LEFT JOIN ledger.months m USING (tenant, month)
    WHERE h.amount IS DISTINCT FROM e.amount OR h.calls IS DISTINCT FROM e.calls OR coalesce(l.amount, 0) IS DISTINCT FROM e.amount OR m.amount IS DISTINCT FROM e.amount LIMIT 1`, tenant ?? null);
  return rows.length === 0;
}
