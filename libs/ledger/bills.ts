import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { BillAnswer, UsageLedger } from '#libs/core/usage-ledger.js';
import { keptLines, type Pricing } from './apply-charges.js';
import { billOf, type BillInput } from './bill.js';
import { amountText } from './money.js';
import type { PriceBook } from './price-book.js';
import { type Meters, rate } from './rate.js';
import { readPriceBook } from './read-price-book.js';
import { type StoredEntry, storedEntries } from './stored-entries.js';
import { dayOf, hourOf } from './usage.js';

type Bills = Pick<UsageLedger, 'bill' | 'closeBill' | 'correct'> & {
  /** Ids whose stored amount is not what their book says, in the order of the ledger; none in a ledger that is right. */
  rerate(tenant: TenantSlug, month: string): Promise<{ readonly entries: number; readonly wrong: readonly string[]; readonly amount: bigint }>;
};
const firstDay = (month: string): string => {
  if (!/^\d{4}-(0[1-9]|1[0-2])$/.test(month)) throw new RangeError(`${month.slice(0, 20)} is not a month such as 2026-11`);
  return `${month}-01`;
};

export function bills(database: SqlDatabase, pricing: () => Promise<Pricing>): Bills {
  const live = async (tenant: TenantSlug, month: string, book: unknown): Promise<BillInput> => {
    const day = firstDay(month);
    const current = await pricing();
    const other = book === undefined ? undefined : readPriceBook(book);
    return database.tenant(tenant, async (sql) => billInput(sql, {
      tenant, month, pricing: current, other, sums: other ? await simulated(sql, tenant, day, { other, pricing: current }) : await metered(sql, tenant, day),
    }));
  };
  return {
    bill: async (tenant, month, book) => answer(billOf(await live(tenant, month, book)), book !== undefined, undefined),

    closeBill: async (tenant, month) => {
      const made = answer(billOf(await live(tenant, month, undefined)), false, undefined);
      const revision = await database.control(async (sql) => {
        await sql.query(`SELECT 1 AS locked FROM ledger.months WHERE tenant = $1 AND month = $2::text::date FOR UPDATE`, tenant, firstDay(month));
        const [row] = await sql.query<{ revision: number }>(`INSERT INTO ledger.bills (tenant, month, revision, content) SELECT $1, $2::text::date, 1 + coalesce(max(revision), 0), $3::text::json FROM ledger.bills WHERE tenant = $1 AND month = $2::text::date RETURNING revision`,
          tenant, firstDay(month), JSON.stringify(made));
        return row?.revision;
      });
      return { ...made, revision };
    },

    rerate: async (tenant, month) => {
      const { books } = await pricing();
      return database.tenant(tenant, async (sql) => {
        const meters: Meters = new Map();
        const wrong: string[] = [];
        let [entries, amount] = [0, 0n];
        const plans = await plansOf(sql, tenant);
        for await (const page of storedEntries(sql, tenant, firstDay(month))) {
          for (const entry of page) {
            const charge = rate(entry.usage, books.byHash(entry.book), { id: entry.account, plan: plans.get(entry.account) }, meters);
            entries += 1;
            amount += entry.amount;
            if (charge.amount !== entry.amount || !sameLines(entry, charge)) wrong.push(entry.usage.id);
          }
        }
        return { entries, wrong, amount };
      });
    },

    correct: async (tenant, month) => {
      const current = await pricing();
      return database.control((sql) => correct(sql, { tenant, day: firstDay(month), pricing: current }));
    },
  };
}

const sameLines = (entry: StoredEntry, charge: Parameters<typeof keptLines>[0]): boolean => JSON.stringify(entry.lines.map(({ line, quantity, amount }) => [line, quantity, amount])) === JSON.stringify(keptLines(charge).map(({ line, quantity, amount }) => [line, quantity, amount]));
const plansOf = async (sql: Sql, tenant: string): Promise<Map<string, string>> =>
  new Map((await sql.query<{ id: string; plan: string }>(`SELECT id::text AS id, plan FROM ledger.subscriptions WHERE tenant = $1`, tenant)).map(({ id, plan }) => [id, plan]));

interface Sum { readonly account: string; readonly line: string; quantity: bigint; amount: bigint }
async function metered(sql: Sql, tenant: string, day: string): Promise<Sum[]> {
  return (await sql.query<{ account: string; line: string; quantity: string; amount: string }>(`SELECT account, line, quantity::text AS quantity, amount::text AS amount FROM ledger.meters WHERE tenant = $1 AND month = $2::text::date ORDER BY account, line`, tenant, day))
    .map(({ account, line, quantity, amount }) => ({ account, line, quantity: BigInt(quantity), amount: BigInt(amount) }));
}
/** The same calls under another book, from the first of the month on. */
async function simulated(sql: Sql, tenant: string, day: string, { other }: { readonly other: PriceBook; readonly pricing: Pricing }): Promise<Sum[]> {
  const meters: Meters = new Map();
  const sums = new Map<string, Sum>();
  const plans = await plansOf(sql, tenant);
  for await (const page of storedEntries(sql, tenant, day)) {
    for (const { usage, account } of page) addLines(sums, account, rate(usage, other, { id: account, plan: plans.get(account) }, meters));
  }
  return [...sums.values()];
}
function addLines(sums: Map<string, Sum>, account: string, { lines }: Parameters<typeof keptLines>[0]): void {
  for (const { line, quantity, amount } of lines) {
    const key = `${account}\0${line}`;
    const sum = sums.get(key);
    if (sum) { sum.quantity += quantity; sum.amount += amount; } else sums.set(key, { account, line, quantity, amount });
  }
}

interface BillParts { readonly tenant: TenantSlug; readonly month: string; readonly pricing: Pricing; readonly other: PriceBook | undefined; readonly sums: readonly Sum[] }
async function billInput(sql: Sql, { tenant, month, pricing, other, sums }: BillParts): Promise<BillInput> {
  const day = firstDay(month);
  const at = Date.parse(`${day}T00:00:00Z`);
  // Simulated bills carry nothing in: the months before were not under that book.
  const before = other ? new Map<string, bigint>() : new Map((await sql.query<{ account: string; line: string; amount: string }>(
    `SELECT account, line, sum(amount)::text AS amount FROM ledger.meters WHERE tenant = $1 AND month < $2::text::date GROUP BY account, line`, tenant, day)).map(({ account, line, amount }) => [`${account}\0${line}`, BigInt(amount)]));
  const subscribed = await sql.query<{ id: string; plan: string; fee: string; book: string | null }>(
    `SELECT s.id::text AS id, s.plan, p.fee::text AS fee, p.book FROM ledger.subscriptions s JOIN ledger.plans p ON p.tenant = s.tenant AND p.name = s.plan
     WHERE s.tenant = $1 AND s.starts_at < $2::text::date + interval '1 month' AND (s.ended_at IS NULL OR s.ended_at >= $2::text::date) ORDER BY s.starts_at, s.id`, tenant, day);
  // The month's last version says how it is written.
  const end = Date.UTC(new Date(at).getUTCFullYear(), new Date(at).getUTCMonth() + 1) - 1;
  const bookOf = (name: string | null): PriceBook | undefined => other ?? pricing.books.at(end, tenant, name ?? undefined);
  const own = bookOf(null);
  return {
    tenant, month, currency: own?.currency ?? 'units', decimals: own?.decimals ?? 6,
    lines: sums.map((sum) => ({ ...sum, before: before.get(`${sum.account}\0${sum.line}`) ?? 0n })),
    accounts: [
      { account: '', plan: undefined, fee: 0n, minimum: own?.minimum ?? 0n },
      ...subscribed.map(({ id, plan, fee, book }) => ({ account: id, plan, fee: BigInt(fee), minimum: bookOf(book)?.minimum ?? 0n })),
    ],
  };
}

function answer(bill: ReturnType<typeof billOf>, simulatedBill: boolean, revision: number | undefined): BillAnswer {
  const text = (nano: bigint): string => amountText(nano, bill.decimals);
  return {
    tenant: bill.tenant, month: bill.month, currency: bill.currency, decimals: bill.decimals, rounding: bill.rounding, simulated: simulatedBill, revision,
    lines: bill.lines.map(({ account, line, quantity, exact, amount, carried }) => ({ account, line, quantity: String(quantity), exact: text(exact), amount: text(amount), carried: text(carried) })),
    total: text(bill.total), ledger: text(bill.ledger),
  };
}

/** One month, under its lock: the amounts that the books in force give, in the order of the ledger; each that differs is taken back and charged anew. */
async function correct(sql: Sql, { tenant, day, pricing }: { readonly tenant: string; readonly day: string; readonly pricing: Pricing }): Promise<{ corrected: number; difference: string }> {
  const [month] = await sql.query<{ position: string }>(`SELECT position::text AS position FROM ledger.months WHERE tenant = $1 AND month = $2::text::date FOR UPDATE`, tenant, day);
  if (!month) return { corrected: 0, difference: '0' };
  let position = BigInt(month.position);
  const meters: Meters = new Map();
  const [old, now] = [new Map<string, Sum>(), new Map<string, Sum>()];
  let [corrected, difference] = [0, 0n];
  for await (const page of storedEntries(sql, tenant, day)) {
    const changes: object[] = [];
    for (const entry of page) {
      const { usage } = entry;
      const account = pricing.accounts.of(usage);
      const book = pricing.books.at(usage.at, usage.tenant, account.book);
      const charge = rate(usage, book, account, meters);
      addLines(old, entry.account, { ...charge, lines: entry.lines.map(({ line, quantity, amount }) => ({ line, quantity: BigInt(quantity), amount: BigInt(amount) })) });
      addLines(now, account.id, charge);
      if (charge.amount === entry.amount && entry.book === (book?.hash ?? '') && entry.account === account.id && sameLines(entry, charge)) continue;
      corrected += 1;
      difference += charge.amount - entry.amount;
      const row = { event_date: dayOf(usage.at), id: usage.id, hour: hourOf(usage.at) };
      changes.push(
        { ...row, revision: entry.revision + 1, entry: 'reversal', position: String(position + 1n), account: entry.account, book: entry.book, why: 'corrected', lines: entry.lines.map(({ line, quantity, amount }) => ({ line, quantity: negated(quantity), amount: negated(amount) })), amount: String(-entry.amount), billed: entry.lines.length === 0 ? 0 : -1, from: entry.account },
        { ...row, revision: entry.revision + 2, entry: 'correction', position: String(position + 2n), account: account.id, book: book?.hash ?? '', why: charge.why, lines: keptLines(charge), amount: String(charge.amount), billed: charge.billed ? 1 : 0, from: entry.account },
      );
      position += 2n;
    }
    if (changes.length > 0) await insertCorrections(sql, tenant, changes);
  }
  await replaceMeters(sql, { tenant, day, old, now });
  await sql.query(`UPDATE ledger.months SET position = $3::text::bigint, amount = amount + $4::text::numeric WHERE tenant = $1 AND month = $2::text::date`, tenant, day, String(position), String(difference));
  return { corrected, difference: amountText(difference) };
}
const negated = (text: string): string => String(-BigInt(text));

async function insertCorrections(sql: Sql, tenant: string, changes: readonly object[]): Promise<void> {
  const rows = JSON.stringify(changes);
  const fields = `r(event_date date, id text, revision int, entry text, position bigint, account text, book text, why text, lines jsonb, amount numeric, billed int, hour timestamptz)`;
  await sql.query(`INSERT INTO ledger.entries (tenant, event_date, id, revision, entry, month, position, at, source, seq, tool, outcome, consumer, account, request_id, usage, book, why, lines, amount)
    SELECT c.tenant, c.event_date, c.id, r.revision, r.entry, c.month, r.position, c.at, c.source, c.seq, c.tool, c.outcome, c.consumer, r.account, c.request_id, c.usage, r.book, r.why, r.lines, r.amount
    FROM json_to_recordset($2::text::json) AS ${fields} JOIN ledger.entries c ON c.tenant = $1 AND c.event_date = r.event_date AND c.id = r.id AND c.revision = 0`, tenant, rows);
  // A call keeps its place in the roll-up; a new account has a row of its own.
  await sql.query(`INSERT INTO ledger.usage_hours AS h (tenant, hour, tool, consumer, outcome, account, calls, billed, request_bytes, response_bytes, backend_ms, amount)
    SELECT c.tenant, r.hour, c.tool, c.consumer, c.outcome, r.account, sum(s.sign), sum(r.billed), sum(s.sign * coalesce((c.usage->'units'->>'request_bytes')::bigint, 0)), sum(s.sign * coalesce((c.usage->'units'->>'response_bytes')::bigint, 0)), sum(s.sign * coalesce((c.usage->'units'->>'backend_ms')::bigint, 0)), sum(r.amount)
    FROM json_to_recordset($2::text::json) AS ${fields} JOIN ledger.entries c ON c.tenant = $1 AND c.event_date = r.event_date AND c.id = r.id AND c.revision = 0
    CROSS JOIN LATERAL (SELECT CASE r.entry WHEN 'reversal' THEN -1 ELSE 1 END AS sign) s GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (tenant, hour, tool, consumer, outcome, account) DO UPDATE SET calls = h.calls + excluded.calls, billed = h.billed + excluded.billed, request_bytes = h.request_bytes + excluded.request_bytes,
      response_bytes = h.response_bytes + excluded.response_bytes, backend_ms = h.backend_ms + excluded.backend_ms, amount = h.amount + excluded.amount, revision = h.revision + 1`, tenant, rows);
}

async function replaceMeters(sql: Sql, { tenant, day, old, now }: { readonly tenant: string; readonly day: string; readonly old: Map<string, Sum>; readonly now: Map<string, Sum> }): Promise<void> {
  const rows = [...new Set([...old.keys(), ...now.keys()])].toSorted().map((key) => {
    const [was, is] = [old.get(key), now.get(key)];
    return { account: (is ?? was)?.account, line: (is ?? was)?.line, quantity: String((is?.quantity ?? 0n) - (was?.quantity ?? 0n)), amount: String((is?.amount ?? 0n) - (was?.amount ?? 0n)) };
  });
  await sql.query(`INSERT INTO ledger.meters (tenant, month, account, line, quantity, amount) SELECT $1, $2::text::date, * FROM json_to_recordset($3::text::json) AS m(account text, line text, quantity numeric, amount numeric)
    ON CONFLICT (tenant, month, account, line) DO UPDATE SET quantity = meters.quantity + excluded.quantity, amount = meters.amount + excluded.amount`, tenant, day, JSON.stringify(rows));
}
