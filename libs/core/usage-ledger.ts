import type { CallGuard, Settlement } from './ports.js';
import type { TenantSlug } from './tenant.js';

/** Decimal text of an amount, exact to 10⁻⁹. Never a number: a double cannot hold money. */
export type Amount = string;

export interface UsageFilter {
  readonly tenant: TenantSlug;
  readonly since: Date;
  readonly until: Date;
  readonly tool?: string | undefined;
  readonly consumer?: string | undefined;
  readonly outcome?: string | undefined;
  readonly account?: string | undefined;
}
export type UsageDimension = 'hour' | 'day' | 'tool' | 'consumer' | 'outcome' | 'account';
/** Whole numbers as decimal text where they may pass 2⁵³. */
export interface UsageRow extends Partial<Readonly<Record<UsageDimension, string>>> {
  readonly calls: string; readonly billed: string; readonly requestBytes: string; readonly responseBytes: string; readonly backendMs: string; readonly cost: Amount;
}

export interface LedgerEntry {
  readonly id: string; readonly revision: number; readonly entry: 'charge' | 'reversal' | 'correction'; readonly at: string; readonly tool: string; readonly outcome: string; readonly consumer: string;
  readonly account: string; readonly requestId: string | null; readonly book: string; readonly why: string; readonly amount: Amount;
  readonly lines: readonly { readonly line: string; readonly quantity: string; readonly amount: Amount }[];
}
export interface LedgerPage { readonly entries: readonly LedgerEntry[]; readonly nextCursor: string | undefined }

export interface BillAnswer {
  readonly tenant: string; readonly month: string; readonly currency: string; readonly decimals: number; readonly rounding: string; readonly simulated: boolean; readonly revision: number | undefined;
  readonly lines: readonly { readonly account: string; readonly line: string; readonly quantity: string; readonly exact: Amount; readonly amount: Amount; readonly carried: Amount }[];
  readonly total: Amount; readonly ledger: Amount;
}

/** One hour of one meter, for Stripe meters, Lago, OpenMeter and the like: the same identifier is the same fact, however often it is sent. */
export interface UsageAggregate {
  /** SHA-256 over tenant, meter, hour and revision. */
  readonly identifier: string;
  readonly tenant: string; readonly meter: string; readonly hour: string; readonly revision: number; readonly value: string; readonly cost: Amount;
}

/** How complete the ledger is, and what does not agree. */
export interface Reconciliation {
  readonly sources: readonly { readonly source: string; readonly ended: boolean; readonly last: string; readonly missing: readonly { readonly from: string; readonly to: string }[] }[];
  /** Of the interval, over all tenants or the one asked for. */
  readonly entries: string; readonly callRecords: string; readonly invoked: string; readonly unknown: readonly string[];
  readonly quarantined: readonly { readonly key: string; readonly tenant: string | null; readonly reason: string; readonly detail: string; readonly at: string }[];
  /** By call id: in one place and not in the other. */
  readonly onlyInLedger: readonly string[]; readonly onlyInRecords: readonly string[];
  readonly rollUpsAgree: boolean;
  /** Ids whose stored amount is not what the book says. */
  readonly wronglyPriced: readonly string[];
}

/** What is read of the ledger. */
export interface UsageLedger {
  usage(filter: UsageFilter, by: readonly UsageDimension[]): Promise<readonly UsageRow[]>;
  /** Newest month first is not promised: in the order of the ledger. `limit` at most 10,000. */
  entries(filter: UsageFilter, page: { readonly cursor: string | undefined; readonly limit: number }): Promise<LedgerPage>;
  /** `month` is `YYYY-MM`. With `book` (a price book as it is written) what the month would have cost under it; rejects with `PriceBookRefused`. */
  bill(tenant: TenantSlug, month: string, book?: unknown): Promise<BillAnswer>;
  /** Keeps the bill as it is now, with the next revision. */
  closeBill(tenant: TenantSlug, month: string): Promise<BillAnswer>;
  aggregates(filter: Pick<UsageFilter, 'tenant' | 'since' | 'until'>): Promise<readonly UsageAggregate[]>;
  reconcile(scope: { readonly tenant: TenantSlug | undefined; readonly since: Date; readonly until: Date }): Promise<Reconciliation>;
  /** Reckons the month anew under the books now in force; what differs is reversed and charged again. */
  correct(tenant: TenantSlug, month: string): Promise<{ readonly corrected: number; readonly difference: Amount }>;
}

export interface PriceBookRecord { readonly name: string; readonly version: number; readonly hash: string; readonly tenant: string | undefined; readonly validFrom: string; readonly createdBy: string; readonly content: unknown }
export interface PlanRecord {
  readonly name: string; readonly title: string; /** A month. */ readonly fee: Amount; /** Calls a month. */ readonly quota: string | undefined; /** Spend a month. */ readonly cap: Amount | undefined;
  /** Name of a price book; undefined: the tenant's. */ readonly book: string | undefined;
}
export interface SubscriptionRecord { readonly id: string; readonly plan: string; readonly subscriber: string; readonly keyId: string; readonly startsAt: string; readonly endedAt: string | undefined }
export interface BudgetRecord { readonly account: string; readonly cap: Amount | undefined; readonly quota: string | undefined; readonly spent: Amount; readonly committed: Amount; readonly alerts: readonly { readonly percent: number; readonly at: string }[] }

/** What calls cost, and who may spend how much. */
export interface PriceOffice {
  listBooks(tenant: TenantSlug | undefined): Promise<readonly PriceBookRecord[]>;
  /** The next version of its name; the same content again is the version that there is. Rejects with `PriceBookRefused`. */
  putBook(content: unknown, about: { readonly tenant: TenantSlug | undefined; readonly createdBy: string; readonly knownTools: ReadonlySet<string> | undefined }): Promise<PriceBookRecord>;
  listPlans(tenant: TenantSlug): Promise<readonly PlanRecord[]>;
  putPlan(tenant: TenantSlug, plan: PlanRecord): Promise<PlanRecord>;
  listSubscriptions(tenant: TenantSlug): Promise<readonly SubscriptionRecord[]>;
  /** Calls of the credential are the subscription's from now on. Rejects with `NoSuchRecord` for a plan that is not there. */
  subscribe(tenant: TenantSlug, subscription: { readonly plan: string; readonly subscriber: string; readonly keyId: string }): Promise<SubscriptionRecord>;
  /** Ends it; ending it twice changes nothing. Rejects with `NoSuchRecord`. */
  unsubscribe(tenant: TenantSlug, id: string): Promise<SubscriptionRecord>;
  listBudgets(tenant: TenantSlug): Promise<readonly BudgetRecord[]>;
  /** Of the tenant (`account` empty) or a subscription, each month; both undefined: none. */
  setBudget(tenant: TenantSlug, account: string, budget: { readonly cap: Amount | undefined; readonly quota: string | undefined }): Promise<void>;
}

/**
 * Money held for calls before they are made: `spend` takes what a call may cost at most from a lease, or denies with `QUOTA_EXCEEDED`; `settle` gives
 * back what it did not cost.
 */
export interface SpendGuard extends Required<CallGuard>, Settlement {
  /** Gives back what is leased and not spent. */
  close(): Promise<void>;
}
