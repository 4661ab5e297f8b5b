import { billable } from './billable.js';
import { halfEven } from './money.js';
import { type PriceBook, type PriceLine, toolBillingOf } from './price-book.js';
import type { Usage } from './usage.js';

/** How much of each line an account has had in a month, by `account\0line`. Changed in place. */
export type Meters = Map<string, bigint>;
export const meterKey = (account: string, line: string): string => `${account}\0${line}`;

export interface ChargedLine { readonly line: string; readonly quantity: bigint; readonly amount: bigint }
/** What one call cost: the sum of its lines, to the nano-unit. */
export interface Charge { readonly amount: bigint; readonly lines: readonly ChargedLine[]; readonly why: string; readonly billed: boolean }

/** Whose subscription a call was under; `''` and undefined: the tenant's own. */
export interface Account { readonly id: string; readonly plan: string | undefined }
export const OWN_ACCOUNT: Account = { id: '', plan: undefined };

/**
 * What `quantity` of a line costs from the first of the month on: a whole number of nano-units, rounded once, half to even. A call's part is the
 * difference that it makes, so that the parts of a month add up to this exactly, whatever their order.
 */
export function costOf(line: PriceLine, quantity: bigint): bigint {
  const paid = quantity - line.free;
  if (paid <= 0n) return 0n;
  let sum = 0n;
  for (const { from, upTo, price } of line.tiers) {
    if (paid <= from) break;
    sum += ((upTo === undefined || paid < upTo ? paid : upTo) - from) * price;
  }
  return line.per === 1n ? sum : halfEven(sum, line.per);
}

/** Each unit costs the same whole number of nano-units from the first on. */
const unitPrice = ({ free, tiers: [first, ...more], per }: PriceLine): bigint | undefined => (free === 0n && first && more.length === 0 && first.price % per === 0n ? first.price / per : undefined);

interface Compiled { readonly line: PriceLine; readonly unitPrice: bigint | undefined }
const compiled = new WeakMap<PriceBook, (usage: Usage, plan: string | undefined) => readonly Compiled[]>();

/** The lines that count this call, in the book's order. Remembered by what they may depend on. */
function linesOf(book: PriceBook, usage: Usage, plan: string | undefined): readonly Compiled[] {
  let find = compiled.get(book);
  if (!find) compiled.set(book, find = finder(book));
  return find(usage, plan);
}
function finder({ lines }: PriceBook): (usage: Usage, plan: string | undefined) => readonly Compiled[] {
  const all = lines.map((line): Compiled => ({ line, unitPrice: unitPrice(line) }));
  const byTag = lines.some(({ match }) => match.tags);
  const known = new Map<string, readonly Compiled[]>();
  return (usage, plan) => {
    const key = `${usage.kind}\0${usage.tool}\0${usage.tenant}\0${usage.toolClass ?? ''}\0${plan ?? ''}${byTag ? `\0${usage.tags.join('\0')}` : ''}`;
    let found = known.get(key);
    if (!found) {
      if (known.size >= 10_000) known.clear();
      known.set(key, found = all.filter(({ line: { match } }) => matches(match, usage, plan)));
    }
    return found;
  };
}
const matches = (match: PriceLine['match'], { kind, tool, toolClass, tags, tenant }: Usage, plan: string | undefined): boolean =>
  match.kinds.includes(kind) && match.tools?.includes(tool) !== false && match.tenants?.includes(tenant) !== false
  && (match.classes === undefined || (toolClass !== null && match.classes.includes(toolClass))) && (match.tags === undefined || match.tags.some((tag) => tags.includes(tag)))
  && (match.plans === undefined || (plan !== undefined && match.plans.includes(plan)));

const NO_BOOK: Charge = { amount: 0n, lines: [], why: 'no-price-book', billed: false };

/** The price of one call: a function of the event, the book, and what came before it in the month. Counts it in `meters`. */
export function rate(usage: Usage, book: PriceBook | undefined, account: Account, meters: Meters): Charge {
  if (book === undefined) return NO_BOOK;
  const { billed, why } = billable(usage, toolBillingOf(book, usage.tool));
  if (!billed) return { amount: 0n, lines: [], why, billed };
  const lines: ChargedLine[] = [];
  let sum = 0n;
  for (const { line, unitPrice: each } of linesOf(book, usage, account.plan)) {
    const units = line.unit === 'calls' ? 1n : BigInt(usage.units[line.unit] ?? 0);
    if (units === 0n) continue;
    const quantity = line.step === 1n ? units : (units + line.step - 1n) / line.step * line.step;
    const key = meterKey(account.id, line.name);
    const before = meters.get(key) ?? 0n;
    meters.set(key, before + quantity);
    const amount = each === undefined ? costOf(line, before + quantity) - costOf(line, before) : quantity * each;
    lines.push({ line: line.name, quantity, amount });
    sum += amount;
  }
  return { amount: sum, lines, why: lines.length === 0 ? 'no-line' : why, billed: lines.length > 0 };
}
