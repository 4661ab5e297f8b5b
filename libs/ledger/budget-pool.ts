import type { SqlDatabase } from '#libs/core/sql.js';

/** Nano-units and calls. */
export interface Need { readonly nano: bigint; readonly calls: bigint }
export type Held = Need;
interface PoolId { readonly tenant: string; readonly account: string; readonly month: string }

/** Where budgets are: one place for all gateways. */
export interface Leases {
  /** Takes what is needed or a block, a sixteenth of the budget at most, as much of each as it leaves; undefined: there is no budget. Rejects with `Unavailable`. */
  draw(id: PoolId, need: Need, block: Need): Promise<Need | undefined>;
  /** Gives back; negative: what was spent beyond what was drawn. */
  giveBack(id: PoolId, unused: Need): Promise<void>;
}

export interface BudgetPoolOptions { readonly leases: Leases; readonly id: PoolId; readonly block: Need; readonly recheckMs: number; readonly now: () => number }

/** What this gateway has leased of one budget of one month. Takes at once while the lease lasts. */
export class BudgetPool {
  #left: Need = { nano: 0n, calls: 0n };
  #none: number | undefined;
  #drawing: Promise<void> | undefined;
  #exhausted: number | undefined;
  constructor(private readonly options: BudgetPoolOptions) {}

  /** `none`: no budget applies; `spent`: it leaves no room. Rejects with `Unavailable` when a lease is needed and cannot be had. */
  take(need: Need): Held | 'none' | 'spent' | Promise<Held | 'none' | 'spent'> {
    const { recheckMs, now } = this.options;
    if (this.#none !== undefined) {
      if (now() - this.#none < recheckMs) return 'none';
      // Look again beside the call: one that has no budget must not wait for the database, nor fail with it.
      this.#none = now();
      void this.#draw(need).catch(() => undefined);
      return 'none';
    }
    return this.#cut(need) ?? this.#afterDraw(need);
  }
  giveBack({ nano, calls }: Need): void { this.#left = { nano: this.#left.nano + nano, calls: this.#left.calls + calls }; }

  async close(): Promise<void> {
    const unused = this.#left;
    this.#left = { nano: 0n, calls: 0n };
    if (unused.nano !== 0n || unused.calls !== 0n) await this.options.leases.giveBack(this.options.id, unused);
  }

  #cut({ nano, calls }: Need): Held | undefined {
    if (this.#left.nano < nano || this.#left.calls < calls) return undefined;
    this.#left = { nano: this.#left.nano - nano, calls: this.#left.calls - calls };
    return { nano, calls };
  }
  async #afterDraw(need: Need): Promise<Held | 'none' | 'spent'> {
    // Those that wait for one lease share it; whoever finds it empty draws the next, until the budget has no more.
    for (;;) {
      const got = this.#cut(need);
      if (got) return got;
      if (this.#exhausted !== undefined && this.options.now() - this.#exhausted < EXHAUSTED_MS) return 'spent';
      await (this.#drawing ??= this.#draw(need).finally(() => { this.#drawing = undefined; }));
      if (this.#none !== undefined) return 'none';
    }
  }
  async #draw(need: Need): Promise<void> {
    const { leases, id, block, now } = this.options;
    const drawn = await leases.draw(id, need, block);
    this.#none = drawn ? undefined : now();
    if (!drawn) return;
    this.giveBack(drawn);
    this.#exhausted = this.#left.nano < need.nano || this.#left.calls < need.calls ? now() : undefined;
  }
}
/** A spent budget is asked again this much later: it may have been raised, or other gateways have given back. */
const EXHAUSTED_MS = 1000;

/** A small budget is leased in small parts, so that one gateway does not hold all of it. */
function wanted(need: bigint, block: bigint, budget: string | null): bigint {
  const share = budget === null ? block : BigInt(budget) / 16n;
  const part = share < block ? share : block;
  return part > need ? part : need;
}

interface Drawn { readonly nano: string; readonly calls: string }
export const storedLeases = (database: SqlDatabase): Leases => ({
  draw: ({ tenant, account, month }, need, block) => database.control(async (sql) => {
    const [budget] = await sql.query<{ cap: string | null; quota: string | null }>(`SELECT cap::text AS cap, quota::text AS quota FROM ledger.budgets WHERE tenant = $1 AND account = $2`, tenant, account);
    if (!budget) return undefined;
    await sql.query(`INSERT INTO ledger.budget_months (tenant, account, month) VALUES ($1, $2, $3::text::date) ON CONFLICT DO NOTHING`, tenant, account, month);
    const [row] = await sql.query<Drawn>(`WITH room AS (
        SELECT greatest(0, least($4::text::numeric, cap - committed)) AS nano, greatest(0, least($5::text::bigint, quota - committed_calls)) AS calls
        FROM ledger.budget_months, (SELECT coalesce($6::text::numeric, 1e37) AS cap, coalesce($7::text::bigint, 9e18::bigint) AS quota) AS budget WHERE tenant = $1 AND account = $2 AND month = $3::text::date FOR UPDATE OF budget_months
      ) UPDATE ledger.budget_months b SET committed = committed + room.nano, committed_calls = committed_calls + room.calls FROM room
      WHERE tenant = $1 AND account = $2 AND month = $3::text::date RETURNING room.nano::text AS nano, room.calls::text AS calls`,
    tenant, account, month, String(wanted(need.nano, block.nano, budget.cap)), String(wanted(need.calls, block.calls, budget.quota)), budget.cap, budget.quota);
    return { nano: BigInt(row?.nano ?? 0), calls: BigInt(row?.calls ?? 0) };
  }),
  giveBack: ({ tenant, account, month }, { nano, calls }) => database.control(async (sql) => {
    await sql.query(`UPDATE ledger.budget_months SET committed = greatest(0, committed - $4::text::numeric), committed_calls = greatest(0, committed_calls - $5::text::bigint) WHERE tenant = $1 AND account = $2 AND month = $3::text::date`, tenant, account, month, String(nano), String(calls));
  }),
});
