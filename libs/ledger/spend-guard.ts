import type { Ending, ValidatedCall } from '#libs/core/call.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Log } from '#libs/core/ports.js';
import type { Eventually } from '#libs/core/ports.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { SpendGuard } from '#libs/core/usage-ledger.js';
import type { Accounts } from './apply-charges.js';
import type { BookShelf } from './books.js';
import { BudgetPool, type Held, type Need, type Leases } from './budget-pool.js';
import type { PriceBook } from './price-book.js';
import { rate } from './rate.js';
import { monthOf, type Usage } from './usage.js';

export interface SpendGuardOptions {
  readonly leases: Leases;
  /** As last read; `refresh` reads again. Neither is waited for by a call. */
  readonly pricing: () => { readonly books: BookShelf; readonly accounts: Accounts };
  readonly refresh: () => Promise<unknown>;
  /** What one lease takes at least, nano-units and calls: how much a gateway that dies may leave unused. */
  readonly block: Need;
  /** How long a budget that is not there is believed not to be, in milliseconds. */
  readonly recheckMs: number;
  readonly log?: Pick<Log, 'warn'>;
  readonly now?: () => number;
}

const SPENT = new Denial({ code: 'QUOTA_EXCEEDED', message: 'The budget for this month is spent.', reason: 'the spend cap or quota of the account leaves no room for this call' });

/**
 * Budgets by reservation. Before a call is made, what it may cost at most is taken from a lease; what it did not cost is given back when it ended. Of all gateways
 * together never more is leased than the cap, so that a cap is passed by what calls in flight cost beyond their estimate, and by nothing else.
 */
export function spendGuard({ leases, pricing, refresh, block, recheckMs, log, now = Date.now }: SpendGuardOptions): SpendGuard {
  const pools = new Map<string, BudgetPool>();
  const held = new WeakMap<object, readonly Got[]>();
  let refreshed = -Infinity;
  const freshen = (): void => {
    if (now() - refreshed < recheckMs) return;
    refreshed = now();
    refresh().catch((failure: unknown) => { log?.warn({ err: failure }, 'subscriptions and price books cannot be read: those known stay in force'); });
  };
  const poolOf = (tenant: string, account: string, month: string): BudgetPool => {
    const key = `${tenant}\0${account}\0${month}`;
    let pool = pools.get(key);
    if (!pool) {
      // Of months that are over nothing is leased any more.
      for (const [other, old] of pools) if (!other.endsWith(`\0${month}`)) { pools.delete(other); void old.close().catch(() => undefined); }
      pools.set(key, pool = new BudgetPool({ leases, id: { tenant, account, month }, block, recheckMs, now }));
    }
    return pool;
  };

  /** Credentials whose subscription, if they have one, is known. */
  const met = new Set<string>();
  const spend = (call: ValidatedCall): Eventually<Denial | undefined> => {
    const { tenant, credential, credentialId } = call.principal;
    if (tenant === undefined) return undefined;
    if (credential === 'api-key' && credentialId !== undefined && !met.has(credentialId)) {
      // It may have been made a moment ago, with its subscription.
      return refresh().then(() => { if (met.size >= 100_000) met.clear(); met.add(credentialId); return hold(call, tenant); }, away);
    }
    freshen();
    return hold(call, tenant);
  };
  const hold = (call: ValidatedCall, tenant: TenantSlug): Eventually<Denial | undefined> => {
    const at = now();
    const { books, accounts } = pricing();
    const usage = usageOfCall(call, at);
    const account = accounts.of(usage);
    const book = books.at(at, tenant, account.book);
    const need: Need = { nano: book ? mostOf(usage, book, account.plan) : 0n, calls: 1n };
    const month = monthOf(at);
    const asked = [...new Set([account.id, ''])].map((id) => poolOf(tenant, id, month));
    return takeEach(asked, need, (got) => { if (got.length > 0) held.set(call, got); });
  };

  return {
    check: () => undefined,
    spend,
    settle: ({ reached, denial }: Ending) => {
      const reservations = held.get(reached);
      if (!reservations) return undefined;
      held.delete(reached);
      const cost = costOfEnding(reached as ValidatedCall & Ending['reached'], denial !== undefined, pricing(), now());
      for (const { pool, held: one } of reservations) pool.giveBack({ nano: one.nano - cost.nano, calls: one.calls - cost.calls });
      return undefined;
    },
    close: async () => { await Promise.allSettled([...pools.values()].map((pool) => pool.close())); },
  };
}

interface Got { readonly pool: BudgetPool; readonly held: Held }
/** From each pool in turn, or from none: what was taken is given back where a later one refuses. */
function takeEach(asked: readonly BudgetPool[], need: Need, taken: (got: readonly Got[]) => void): Eventually<Denial | undefined> {
  const got: Got[] = [];
  const undo = (denial: Denial): Denial => { for (const { pool, held } of got) pool.giveBack(held); return denial; };
  const from = (at: number): Eventually<Denial | undefined> => {
    const pool = asked[at];
    if (!pool) { taken(got); return undefined; }
    const goOn = (answer: Held | 'none' | 'spent'): Eventually<Denial | undefined> => {
      if (answer === 'spent') return undo(SPENT);
      if (answer !== 'none') got.push({ pool, held: answer });
      return from(at + 1);
    };
    const answer = pool.take(need);
    return answer instanceof Promise ? answer.then(goOn, (failure: unknown) => undo(away(failure))) : goOn(answer);
  };
  return from(0);
}

const away = (failure: unknown): Denial => new Denial({ code: 'UNAVAILABLE', message: 'The service is temporarily unavailable.', reason: failure instanceof Unavailable ? 'budgets cannot be read' : String(failure), retryAfterSeconds: 1 });

/** The dearest that the call can be: every line at its highest price, for the whole of its deadline. */
function mostOf(usage: Usage, book: PriceBook, plan: string | undefined): bigint {
  let most = 0n;
  for (const line of book.lines) {
    // A line alone, without allowance, at the price of its dearest tier.
    const price = line.tiers.reduce((highest, tier) => (tier.price > highest ? tier.price : highest), 0n);
    const flat: PriceBook = single(book, line, price);
    most += rate({ ...usage, outcome: 'success', invoked: true }, flat, { id: '', plan }, new Map()).amount;
  }
  return most;
}
const singles = new WeakMap<object, PriceBook>();
function single(book: PriceBook, line: PriceBook['lines'][number], price: bigint): PriceBook {
  let found = singles.get(line);
  if (!found) singles.set(line, found = { ...book, lines: [{ ...line, free: 0n, tiers: [{ from: 0n, upTo: undefined, price }] }] });
  return found;
}

function usageOfCall(call: ValidatedCall, at: number): Usage {
  const { principal, target } = call;
  return {
    tenant: principal.tenant ?? 'default', id: '', source: '', seq: 0, at, tool: target.name, kind: call.kind, toolClass: target.operationClass, tags: target.tags, project: null, consumer: call.consumer,
    client: principal.clientId, subject: principal.subject, credential: principal.credentialId ?? null, door: call.door, outcome: 'success', invoked: true, requestId: null, traceId: null,
    units: { calls: 1, backend_ms: target.timeoutMs, total_ms: target.timeoutMs, attempts: 1 },
  };
}

/** As the ledger will reckon it, but for what only the ledger knows: a call within an allowance is taken for a paid one. */
function costOfEnding(reached: ValidatedCall & Ending['reached'], denied: boolean, { books, accounts }: ReturnType<SpendGuardOptions['pricing']>, at: number): Need {
  const { answer } = reached;
  if (answer === undefined) return { nano: 0n, calls: denied ? 0n : 1n };
  const base = usageOfCall(reached, at);
  const account = accounts.of(base);
  const book = books.at(at, base.tenant, account.book);
  const ms = Math.max(0, Math.round(answer.latencyMs));
  const usage: Usage = { ...base, outcome: answer.outcome, units: { calls: 1, backend_ms: ms, total_ms: ms, response_bytes: answer.bytes, attempts: answer.attempts ?? 1, ...answer.units } };
  if (!book) return { nano: 0n, calls: 1n };
  const { billed } = rate(usage, book, account, new Map());
  return { nano: billed ? book.lines.reduce((sum, line) => sum + rate(usage, single(book, line, highest(line)), account, new Map()).amount, 0n) : 0n, calls: 1n };
}
const highest = ({ tiers }: PriceBook['lines'][number]): bigint => tiers.reduce((most, { price }) => (price > most ? price : most), 0n);
