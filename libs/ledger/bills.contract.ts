import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnsweredCall, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { usageEvent } from '#libs/core/usage-events.js';
import { aRecord, type Facts, slug, sourceOf } from './a-usage.contract.js';
import { sendAlerts, type BudgetAlert } from './alert-outbox.js';
import { bills } from './bills.js';
import { storedLeases } from './budget-pool.js';
import { keepCallRecords } from './call-records.js';
import { LedgerConsumer } from './consumer.js';
import { storedDecisionLog } from './decision-log.js';
import { takeEvent } from './intake.js';
import { nanoOf } from './money.js';
import { DEFAULT_BOOK } from './price-book.js';
import { priceOffice } from './price-office.js';
import { StoredPricing } from './pricing.js';
import { reconciler } from './reconcile.js';
import { spendGuard } from './spend-guard.js';
import { monthOf } from './usage.js';
import { usageReads } from './usage-reads.js';

const NOW = Date.now();
const MONTH = monthOf(NOW).slice(0, 7);
const BEGIN = `${MONTH}-01T00:00:00Z`;
const FAR = { since: new Date(NOW - 40 * 86_400_000), until: new Date(NOW + 86_400_000) };

export function billsContract(name: string, open: () => Promise<{ readonly database: SqlDatabase; readonly close: () => Promise<void> }>): void {
  describe(`bills and budgets: ${name}`, () => {
    let database: SqlDatabase;
    let close: () => Promise<void>;
    let pricing: StoredPricing;
    let seq = 0;
    beforeAll(async () => { ({ database, close } = await open()); pricing = new StoredPricing(database); });
    afterAll(() => close());
    const current = () => pricing.current();
    const boot = 'ccccccccccccccc';
    /** Puts calls of this month into the ledger; answers their ids. */
    const calls = async (tenant: string, list: readonly Facts[]): Promise<string[]> => {
      const records = list.map((facts) => aRecord({ boot, seq: seq += 1, tenant, at: Math.max(NOW - 3_600_000, Date.parse(BEGIN)) + seq, ...facts }));
      await new LedgerConsumer({ database, pricing: current, steps: [keepCallRecords] }).take({ stream: `bills ${seq}`, next: 1n, items: records.map((record) => takeEvent(usageEvent(record, sourceOf(boot)), NOW, record)) });
      return records.map(({ id }) => id);
    };

    it('bills exactly what the ledger holds, simulates the same under the same book, and re-rates the whole to what is stored (BILL-07)', async () => {
      const acme = slug('acme');
      for (let part = 0; part < 3; part += 1) await calls('acme', Array.from({ length: 60 }, (_, at) => ({ backendMs: at * 7, tool: `tool_${at % 4}`, outcome: at % 9 === 0 ? 'error' as const : 'success' as const })));
      const billing = bills(database, current);
      const live = await billing.bill(acme, MONTH);
      const simulated = await billing.bill(acme, MONTH, DEFAULT_BOOK);
      expect(simulated.lines).toEqual(live.lines);
      expect(simulated.total).toBe(live.total);
      const [ledger] = await database.tenant(acme, (sql) => sql.query<{ sum: string }>(`SELECT sum(amount)::text AS sum FROM ledger.entries`));
      expect(String(nanoOf(live.ledger))).toBe(ledger?.sum);
      expect(await billing.rerate(acme, MONTH)).toEqual({ entries: 180, wrong: [], amount: BigInt(ledger?.sum ?? 0) });
      const dearer = await billing.bill(acme, MONTH, { ...DEFAULT_BOOK, name: 'other', decimals: 2, lines: [{ name: 'calls', unit: 'calls', tiers: [{ from: 0, upTo: 100, price: '0.011' }, { from: 100, price: '0.005' }] }] });
      expect([dearer.simulated, dearer.ledger, dearer.total]).toEqual([true, '1.395', '1.40']);
    });

    it('finds an amount that somebody changed behind its back', async () => {
      const tampered: SqlDatabase = { ...database, tenant: (tenant, work) => database.tenant(tenant, (sql) => work({ query: async <Row extends object>(text: string, ...parameters: readonly unknown[]) => {
        const rows = await sql.query<Row & { amount?: string; revision?: number; id?: string }>(text, ...parameters);
        return text.includes('ORDER BY c.position') ? rows.map((row, at) => (at === 5 ? { ...row, amount: String(BigInt(row.amount ?? 0) + 1n) } : row)) : rows;
      } })) };
      expect((await bills(tampered, current).rerate(slug('acme'), MONTH)).wrong).toHaveLength(1);
    });

    it('corrects by a new version and reversal entries: nothing is changed, all adds up, and a second time there is nothing to do', async () => {
      const globex = slug('globex');
      const office = priceOffice(database);
      await calls('globex', Array.from({ length: 30 }, (_, at) => ({ backendMs: at })));
      const book = { name: 'globex-prices', currency: 'EUR', decimals: 2, validFrom: BEGIN, lines: [{ name: 'calls', unit: 'calls', free: 10, price: '0.5' }] };
      const stored = await office.putBook(book, { tenant: globex, createdBy: 'ada', knownTools: undefined });
      expect([stored.version, (await office.putBook(book, { tenant: globex, createdBy: 'bob', knownTools: undefined })).version]).toEqual([1, 1]);
      const billing = bills(database, current);
      const before = await billing.rerate(globex, MONTH);
      expect(before.wrong).toEqual([]);
      expect((await billing.correct(globex, MONTH)).corrected).toBe(30);
      expect(await billing.correct(globex, MONTH)).toEqual({ corrected: 0, difference: '0' });
      const bill = await billing.bill(globex, MONTH);
      expect([bill.ledger, bill.total, bill.currency]).toEqual(['10.00', '10.00', 'EUR']);
      await calls('globex', [{}, {}]);
      expect((await billing.bill(globex, MONTH)).total).toBe('11.00');
      expect((await billing.rerate(globex, MONTH)).wrong).toEqual([]);
      const kinds = await database.tenant(globex, (sql) => sql.query(`SELECT entry, count(*)::int AS n FROM ledger.entries GROUP BY entry ORDER BY entry`));
      expect(kinds).toEqual([{ entry: 'charge', n: 32 }, { entry: 'correction', n: 30 }, { entry: 'reversal', n: 30 }]);
      const found = await reconciler(database, current)({ tenant: globex, ...FAR });
      expect([found.rollUpsAgree, found.wronglyPriced, found.onlyInLedger, found.onlyInRecords, found.entries]).toEqual([true, [], [], [], '32']);
    });

    it('counts a subscription by its key under its plan, from its beginning to its end, and bills the fee', async () => {
      const initech = slug('initech');
      const office = priceOffice(database);
      await office.putPlan(initech, { name: 'small', title: 'Small', fee: '5', quota: '1000', cap: '0.002', book: undefined });
      const { id } = await office.subscribe(initech, { plan: 'small', subscriber: 'bob', keyId: 'key-1' });
      await calls('initech', [{ credentialId: 'key-1', at: Date.now() + 60_000, backendMs: 0 }, { credentialId: 'key-2', backendMs: 0 }]);
      const bill = await bills(database, current).bill(initech, MONTH);
      expect(bill.lines.map(({ account, line, amount }) => [account === id, line, amount])).toEqual([[false, 'calls', '0.001000'], [true, 'calls', '0.001000'], [true, 'fee:small', '5.000000']]);
      expect((await office.listBudgets(initech)).map(({ account, spent, alerts }) => [account === id, spent, alerts.map(({ percent }) => percent)])).toEqual([[true, '0.001', [50]]]);
      await calls('initech', [{ credentialId: 'key-1', at: Date.now() + 60_000, backendMs: 0 }]);
      const sent: BudgetAlert[] = [];
      await sendAlerts(database, async (alerts) => { sent.push(...alerts); });
      expect(sent.filter(({ tenant }) => tenant === 'initech').map(({ percent, spent }) => [percent, spent])).toEqual([[50, '0.001'], [80, '0.002'], [100, '0.002']]);
      expect(await sendAlerts(database, async () => { throw new Error('sent twice'); })).toBe(0);
      await expect(office.subscribe(initech, { plan: 'none', subscriber: 'x', keyId: 'y' })).rejects.toThrow(/Plan none does not exist/);
      expect((await office.unsubscribe(initech, id)).endedAt).toBeDefined();
    });

    it('never leases more than the cap to a thousand parallel calls of two gateways, and spends it nearly whole (BILL-10)', async () => {
      const office = priceOffice(database);
      // Each call may cost 0.0011 at most: 0.001, and 100 ms.
      await office.setBudget(slug('hooli'), '', { cap: '0.33', quota: undefined });
      const guards = [1, 2].map(() => spendGuard({ leases: storedLeases(database), pricing: () => pricing.latest, refresh: current, block: { nano: 10_000_000n, calls: 100n }, recheckMs: 1000 }));
      const made = Array.from({ length: 1000 }, (): ValidatedCall => ({
        requestId: 'r', door: 'mcp', kind: 'tool', name: 'list_pets', arguments: {}, traceparent: undefined, tracestate: undefined, consumer: 'x', startedAt: 0, exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false },
        principal: { tenant: slug('hooli'), issuer: 'i', subject: 's', clientId: 'c', roles: new Set(), scopes: new Set(), expiresAt: 0 }, api: undefined, decision: { ruleId: '', policyRevision: '' }, quota: undefined, input: {},
        target: { kind: 'tool', name: 'list_pets', operationClass: 'read', tags: [], timeoutMs: 100, backend: { kind: 'builtin', handler: '' } },
      }) as unknown as ValidatedCall);
      const answers = await Promise.all(made.map(async (one, at) => guards[at % 2]?.spend(one)));
      const admitted = made.filter((_, at) => answers[at] === undefined);
      expect(new Set(answers.map((answer) => (answer instanceof Denial ? answer.code : answer)))).toEqual(new Set([undefined, 'QUOTA_EXCEEDED']));
      expect(admitted.length).toBeLessThanOrEqual(300);
      expect(admitted.length).toBeGreaterThan(270);
      const committed = async (): Promise<bigint> => BigInt((await database.control((sql) => sql.query<{ c: string }>(`SELECT committed::text AS c FROM ledger.budget_months WHERE tenant = 'hooli'`)))[0]?.c ?? -1);
      expect(await committed()).toBeLessThanOrEqual(330_000_000n);
      // Each took 40 ms: what is not used is there for the next.
      for (const one of admitted) for (const guard of guards) await guard.settle({ reached: Object.assign(one, { answer: { result: { type: 'tool', content: [], isError: false }, outcome: 'success', latencyMs: 40, bytes: 10 } }) as unknown as AnsweredCall, denial: undefined, durationMs: 41 });
      await Promise.all(guards.map((guard) => guard.close()));
      expect(await committed()).toBe(BigInt(admitted.length) * 1_040_000n);
    });

    it('answers usage by any dimension, pages through entries, and names each hour by an identifier that changes with it alone', async () => {
      const umbrella = slug('umbrella');
      const ids = await calls('umbrella', Array.from({ length: 25 }, (_, at) => ({ tool: `tool_${at % 2}`, consumer: at % 5 === 0 ? 'cursor' : 'claude-desktop', backendMs: 0 })));
      const reads = usageReads(database);
      const filter = { tenant: umbrella, ...FAR };
      expect(await reads.usage(filter, ['tool'])).toEqual(['13', '12'].map((count, at) => ({ tool: `tool_${at}`, calls: count, billed: count, requestBytes: `${Number(count) * 10}`, responseBytes: `${Number(count) * 20}`, backendMs: '0', cost: `0.0${count}` })));
      expect((await reads.usage({ ...filter, consumer: 'cursor' }, [])).map(({ calls: count }) => count)).toEqual(['5']);
      const paged: string[] = [];
      for (let cursor: string | undefined, more = true; more;) {
        const page = await reads.entries(filter, { cursor, limit: 7 });
        paged.push(...page.entries.map(({ id }) => id));
        cursor = page.nextCursor;
        more = cursor !== undefined;
      }
      expect(paged).toEqual(ids);
      const identifiers = async (): Promise<string[]> => (await reads.aggregates(filter)).map(({ identifier }) => identifier);
      const before = await identifiers();
      expect(await identifiers()).toEqual(before);
      await calls('umbrella', [{ tool: 'tool_0' }]);
      const after = await identifiers();
      expect(after.filter((one) => !before.includes(one)).length).toBe(1);
      expect((await storedDecisionLog(database, 30).find(umbrella, ids[3] ?? ''))?.id).toBe(ids[3]);
      expect(await storedDecisionLog(database, 30).find(slug('acme'), ids[3] ?? '')).toBeUndefined();
    });
  });
}
