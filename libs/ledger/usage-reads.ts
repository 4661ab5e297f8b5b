import { createHash } from 'node:crypto';
import type { SqlDatabase } from '#libs/core/sql.js';
import type { LedgerEntry, UsageDimension, UsageFilter, UsageLedger, UsageRow } from '#libs/core/usage-ledger.js';
import { amountText } from './money.js';

const GROUP: Readonly<Record<UsageDimension, string>> = {
  hour: `to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:00:00"Z"')`, day: `to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD')`, tool: 'tool', consumer: 'consumer', outcome: 'outcome', account: 'account',
};
/** Roll-ups are of whole hours: what begins within the interval counts. */
const WITHIN = `tenant = $1 AND hour >= date_trunc('hour', $2::text::timestamptz) AND hour < $3::text::timestamptz AND ($4::text IS NULL OR tool = $4) AND ($5::text IS NULL OR consumer = $5) AND ($6::text IS NULL OR outcome = $6) AND ($7::text IS NULL OR account = $7)`;
const parameters = ({ tenant, since, until, tool, consumer, outcome, account }: UsageFilter): unknown[] =>
  [tenant, since.toISOString(), until.toISOString(), tool ?? null, consumer ?? null, outcome ?? null, account ?? null];

interface EntryRow extends Omit<LedgerEntry, 'at' | 'requestId' | 'amount'> { readonly at: Date; readonly request_id: string | null; readonly amount: string; readonly month: string; readonly position: string }
interface HourRow { readonly tenant: string; readonly hour: string; readonly tool: string; readonly consumer: string; readonly account: string; readonly calls: string; readonly billed: string; readonly request_bytes: string; readonly response_bytes: string; readonly backend_ms: string; readonly amount: string; readonly revision: string }

export const usageReads = (database: SqlDatabase): Pick<UsageLedger, 'usage' | 'entries' | 'aggregates'> => ({
  usage: (filter, by) => database.tenant(filter.tenant, async (sql) => {
    const names = [...new Set(by)];
    const groups = names.map((name) => `${GROUP[name]} AS "${name}"`);
    const rows = await sql.query<UsageRow & { amount: string }>(
      `SELECT ${[...groups, 'sum(calls)::text AS calls', 'sum(billed)::text AS billed', 'sum(request_bytes)::text AS "requestBytes"', 'sum(response_bytes)::text AS "responseBytes"', 'sum(backend_ms)::text AS "backendMs"', 'sum(amount)::text AS amount'].join(', ')}
       FROM ledger.usage_hours WHERE ${WITHIN} ${names.length === 0 ? '' : `GROUP BY ${names.map((_, at) => at + 1).join(', ')} ORDER BY ${names.map((_, at) => at + 1).join(', ')}`}`, ...parameters(filter));
    return rows.filter(({ calls }) => calls !== null).map(({ amount, ...row }) => ({ ...row, cost: amountText(BigInt(amount)) }));
  }),

  entries: (filter, { cursor, limit }) => database.tenant(filter.tenant, async (sql) => {
    const [, month = '0001-01-01', position = '0'] = /^(\d{4}-\d{2}-01)\.(\d{1,18})$/.exec(cursor ?? '') ?? [];
    const rows = await sql.query<EntryRow>(
      `SELECT id, revision, entry, at, tool, outcome, consumer, account, request_id, book, why, amount::text AS amount, lines, month::text AS month, position::text AS position FROM ledger.entries AS e
       WHERE tenant = $1 AND at >= $2::text::timestamptz AND at < $3::text::timestamptz AND event_date >= ($2::text::timestamptz AT TIME ZONE 'UTC')::date AND event_date <= ($3::text::timestamptz AT TIME ZONE 'UTC')::date
         AND ($4::text IS NULL OR tool = $4) AND ($5::text IS NULL OR consumer = $5) AND ($6::text IS NULL OR outcome = $6) AND ($7::text IS NULL OR account = $7)
         AND (e.month, e.position) > ($8::text::date, $9::text::bigint) ORDER BY e.month, e.position LIMIT $10::text::int`, ...parameters(filter), month, position, String(limit + 1));
    const page = rows.slice(0, limit);
    const last = rows.length > limit ? page.at(-1) : undefined;
    return {
      entries: page.map(({ at, request_id: requestId, amount, month: _month, position: _position, lines, ...row }) =>
        ({ ...row, at: at.toISOString(), requestId, amount: amountText(BigInt(amount)), lines: lines.map((line) => ({ line: line.line, quantity: line.quantity, amount: amountText(BigInt(line.amount)) })) })),
      nextCursor: last && `${last.month}.${last.position}`,
    };
  }),

  aggregates: (filter) => database.tenant(filter.tenant, async (sql) => {
    const rows = await sql.query<HourRow>(
      `SELECT tenant, ${GROUP.hour} AS hour, tool, '' AS consumer, account, sum(calls)::text AS calls, sum(billed)::text AS billed, sum(request_bytes)::text AS request_bytes, sum(response_bytes)::text AS response_bytes, sum(backend_ms)::text AS backend_ms,
        sum(amount)::text AS amount, sum(revision)::text AS revision
       FROM ledger.usage_hours WHERE ${WITHIN} GROUP BY tenant, hour, tool, account ORDER BY hour, tool, account`, ...parameters(filter));
    return rows.map(({ tenant, hour, tool, account, billed, amount, revision }) => {
      const meter = `calls:${tool}${account === '' ? '' : `:${account}`}`;
      return {
        identifier: createHash('sha256').update(JSON.stringify([tenant, meter, hour, Number(revision)])).digest('hex'),
        tenant, meter, hour, revision: Number(revision), value: billed, cost: amountText(BigInt(amount)),
      };
    });
  }),
});
