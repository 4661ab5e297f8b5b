import type { ErrorCode } from '#libs/core/errors.js';
import type { Eventually } from '#libs/core/ports.js';
import type { QuotaGrant } from '#libs/core/quota.js';
import type { LimitKey } from './keys.js';

/** So many in so long, counted from the first; the next window begins with the first after its end. */
export interface Window {
  readonly key: LimitKey;
  readonly limit: number;
  /** Milliseconds, whole, ≥ 1. */
  readonly ms: number;
  /** Which limit it is, for logs. */
  readonly name: string;
  readonly code: Extract<ErrorCode, 'RATE_LIMITED' | 'QUOTA_EXCEEDED'>;
}

/** Where one window stands after it was asked. */
export interface Standing { readonly window: Window; readonly remaining: number; /** Until it ends. */ readonly ms: number }

export interface Taken {
  /** Windows that had nothing left. Empty: the call passes, and each window lost one. Otherwise none lost any. */
  readonly spent: readonly Standing[];
  /** The window nearest to spent. */
  readonly tightest: Standing | undefined;
}

export interface WindowStore {
  /** One from each window, or none from any. Safe to call concurrently. Must not reject. */
  take(windows: readonly Window[]): Eventually<Taken>;
  /** Adds `n` whatever the limit is, for what cannot be refused any more. False: other replicas were not told of it yet, nor asked. */
  add(window: Window, n: number): Eventually<boolean>;
  /** What this process knows of it, at once, and without counting: other replicas' doings may be missing. */
  peek(window: Window): Standing;
}

export const quotaOf = ({ window, remaining, ms }: Standing): QuotaGrant => ({ limit: window.limit, remaining, resetSeconds: wholeSeconds(ms) });

/** RFC 9110 §10.2.3 knows no fractions, and a 0 would mean "at once". */
export const wholeSeconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));
