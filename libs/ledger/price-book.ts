import { createHash } from 'node:crypto';
import { DEFAULT_BILLING, type ToolBilling } from './billable.js';

/** From `from` up to, but not with, `upTo` of a month's quantity (undefined: without end), each `per` units cost `price`. */
export interface Tier { readonly from: bigint; readonly upTo: bigint | undefined; /** Nano-units. */ readonly price: bigint }

/** Which calls a line counts; undefined: whatever it is. */
export interface Match {
  readonly kinds: readonly string[];
  readonly tools?: readonly string[];
  readonly classes?: readonly string[];
  readonly tags?: readonly string[];
  readonly tenants?: readonly string[];
  readonly plans?: readonly string[];
}

export interface PriceLine {
  readonly name: string;
  readonly match: Match;
  /** `calls`, `request_bytes`, `response_bytes`, `backend_ms`, `total_ms`, `attempts`, or a unit that the backend reports. */
  readonly unit: string;
  /** What `price` buys. */
  readonly per: bigint;
  /** Each call's units are rounded up to a multiple of this; 1: as they are. */
  readonly step: bigint;
  /** Of a month and account, before anything is paid. */
  readonly free: bigint;
  /** In order, without gap or overlap, from 0 on; quantities beyond `free`. */
  readonly tiers: readonly Tier[];
}

/** Immutable. A change is a new version; which applies goes by the time of the call. */
export interface PriceBook {
  readonly name: string;
  readonly currency: string;
  /** Places of a bill's line. */
  readonly decimals: number;
  /** Milliseconds since the epoch. */
  readonly validFrom: number;
  readonly lines: readonly PriceLine[];
  /** Of a month and account, nano-units. */
  readonly minimum: bigint;
  readonly billing: ToolBilling;
  readonly toolBilling: Readonly<Record<string, ToolBilling>>;
  /** SHA-256 (hex) over the content: the book's identity. */
  readonly hash: string;
  /** As it was read, to be stored and read again. */
  readonly content: unknown;
}

/** Canonical enough to hash: members in order of their names. */
export const contentText = (value: unknown): string => JSON.stringify(value, (_key, inner: unknown) =>
  (typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1))) : inner));
export const contentHash = (value: unknown): string => createHash('sha256').update(contentText(value)).digest('hex');

/** STOA's: 0.001 a call, its three premium tools 0.001 more, and 0.0001 for each 100 ms in the backend, in proportion; six decimals. */
export const DEFAULT_BOOK = {
  name: 'default', currency: 'units', decimals: 6, validFrom: '1970-01-01T00:00:00.000Z',
  lines: [
    { name: 'calls', unit: 'calls', price: '0.001' },
    { name: 'premium', unit: 'calls', price: '0.001', match: { tools: ['stoa_delete_api', 'stoa_delete_tool', 'stoa_deploy_api'] } },
    { name: 'latency', unit: 'backend_ms', per: 100, price: '0.0001' },
  ],
};
/** Tools of the platform that a book may name in any tenant, whether this build has them or not. */
export const PLATFORM_TOOLS: ReadonlySet<string> = new Set(['stoa_delete_api', 'stoa_delete_tool', 'stoa_deploy_api']);

export const toolBillingOf = (book: PriceBook, tool: string): ToolBilling => (Object.hasOwn(book.toolBilling, tool) ? book.toolBilling[tool] : undefined) ?? book.billing ?? DEFAULT_BILLING;
