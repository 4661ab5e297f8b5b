import type { Sql } from '#libs/core/sql.js';
import type { BookShelf } from './books.js';
import { type Account, type Charge, meterKey, type Meters, OWN_ACCOUNT, rate } from './rate.js';
import { hourOf, monthOf, dayOf, type Usage, usageDocument } from './usage.js';

/** What a step of one batch works with; everything that it does is in the batch's transaction. */
export interface Pricing {
  readonly books: BookShelf;
  readonly accounts: Accounts;
}
/** Whose subscription a credential's call at a time was under. */
export interface Accounts { of(usage: Pick<Usage, 'tenant' | 'credential' | 'at'>): Account & { readonly book?: string | undefined } }
export const NO_ACCOUNTS: Accounts = { of: () => OWN_ACCOUNT };

/** The ledger took other rows than those that were reckoned: nothing of the batch is kept, and it is tried again. */
export class LedgerConflict extends Error {
  readonly code = 'LEDGER_CONFLICT';
  override get name(): string { return 'LedgerConflict'; }
}

export interface Charged { readonly usage: Usage; readonly account: string; readonly charge: Charge; /** Hash of the price book; empty where none was in force. */ readonly book: string }

/** A line's part of a month, and how an entry keeps it. */
export interface KeptLine { readonly line: string; readonly quantity: string; readonly amount: string }
export const keptLines = ({ lines }: Charge): KeptLine[] => lines.map(({ line, quantity, amount }) => ({ line, quantity: String(quantity), amount: String(amount) }));

/**
 * Puts calls into the ledger, each once however often it comes: amounts are reckoned under the lock of the tenant's month, in the order of their
 * time within the batch; roll-ups are made of the rows that the ledger took, and of no others. Answers those.
 */
export async function applyCharges(sql: Sql, usages: readonly Usage[], pricing: Pricing): Promise<readonly Charged[]> {
  if (usages.length === 0) return [];
  const ordered = [...new Map(usages.map((usage) => [`${usage.tenant}\0${dayOf(usage.at)}\0${usage.id}`, usage])).values()].toSorted((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
  const positions = await lockMonths(sql, ordered);
  const known = await knownOf(sql, ordered);
  const fresh = ordered.filter((usage) => !known.has(`${usage.tenant}\0${usage.id}`));
  if (fresh.length === 0) return [];

  const placed = fresh.map((usage) => ({ usage, account: pricing.accounts.of(usage), month: `${usage.tenant}\0${monthOf(usage.at)}` }));
  const meters = await metersOf(sql, placed);
  const rows = placed.map(({ usage, account, month }) => {
    const book = pricing.books.at(usage.at, usage.tenant, account.book);
    const charge = rate(usage, book, account, meters.get(month) ?? new Map<string, bigint>());
    const position = (positions.get(month) ?? 0n) + 1n;
    positions.set(month, position);
    return { usage, account: account.id, charge, book: book?.hash ?? '', position };
  });
  const taken = await insertEntries(sql, rows);
  if (taken.size !== rows.length) throw new LedgerConflict(`the ledger took ${taken.size} of ${rows.length} rows`);
  const charged = rows.filter(({ usage }) => taken.has(`${usage.tenant}\0${usage.id}`));
  await addMeters(sql, charged);
  await addHours(sql, charged);
  await addMonths(sql, charged);
  return charged;
}

const unique = <T>(items: readonly T[], key: (item: T) => string): T[] => [...new Map(items.map((item) => [key(item), item])).values()].toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
const json = (rows: readonly object[]): string => JSON.stringify(rows);

async function lockMonths(sql: Sql, usages: readonly Usage[]): Promise<Map<string, bigint>> {
  const months = unique(usages.map(({ tenant, at }) => ({ tenant, month: monthOf(at) })), ({ tenant, month }) => `${tenant}\0${month}`);
  await sql.query(`INSERT INTO ledger.months (tenant, month) SELECT tenant, month FROM json_to_recordset($1::json) AS m(tenant text, month date) ORDER BY tenant, month ON CONFLICT DO NOTHING`, json(months));
  const rows = await sql.query<{ tenant: string; month: string; position: string }>(
    `SELECT tenant, month::text AS month, position::text AS position FROM ledger.months WHERE (tenant, month) IN (SELECT tenant, month FROM json_to_recordset($1::json) AS m(tenant text, month date)) ORDER BY tenant, months.month FOR UPDATE`, json(months));
  return new Map(rows.map(({ tenant, month, position }) => [`${tenant}\0${month}`, BigInt(position)]));
}

async function knownOf(sql: Sql, usages: readonly Usage[]): Promise<Set<string>> {
  const days = usages.map(({ at }) => dayOf(at)).toSorted();
  const rows = await sql.query<{ tenant: string; id: string }>(
    `SELECT e.tenant, e.id FROM json_to_recordset($1::json) AS k(tenant text, event_date date, id text)
     JOIN ledger.entries e ON e.tenant = k.tenant AND e.event_date = k.event_date AND e.id = k.id AND e.revision = 0
     WHERE e.event_date BETWEEN $2::date AND $3::date`, json(usages.map(({ tenant, id, at }) => ({ tenant, id, event_date: dayOf(at) }))), days[0], days.at(-1));
  return new Set(rows.map(({ tenant, id }) => `${tenant}\0${id}`));
}

async function metersOf(sql: Sql, placed: readonly { readonly usage: Usage; readonly account: Account }[]): Promise<Map<string, Meters>> {
  const keys = unique(placed.map(({ usage, account }) => ({ tenant: usage.tenant, month: monthOf(usage.at), account: account.id })), ({ tenant, month, account }) => `${tenant}\0${month}\0${account}`);
  const rows = await sql.query<{ tenant: string; month: string; account: string; line: string; quantity: string }>(
    `SELECT tenant, month::text AS month, account, line, quantity::text AS quantity FROM ledger.meters
     WHERE (tenant, month, account) IN (SELECT tenant, month, account FROM json_to_recordset($1::json) AS m(tenant text, month date, account text))`, json(keys));
  const meters = new Map<string, Meters>(keys.map(({ tenant, month }) => [`${tenant}\0${month}`, new Map()]));
  for (const { tenant, month, account, line, quantity } of rows) meters.get(`${tenant}\0${month}`)?.set(meterKey(account, line), BigInt(quantity));
  return meters;
}

type Row = Charged & { readonly position: bigint };
async function insertEntries(sql: Sql, rows: readonly Row[]): Promise<Set<string>> {
  const taken = await sql.query<{ tenant: string; id: string }>(
    `INSERT INTO ledger.entries (tenant, event_date, id, entry, month, position, at, source, seq, tool, outcome, consumer, account, request_id, usage, book, why, lines, amount)
     SELECT tenant, event_date, id, 'charge', month, position, at, source, seq, tool, outcome, consumer, account, request_id, usage, book, why, lines, amount
     FROM json_to_recordset($1::json) AS r(tenant text, event_date date, id text, month date, position bigint, at timestamptz, source text, seq bigint, tool text, outcome text,
       consumer text, account text, request_id text, usage jsonb, book text, why text, lines jsonb, amount numeric)
     ON CONFLICT DO NOTHING RETURNING tenant, id`,
    json(rows.map(({ usage, account, charge, book, position }) => ({
      tenant: usage.tenant, event_date: dayOf(usage.at), id: usage.id, month: monthOf(usage.at), position: String(position), at: new Date(usage.at).toISOString(), source: usage.source, seq: usage.seq,
      tool: usage.tool, outcome: usage.outcome, consumer: usage.consumer, account, request_id: usage.requestId, usage: usageDocument(usage), book, why: charge.why, lines: keptLines(charge), amount: String(charge.amount),
    }))));
  return new Set(taken.map(({ tenant, id }) => `${tenant}\0${id}`));
}

/** Sums by key, in the order of keys: two writers then wait for one another and never for ever. */
function sums(charged: readonly Charged[], keysOf: (one: Charged) => readonly (readonly [string, object, Readonly<Record<string, bigint>>])[]): object[] {
  const found = new Map<string, { readonly fields: object; readonly values: Record<string, bigint> }>();
  for (const one of charged) {
    for (const [key, fields, values] of keysOf(one)) {
      let at = found.get(key);
      if (!at) found.set(key, at = { fields, values: {} });
      for (const [name, value] of Object.entries(values)) at.values[name] = (at.values[name] ?? 0n) + value;
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, { fields, values }]) => ({ ...fields, ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)])) }));
}

async function addMeters(sql: Sql, charged: readonly Charged[]): Promise<void> {
  const rows = sums(charged, ({ usage: { tenant, at }, account, charge }) => charge.lines.map(({ line, quantity, amount }) =>
    [`${tenant}\0${monthOf(at)}\0${account}\0${line}`, { tenant, month: monthOf(at), account, line }, { quantity, amount }] as const));
  if (rows.length === 0) return;
  await sql.query(`INSERT INTO ledger.meters (tenant, month, account, line, quantity, amount)
    SELECT * FROM json_to_recordset($1::json) AS m(tenant text, month date, account text, line text, quantity numeric, amount numeric) ORDER BY 1, 2, 3, 4
    ON CONFLICT (tenant, month, account, line) DO UPDATE SET quantity = meters.quantity + excluded.quantity, amount = meters.amount + excluded.amount`, json(rows));
}

async function addHours(sql: Sql, charged: readonly Charged[]): Promise<void> {
  const rows = sums(charged, ({ usage, account, charge }) => {
    const { tenant, tool, consumer, outcome, units } = usage;
    const fields = { tenant, hour: hourOf(usage.at), tool, consumer, outcome, account };
    return [[Object.values(fields).join('\0'), fields, {
      calls: 1n, billed: charge.billed ? 1n : 0n, request_bytes: BigInt(units['request_bytes'] ?? 0), response_bytes: BigInt(units['response_bytes'] ?? 0), backend_ms: BigInt(units['backend_ms'] ?? 0), amount: charge.amount,
    }] as const];
  });
  await sql.query(`INSERT INTO ledger.usage_hours AS h (tenant, hour, tool, consumer, outcome, account, calls, billed, request_bytes, response_bytes, backend_ms, amount)
    SELECT * FROM json_to_recordset($1::json) AS m(tenant text, hour timestamptz, tool text, consumer text, outcome text, account text, calls bigint, billed bigint, request_bytes bigint, response_bytes bigint, backend_ms bigint, amount numeric)
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant, hour, tool, consumer, outcome, account) DO UPDATE SET calls = h.calls + excluded.calls, billed = h.billed + excluded.billed, request_bytes = h.request_bytes + excluded.request_bytes,
      response_bytes = h.response_bytes + excluded.response_bytes, backend_ms = h.backend_ms + excluded.backend_ms, amount = h.amount + excluded.amount, revision = h.revision + 1`, json(rows));
}

async function addMonths(sql: Sql, charged: readonly Charged[]): Promise<void> {
  const rows = sums(charged, ({ usage: { tenant, at }, charge }) => [[`${tenant}\0${monthOf(at)}`, { tenant, month: monthOf(at) }, { entries: 1n, amount: charge.amount }] as const]);
  await sql.query(`UPDATE ledger.months m SET position = m.position + r.entries, amount = m.amount + r.amount
    FROM json_to_recordset($1::json) AS r(tenant text, month date, entries bigint, amount numeric) WHERE m.tenant = r.tenant AND m.month = r.month`, json(rows));
}
