import fc from 'fast-check';
import type { CallOutcome } from '#libs/core/call-record.js';
import { aUsage } from './a-usage.contract.js';
import type { Usage } from './usage.js';

// A second reckoning, by fractions of two bigints, from the book as it was written. It shares no code with the first: not its arithmetic, not its reader, not its tiers.
interface Fraction { readonly n: bigint; readonly d: bigint }
const plus = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.d + b.n * a.d, d: a.d * b.d });
const times = (a: Fraction, b: Fraction): Fraction => ({ n: a.n * b.n, d: a.d * b.d });
const whole = (n: bigint): Fraction => ({ n, d: 1n });
function priceOf(text: string): Fraction {
  const [digits = '0', fraction = ''] = text.split('.');
  return { n: BigInt(digits + fraction), d: 10n ** BigInt(fraction.length) };
}
/** To nano-units: the nearest, of two equally near the even one. */
function nano({ n, d }: Fraction): bigint {
  const scaled = n * 10n ** 9n;
  const below = scaled / d;
  const distance = (scaled - below * d) * 2n;
  if (distance < d) return below;
  if (distance > d) return below + 1n;
  return below % 2n === 0n ? below : below + 1n;
}

export interface WrittenLine { readonly name: string; readonly unit: string; readonly per?: number; readonly step?: number; readonly free?: number; readonly price?: string; readonly tiers?: readonly { readonly from: number; readonly upTo?: number; readonly price: string }[]; readonly match?: { readonly tools?: readonly string[]; readonly classes?: readonly string[] } }
export interface WrittenBook { readonly name: string; readonly currency: string; readonly decimals: number; readonly validFrom: string; readonly lines: readonly WrittenLine[]; readonly billing: { readonly billOnError: boolean } }

/** What a month's calls cost, line by line. */
export function oracle(book: WrittenBook, calls: readonly Usage[]): Map<string, bigint> {
  const amounts = new Map<string, bigint>();
  for (const { name, unit, per = 1, step = 1, free = 0, price, tiers, match } of book.lines) {
    let units = 0n;
    for (const call of calls) {
      const pays = call.invoked && call.kind === 'tool' && (call.outcome === 'success' || ((call.outcome === 'error' || call.outcome === 'timeout') && book.billing.billOnError));
      if (!pays || (match?.tools && !match.tools.includes(call.tool)) || (match?.classes && !match.classes.includes(String(call.toolClass)))) continue;
      const used = unit === 'calls' ? 1 : call.units[unit] ?? 0;
      units += BigInt(Math.ceil(used / step) * step);
    }
    // One unit after another, in spirit: what lies in a tier is the overlap of two intervals.
    let sum: Fraction = whole(0n);
    for (const tier of tiers ?? [{ from: 0, price: price ?? '0' }]) {
      const from = BigInt(tier.from) + BigInt(free);
      const upTo = 'upTo' in tier && tier.upTo !== undefined ? BigInt(tier.upTo) + BigInt(free) : units;
      const inside = (units < upTo ? units : upTo) - from;
      if (inside > 0n) sum = plus(sum, times(times(whole(inside), priceOf(tier.price)), { n: 1n, d: BigInt(per) }));
    }
    amounts.set(name, nano(sum));
  }
  return amounts;
}

const price = fc.tuple(fc.nat({ max: 20 }), fc.stringMatching(/^\d{1,9}$/)).map(([units, fraction]) => `${units}.${fraction}`);
const line = (name: string): fc.Arbitrary<WrittenLine> => fc.record({
  unit: fc.constantFrom('calls', 'request_bytes', 'response_bytes', 'backend_ms', 'tokens'), per: fc.constantFrom(1, 3, 7, 100, 1000, 1024), step: fc.constantFrom(1, 1, 10, 100), free: fc.constantFrom(0, 0, 1, 50, 1000),
  prices: fc.array(price, { minLength: 1, maxLength: 4 }), widths: fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 3, maxLength: 3 }),
  match: fc.constantFrom<WrittenLine['match']>(undefined, undefined, { tools: ['tool_0'] }, { tools: ['tool_1', 'tool_2'] }, { classes: ['write'] }),
}).map(({ prices, widths, match, ...rest }) => {
  const named = { name, ...rest, ...(match ? { match } : {}) };
  if (prices.length === 1) return { ...named, price: prices[0] ?? '0' };
  let from = 0;
  return { ...named, tiers: prices.map((each, at) => { const tier = { from, ...(at === prices.length - 1 ? {} : { upTo: from + (widths[at] ?? 1) }), price: each }; from += widths[at] ?? 1; return tier; }) };
});
export const aBook: fc.Arbitrary<WrittenBook> = fc.tuple(fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), fc.boolean()).chain(([lines, billOnError]) =>
  fc.tuple(...lines.map((_, at) => line(`line-${at}`))).map((made) => ({ name: 'random', currency: 'EUR', decimals: 2, validFrom: '2026-01-01T00:00:00Z', lines: made, billing: { billOnError } })));

const OUTCOMES: readonly CallOutcome[] = ['success', 'success', 'success', 'error', 'timeout', 'denied', 'input_required'];
export const someCalls = (most: number): fc.Arbitrary<Usage[]> => fc.array(fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 6 }), fc.nat({ max: 3000 }), fc.nat({ max: 100_000 }), fc.nat({ max: 50 })), { minLength: most / 2, maxLength: most, size: 'max' })
  .map((calls) => calls.map(([tool, outcome, backendMs, responseBytes, tokens], at) => aUsage({ seq: at + 1, tool: `tool_${tool}`, class: tool === 1 ? 'write' : 'read', outcome: OUTCOMES[outcome] ?? 'success', invoked: outcome !== 5, backendMs, responseBytes, reported: { tokens } })));
