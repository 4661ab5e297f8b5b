import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aUsage } from './a-usage.contract.js';
import { billable, DEFAULT_BILLING } from './billable.js';
import { BookShelf, SHIPPED } from './books.js';
import { billOf } from './bill.js';
import { amountText, halfEven, nanoOf, rounded } from './money.js';
import { aBook, oracle, someCalls } from './oracle.contract.js';
import { PriceBookRefused, readPriceBook } from './read-price-book.js';
import { type Meters, OWN_ACCOUNT, rate } from './rate.js';

/** `STOA_PROOF_EVENTS=1000000` is the long form. */
// oxlint-disable-next-line node/no-process-env
const EVENTS = Number(process.env['STOA_PROOF_EVENTS'] ?? 100_000);

describe('money', () => {
  it('is exact decimal text there and back, and refuses what a nano-unit cannot hold', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 10n ** 26n }), (nano) => { expect(nanoOf(amountText(nano))).toBe(nano); }));
    expect(['-1', '1e3', '.5', '1.', '01', '0.0000000001', 'NaN', ' 1', '1,5'].filter((text) => nanoOf(text) !== undefined)).toEqual([]);
  });
  it('rounds a half to the even neighbour, above and below zero', () => {
    expect([5n, 15n, 25n, -5n, -15n, 16n, -16n, 14n].map((n) => halfEven(n, 10n))).toEqual([0n, 2n, 2n, 0n, -2n, 2n, -2n, 1n]);
    expect(rounded(1_005_000_000n, 2)).toBe(1_000_000_000n);
    expect(rounded(1_015_000_000n, 2)).toBe(1_020_000_000n);
  });
  it('is nowhere a double: no file that reckons turns money into a number or back', () => {
    const reckoning = readdirSync('libs/ledger').filter((file) => file.endsWith('.ts') && !/\.(test|contract|module)\.ts$/.test(file));
    expect(reckoning.length).toBeGreaterThan(15);
    for (const file of reckoning) {
      const code = readFileSync(`libs/ledger/${file}`, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      expect([file, /parseFloat|toFixed|Number\([^)]*(amount|nano|price|cost|fee|cap|spent)/i.exec(code)?.[0]]).toEqual([file, undefined]);
    }
    for (const file of ['money.ts', 'rate.ts', 'bill.ts', 'price-book.ts']) {
      const code = readFileSync(`libs/ledger/${file}`, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$|'[^'\n]*'|`[^`]*`/gm, '');
      expect([file, /\bNumber\b|\bMath\b|\b\d+\.\d/.exec(code)?.[0]]).toEqual([file, undefined]);
    }
  });
});

describe('the shipped book', () => {
  it.each([
    { name: 'no time', ms: 0, cost: '0.001' }, { name: '100 ms', ms: 100, cost: '0.0011' }, { name: 'a second', ms: 1000, cost: '0.002' }, { name: '250 ms', ms: 250, cost: '0.00125' },
    { name: 'a premium tool, 100 ms', ms: 100, tool: 'stoa_delete_api', cost: '0.0021' },
  ])("prices $name as STOA's own formula does", ({ ms, tool, cost }) => {
    const usage = aUsage({ backendMs: ms, ...(tool === undefined ? {} : { tool }) });
    expect(amountText(rate(usage, SHIPPED.book, OWN_ACCOUNT, new Map()).amount)).toBe(cost);
  });
});

const version = (validFrom: string, price: string) => readPriceBook({ name: 'default', currency: 'EUR', validFrom, lines: [{ name: 'calls', unit: 'calls', price }] });
describe('the price of calls', () => {
  it(`is what an oracle of fractions says, for ${EVENTS} random calls under random books, in any order (BILL-06)`, () => {
    let seen = 0;
    const size = 200;
    fc.assert(fc.property(aBook, someCalls(size), fc.boolean(), (written, calls, backwards) => {
      const book = readPriceBook(written);
      const meters: Meters = new Map();
      const sums = new Map(written.lines.map(({ name }) => [name, 0n]));
      let total = 0n;
      for (const usage of backwards ? calls.toReversed() : calls) {
        const { amount, lines } = rate(usage, book, OWN_ACCOUNT, meters);
        total += amount;
        for (const line of lines) sums.set(line.line, (sums.get(line.line) ?? 0n) + line.amount);
      }
      const expected = oracle(written, calls);
      expect(Object.fromEntries(sums)).toEqual(Object.fromEntries(expected));
      expect(total).toBe([...expected.values()].reduce((a, b) => a + b, 0n));
      seen += calls.length;
    }), { numRuns: Math.ceil(EVENTS / size * 2), seed: 20_261_101, interruptAfterTimeLimit: EVENTS > 100_000 ? 600_000 : 60_000, markInterruptAsFailure: true });
    expect(seen).toBeGreaterThanOrEqual(EVENTS);
  }, 620_000);

  it('goes by the time of the call: the version valid then, the newest of several with the same begin', () => {
    const shelf = new BookShelf([{ book: version('2026-11-01T00:00:00Z', '1'), version: 1, tenant: undefined }, { book: version('2026-11-10T00:00:00Z', '2'), version: 2, tenant: undefined }, { book: version('2026-11-10T00:00:00Z', '3'), version: 3, tenant: undefined }]);
    const at = (time: string): string => amountText(rate(aUsage({ backendMs: 0 }), shelf.at(Date.parse(time), 'acme', undefined), OWN_ACCOUNT, new Map()).amount);
    expect(['2026-10-31T23:59:59.999Z', '2026-11-01T00:00:00Z', '2026-11-09T23:59:59.999Z', '2026-11-10T00:00:00Z'].map(at)).toEqual(['0.001', '1', '1', '3']);
  });
});

describe('who pays', () => {
  it.each([
    { name: 'success', outcome: 'success', pays: true }, { name: 'a round that asks for input', outcome: 'input_required', pays: false }, { name: 'denied', outcome: 'denied', invoked: false, pays: false },
    { name: 'rate limited', outcome: 'rate_limited', invoked: false, pays: false }, { name: 'refused arguments', outcome: 'rejected', invoked: false, pays: false }, { name: 'something of ours away', outcome: 'unavailable', invoked: false, pays: false },
    { name: 'success that no backend was asked for (replayed, listed)', outcome: 'success', invoked: false, pays: false },
    { name: 'a tool error', outcome: 'error', pays: false }, { name: 'a tool error of a tool that bills them', outcome: 'error', billing: { billOnError: true }, pays: true }, { name: 'a timeout', outcome: 'timeout', pays: false },
    { name: 'cancelled before the backend answered', outcome: 'cancelled', responseBytes: 0, pays: false }, { name: 'cancelled after the backend answered', outcome: 'cancelled', pays: true },
    { name: 'cancelled after, waived by the tool', outcome: 'cancelled', billing: { onCancel: 'waive' }, pays: false }, { name: 'cancelled before, billed by the tool', outcome: 'cancelled', responseBytes: 0, billing: { onCancel: 'bill' }, pays: true },
    { name: 'unknown', outcome: 'unknown', pays: false }, { name: 'unknown, billed by the tool', outcome: 'unknown', billing: { onUnknown: 'bill' }, pays: true }, { name: 'unknown, to be asked', outcome: 'unknown', billing: { onUnknown: 'query' }, pays: false },
  ] as const)('$name: $pays', ({ outcome, pays, ...rest }) => {
    const usage = aUsage({ outcome, ...('invoked' in rest ? { invoked: rest.invoked } : {}), ...('responseBytes' in rest ? { responseBytes: rest.responseBytes } : {}) });
    expect(billable(usage, { ...DEFAULT_BILLING, ...('billing' in rest ? rest.billing : {}) }).billed).toBe(pays);
  });
  it('is for tools; a prompt or a resource is counted and free, unless a line names them', () => {
    expect(rate(aUsage({ kind: 'prompt' }), SHIPPED.book, OWN_ACCOUNT, new Map()).amount).toBe(0n);
  });
});

describe('a price book is refused, naming the line', () => {
  const line = { name: 'calls', unit: 'calls', price: '0.001' };
  const book = (over: object, ...lines: object[]): object => ({ name: 'b', currency: 'EUR', decimals: 2, validFrom: '2026-11-01T00:00:00Z', lines: lines.length === 0 ? [line] : lines, ...over });
  const tiers = (...list: object[]): object => book({}, line, { name: 'bytes', unit: 'response_bytes', tiers: list });
  it.each([
    { name: 'a gap', content: tiers({ from: 0, upTo: 10, price: '1' }, { from: 11, price: '1' }), says: /lines\[1\] \(bytes\): tier 2 leaves a gap: it begins at 11, the one before ends at 10/ },
    { name: 'an overlap', content: tiers({ from: 0, upTo: 10, price: '1' }, { from: 9, price: '1' }), says: /lines\[1\] \(bytes\): tier 2 overlaps/ },
    { name: 'an end', content: tiers({ from: 0, upTo: 10, price: '1' }), says: /tier 1 is the last and must have no upTo/ },
    { name: 'a late begin', content: tiers({ from: 5, price: '1' }), says: /tier 1 leaves a gap: it begins at 5, the one before ends at 0/ },
    { name: 'a negative price', content: book({}, { ...line, price: '-0.001' }), says: /lines\[0\] \(calls\): price must be .* it is negative/ },
    { name: 'a price as a number', content: book({}, { ...line, price: 0.001 }), says: /lines\[0\] \(calls\): price .* write it as text/ },
    { name: 'a price finer than a nano-unit', content: book({}, { ...line, price: '0.0000000001' }), says: /finer than a nano-unit/ },
    { name: 'a quantity that is not whole', content: book({}, { ...line, per: 1.5 }), says: /lines\[0\] \(calls\): per must be a whole number of 1 or more, not 1.5/ },
    { name: 'nothing per nothing', content: book({}, { ...line, per: 0 }), says: /per must be a whole number of 1 or more/ },
    { name: 'an unknown tool', content: book({}, { ...line, match: { tools: ['no_such'] } }), says: /lines\[0\] \(calls\): there is no tool no_such/ },
    { name: 'two lines of one name', content: book({}, line, line), says: /lines\[1\] \(calls\): another line has this name/ },
    { name: 'an unknown field', content: book({}, { ...line, prise: '1' }), says: /lines\[0\] \(calls\) has no field prise/ },
    { name: 'an allowance from the middle of a month', content: book({ validFrom: '2026-11-15T00:00:00Z' }, { ...line, free: 10 }), says: /validFrom must be the beginning of a month in UTC, since line calls counts by the month/ },
    { name: 'no object', content: [], says: /The book must be an object/ },
  ])('$name', ({ content, says }) => {
    expect(() => readPriceBook(content, { knownTools: new Set(['list_pets']) })).toThrow(PriceBookRefused);
    expect(() => readPriceBook(content, { knownTools: new Set(['list_pets']) })).toThrow(says);
  });
  it('never throws anything else, whatever it is given', () => {
    fc.assert(fc.property(fc.oneof(fc.jsonValue(), fc.record({ name: fc.string(), lines: fc.jsonValue(), validFrom: fc.jsonValue(), minimum: fc.jsonValue(), tools: fc.jsonValue() })), (content) => {
      let failure: unknown;
      try { readPriceBook(content); } catch (thrown) { failure = thrown; }
      expect(failure === undefined || failure instanceof PriceBookRefused).toBe(true);
    }), { numRuns: 2000 });
  });
});

describe('a bill', () => {
  it('rounds once a line and carries what is left into the next month, so that no nano-unit is lost or charged twice', () => {
    fc.assert(fc.property(fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { minLength: 1, maxLength: 24 }), fc.integer({ min: 0, max: 9 }), (months, decimals) => {
      let [before, billed] = [0n, 0n];
      for (const amount of months) {
        const bill = billOf({ tenant: 'acme', month: '2026-11', currency: 'EUR', decimals, lines: [{ account: '', line: 'calls', quantity: 1n, amount, before }], accounts: [] });
        before += amount;
        billed += bill.total;
        expect(billed + (bill.lines[0]?.carried ?? 0n)).toBe(before);
        expect(bill.total % 10n ** BigInt(9 - decimals)).toBe(0n);
      }
    }));
  });
  it('asks for the minimum where less was used, and for the fee of a plan', () => {
    const { lines, total } = billOf({ tenant: 'acme', month: '2026-11', currency: 'EUR', decimals: 2, lines: [{ account: 's', line: 'calls', quantity: 3n, amount: 2_000_000_000n, before: 0n }], accounts: [{ account: 's', plan: 'small', fee: 5_000_000_000n, minimum: 10_000_000_000n }] });
    expect(lines.map(({ line, amount }) => [line, amountText(amount)])).toEqual([['calls', '2'], ['fee:small', '5'], ['minimum', '8']]);
    expect(amountText(total)).toBe('15');
  });
});
