import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import { usageEvent } from '#libs/core/usage-events.js';
import { aMessage, aRecord, type Facts, NOW, slug, sourceOf } from './a-usage.contract.js';
import { NO_ACCOUNTS } from './apply-charges.js';
import { BookShelf } from './books.js';
import { keepCallRecords } from './call-records.js';
import { type Delivery, LedgerConsumer } from './consumer.js';
import { takeEvent, takeMessage } from './intake.js';

const pricing = async () => ({ books: new BookShelf([]), accounts: NO_ACCOUNTS });
const delivery = (facts: readonly Facts[], over: Partial<Delivery> = {}): Delivery => ({
  stream: 'journal', next: BigInt(facts.length), items: facts.map((one) => takeEvent(usageEvent(aRecord(one), sourceOf(one.boot)), NOW, aRecord(one))), ...over,
});

/** A statement that the database never got, or whose answer never came back. */
class Killed extends Error {}
function killedAt(database: SqlDatabase, statement: number, after: boolean): SqlDatabase & { readonly statements: () => number } {
  let count = 0;
  return {
    statements: () => count,
    tenant: (tenant, work) => database.tenant(tenant, work),
    control: (work) => database.control((sql) => work({
      query: async <Row extends object>(text: string, ...parameters: readonly unknown[]): Promise<Row[]> => {
        if (!text.includes('make_partitions')) count += 1;
        if (count === statement && !after) throw new Killed();
        const rows = await sql.query<Row>(text, ...parameters);
        if (count === statement && after) throw new Killed();
        return rows;
      },
    } satisfies Sql)),
  };
}

export interface Totals { readonly entries: bigint; readonly amount: string; readonly hours: string; readonly meters: string; readonly months: string; readonly calls: bigint; readonly records: bigint }
export const totals = (database: SqlDatabase, boot: string): Promise<Totals> => database.control(async (sql) => {
  const [row] = await sql.query<Totals>(`SELECT (SELECT count(*) FROM ledger.entries WHERE id LIKE $1) AS entries, (SELECT coalesce(sum(amount), 0)::text FROM ledger.entries) AS amount,
    (SELECT coalesce(sum(amount), 0)::text FROM ledger.usage_hours) AS hours, (SELECT coalesce(sum(amount), 0)::text FROM ledger.meters) AS meters, (SELECT coalesce(sum(amount), 0)::text FROM ledger.months) AS months,
    (SELECT coalesce(sum(calls), 0)::bigint FROM ledger.usage_hours) AS calls, (SELECT count(*) FROM ledger.call_records WHERE id LIKE $1) AS records`, `${boot}-%`);
  if (!row) throw new Error('no totals');
  return row;
});

/** Deterministic and evenly spread; fails the same way each time. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const list = [...items];
  let state = seed;
  for (let at = list.length - 1; at > 0; at -= 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    const other = state % (at + 1);
    [list[at], list[other]] = [list[other] as T, list[at] as T];
  }
  return list;
}
const chunks = <T>(items: readonly T[], size: number): T[][] => Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, at * size + size));

export function consumerContract(name: string, open: () => Promise<{ readonly database: SqlDatabase; readonly close: () => Promise<void> }>): void {
  describe(`ledger consumer: ${name}`, () => {
    let database: SqlDatabase;
    let close: () => Promise<void>;
    beforeAll(async () => { ({ database, close } = await open()); });
    afterAll(() => close());
    const consumerOf = (over: SqlDatabase = database) => new LedgerConsumer({ database: over, pricing, steps: [keepCallRecords] });

    it('counts each call once, come it one to five times, shuffled, through two consumers at the same time (BILL-04)', async () => {
      const boot = 'a00000000000004';
      const before = await totals(database, boot);
      const facts = Array.from({ length: 200 }, (_, at): Facts => ({ boot, seq: at + 1, at: NOW - (at % 50) * 3_600_000, tool: `tool_${at % 3}`, backendMs: at, tenant: at % 4 === 0 ? 'globex' : 'acme' }));
      const copies = shuffled(facts.flatMap((one, at) => Array.from({ length: 1 + at % 5 }, () => one)), 7);
      const [left, right] = [consumerOf(), consumerOf()];
      for (const [at, part] of chunks(chunks(copies, 40), 2).entries()) {
        await Promise.all(part.map((some, side) => (side === 0 ? left : right).take(delivery(some, { stream: `s${at}${side}` }))));
      }
      const after = await totals(database, boot);
      const cost = facts.reduce((sum, { backendMs = 0 }) => sum + 1_000_000n + BigInt(backendMs) * 1000n, 0n);
      expect(after.entries).toBe(200n);
      expect(after.records).toBe(200n);
      expect(after.calls - before.calls).toBe(200n);
      expect((['amount', 'hours', 'meters', 'months'] as const).map((sum) => [sum, BigInt(after[sum]) - BigInt(before[sum])])).toEqual(['amount', 'hours', 'meters', 'months'].map((sum) => [sum, cost]));
    });

    it('keeps nothing of a batch that dies at any statement, and all of it, once, when it comes again (BILL-04)', async () => {
      const counter = killedAt(database, -1, false);
      await consumerOf(counter).take(delivery([{ boot: 'b00000000000000', seq: 1 }, { boot: 'b00000000000000', seq: 2, at: NOW - 60 * 86_400_000 }], { stream: 'count' }));
      const statements = counter.statements();
      expect(statements).toBeGreaterThan(12);
      for (let statement = 1; statement <= statements; statement += 1) {
        for (const after of [false, true]) {
          const boot = `b${String(statement).padStart(13, '0')}${after ? 1 : 2}`;
          const batch = delivery([{ boot, seq: 1 }, { boot, seq: 2, at: NOW - 60 * 86_400_000 }], { stream: `kill ${boot}` });
          const before = await totals(database, boot);
          await expect(consumerOf(killedAt(database, statement, after)).take(batch)).rejects.toThrow(Killed);
          expect([statement, await totals(database, boot)]).toEqual([statement, before]);
          await consumerOf().take(batch);
          await consumerOf().take(batch);
          const done = await totals(database, boot);
          expect(done.entries).toBe(1n);
          expect(BigInt(done.meters) - BigInt(before.meters)).toBe(1_100_000n);
        }
      }
    }, 120_000);

    it('goes on where the stream was, whoever had it before, and never jumps over a hole', async () => {
      const boot = 'c00000000000001';
      const facts = [1, 2, 3, 4].map((seq): Facts => ({ boot, seq }));
      const consumer = consumerOf();
      await consumer.take(delivery(facts.slice(0, 2), { stream: 'p/0', first: 0n, next: 2n, positions: [0n, 1n] }));
      expect(await consumer.take(delivery(facts.slice(3), { stream: 'p/0', first: 3n, next: 4n, positions: [3n] }))).toEqual({ seek: 2n });
      expect(await consumer.position('p/0')).toBe(2n);
      await consumer.take(delivery(facts.slice(1), { stream: 'p/0', first: 1n, next: 4n, positions: [1n, 2n, 3n] }));
      expect(await consumer.position('p/0')).toBe(4n);
      expect((await totals(database, boot)).entries).toBe(4n);
    });

    it('knows which numbers of a source are missing (BILL-05)', async () => {
      const boot = 'd00000000000001';
      const missing = 17;
      await consumerOf().take(delivery(shuffled(Array.from({ length: 40 }, (_, at): Facts => ({ boot, seq: at + 1 })).filter(({ seq }) => seq !== missing), 3), { stream: 'gap' }));
      const gaps = await database.control((sql) => sql.query(`SELECT lower(g)::int AS "from", (upper(g) - 1)::int AS "to" FROM ledger.sources, unnest(int8multirange(int8range(1, upper(seen))) - seen) AS g WHERE source = $1`, sourceOf(boot)));
      expect(gaps).toEqual([{ from: missing, to: missing }]);
    });

    it('puts aside what is late, of tomorrow, malformed, of another tenant or of an unknown schema, once each, and takes the rest (BILL-11)', async () => {
      const boot = 'e00000000000001';
      const bad = [
        takeMessage(aMessage({ boot, seq: 1, at: NOW - 50 * 86_400_000 }), NOW), takeMessage(aMessage({ boot, seq: 2, at: NOW + 86_400_000 }), NOW),
        takeMessage(aMessage({ boot, seq: 3 }, { value: '{"tenant":' }), NOW), takeMessage(aMessage({ boot, seq: 4 }, { key: 'globex:1' }), NOW), takeMessage(aMessage({ boot, seq: 5 }, { headers: { ce_type: 'dev.gostoa.meter.call.v2' } }), NOW),
        takeMessage(aMessage({ boot, seq: 6 }, { data: { units: { calls: 0.5 } } }), NOW), takeMessage(aMessage({ boot, seq: 7 }, { data: { tool: 'a\0b' } }), NOW),
      ];
      const items = [...bad, takeMessage(aMessage({ boot, seq: 8 }), NOW)];
      const copies = Array.from({ length: 5 }, (_, at) => shuffled(items, at + 1)).flat();
      for (const part of chunks(copies, 9)) await consumerOf().take({ stream: 'bad', next: 1n, items: part });
      const rows = await database.control((sql) => sql.query<{ reason: string }>(`SELECT reason FROM ledger.quarantine WHERE key LIKE '%${boot}%' OR key LIKE 'stoa.metering.events/0/%' ORDER BY reason`));
      expect(rows.map(({ reason }) => reason)).toEqual(['future', 'late', 'malformed', 'malformed', 'malformed', 'schema', 'tenant']);
      const found = await totals(database, boot);
      expect(found.entries).toBe(1n);
    });

    it('shows a tenant its own rows alone, of any table, and lets nobody change what was charged (BILL-13)', async () => {
      await consumerOf().take(delivery([{ boot: 'f00000000000001', seq: 1 }, { boot: 'f00000000000001', seq: 2, tenant: 'globex' }], { stream: 'rls' }));
      const tables = await database.control((sql) => sql.query<{ name: string; forced: boolean; columns: string[] }>(`SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
        array(SELECT attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0) AS columns FROM pg_class c WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p')`));
      expect(tables.length).toBeGreaterThan(15);
      expect(tables.filter(({ forced }) => !forced)).toEqual([]);
      const own = tables.filter(({ name: table, columns }) => columns.includes('tenant') && !/_\d{8}$/.test(table)).map(({ name: table }) => table);
      expect(own.length).toBeGreaterThan(10);
      for (const table of own) {
        const others = await database.tenant(slug('acme'), (sql) => sql.query<{ n: bigint }>(`SELECT count(*) AS n FROM ledger.${table} WHERE tenant IS DISTINCT FROM 'acme'`));
        expect([table, others]).toEqual([table, [{ n: 0n }]]);
      }
      for (const { name: table } of tables.filter((one) => !own.includes(one.name))) {
        await expect(database.tenant(slug('acme'), (sql) => sql.query(`SELECT 1 FROM ledger.${table}`))).rejects.toThrow(/permission denied/);
      }
      expect(await database.tenant(slug('acme'), (sql) => sql.query(`SELECT DISTINCT tenant FROM ledger.entries`))).toEqual([{ tenant: 'acme' }]);
      for (const statement of [`UPDATE ledger.entries SET amount = 0`, `DELETE FROM ledger.entries`, `UPDATE ledger.price_books SET version = 9`, `UPDATE ledger.bills SET revision = 9`]) {
        await expect(database.control((sql) => sql.query(statement))).rejects.toThrow(/permission denied/);
        await expect(database.tenant(slug('acme'), (sql) => sql.query(statement))).rejects.toThrow(/permission denied/);
      }
      await expect(database.tenant(slug('acme'), (sql) => sql.query(`INSERT INTO ledger.budgets (tenant, account) VALUES ('globex', '')`))).rejects.toThrow(/row-level security/);
    });

    it('undoes the whole batch when a further step fails', async () => {
      const boot = 'a10000000000001';
      const failing = new LedgerConsumer({ database, pricing, steps: [async () => { throw new Error('the chain is away'); }] });
      await expect(failing.take(delivery([{ boot, seq: 1 }], { stream: 'step' }))).rejects.toThrow('the chain is away');
      expect((await totals(database, boot)).entries).toBe(0n);
      expect(await failing.position('step')).toBeUndefined();
    });
    it('keeps days in partitions of their own and drops whole days, never those that a redelivery may meet', async () => {
      await expect(database.control((sql) => sql.query(`SELECT ledger.drop_partitions('entries', current_date)`))).rejects.toThrow(/41 days/);
      await database.control((sql) => sql.query(`SELECT ledger.make_partitions(ARRAY['2020-01-01'::date, '2020-01-02'::date])::text`));
      expect(await database.control((sql) => sql.query(`SELECT d FROM ledger.drop_partitions('entries', '2020-01-02') AS d`))).toEqual([{ d: 'entries_20200101' }]);
    });
  });
}
