import { rounded } from './money.js';

/** What a bill is made of: sums of the ledger's own amounts, nano-units. */
export interface BillInput {
  readonly tenant: string;
  /** `YYYY-MM` */
  readonly month: string;
  readonly currency: string;
  readonly decimals: number;
  readonly lines: readonly { readonly account: string; readonly line: string; readonly quantity: bigint; readonly amount: bigint; /** Of all months before, whose remainder is carried here. */ readonly before: bigint }[];
  readonly accounts: readonly { readonly account: string; readonly plan: string | undefined; readonly fee: bigint; readonly minimum: bigint }[];
}

export interface BillLine {
  readonly account: string;
  /** Line of the price book; `fee:{plan}` and `minimum` are the bill's own. */
  readonly line: string;
  readonly quantity: bigint;
  /** To the nano-unit. */
  readonly exact: bigint;
  /** To the book's places. */
  readonly amount: bigint;
  /** What rounding left for the next month's bill; below half a place, and may be negative. */
  readonly carried: bigint;
}

export interface Bill extends Pick<BillInput, 'tenant' | 'month' | 'currency' | 'decimals'> {
  readonly rounding: string;
  readonly lines: readonly BillLine[];
  /** Sum of the lines as they are to be paid. */
  readonly total: bigint;
  /** What the ledger holds for the month, without fees and minimums. */
  readonly ledger: bigint;
}

export const ROUNDING = 'half to even, once per line, over all months so far: what a line rounds away is in its next bill';

/** The bill of a month. Pure: the same ledger gives the same bill. */
export function billOf({ tenant, month, currency, decimals, lines, accounts }: BillInput): Bill {
  const made: BillLine[] = lines.map(({ account, line, quantity, amount, before }) => {
    const [owed, settled] = [before + amount, rounded(before, decimals)];
    const now = rounded(owed, decimals);
    return { account, line, quantity, exact: amount, amount: now - settled, carried: owed - now };
  });
  for (const { account, plan, fee, minimum } of accounts) {
    const used = made.filter((line) => line.account === account).reduce((sum, { amount }) => sum + amount, 0n);
    if (minimum > used) made.push(own(account, 'minimum', rounded(minimum - used, decimals)));
    if (plan !== undefined && fee > 0n) made.push(own(account, `fee:${plan}`, rounded(fee, decimals)));
  }
  made.sort((a, b) => (a.account === b.account ? order(a.line, b.line) : order(a.account, b.account)));
  return {
    tenant, month, currency, decimals, rounding: ROUNDING, lines: made,
    total: made.reduce((sum, { amount }) => sum + amount, 0n), ledger: lines.reduce((sum, { amount }) => sum + amount, 0n),
  };
}
const own = (account: string, line: string, amount: bigint): BillLine => ({ account, line, quantity: 1n, exact: amount, amount, carried: 0n });
const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
