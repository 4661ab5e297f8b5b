import type { TenantSlug } from './tenant.js';
import type { OperationClass, Target } from './target.js';

/**
 * How a call ended, for whoever counts it. `denied`: policy, scope or quota of money said no; `rejected`: its arguments were refused or nothing
 * by that name is visible; `unavailable`: something of ours was away, nothing was called; `unknown`: the gateway died
 * while the backend was asked, and nobody knows whether it answered.
 */
export type CallOutcome = 'success' | 'error' | 'timeout' | 'denied' | 'rate_limited' | 'rejected' | 'cancelled' | 'unavailable' | 'input_required' | 'unknown';

/** Who called, without any credential. */
export interface RecordedPrincipal {
  readonly issuer: string;
  readonly subject: string;
  readonly clientId: string;
  readonly credentialId?: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** The chain of who acts for whom (RFC 8693 §4.1 `act`), nearest first. */
  readonly actors?: readonly string[];
}

/** What was called, as the catalogue had it at that revision. */
export interface RecordedTarget {
  readonly name: string;
  readonly class: OperationClass;
  readonly tags: readonly string[];
  /** Name of the API it was imported from; undefined for the gateway's own. */
  readonly api?: string;
  /** Kind of its binding. */
  readonly backend: string;
}

/** What policy said, so that it can be explained, and decided again, later. */
export interface RecordedDecision {
  readonly effect: 'allow' | 'deny';
  readonly ruleId: string;
  /** Digest of the bundle and data that decided. */
  readonly revision: string;
  /** For the tenant's people, not for the caller. */
  readonly reason?: string;
  readonly obligations?: readonly { readonly kind: string; readonly rule_id?: string; readonly message?: string; readonly flag?: string }[];
}

/**
 * One call, as it ended: the one thing a gateway writes for it. Usage events, the ledger, the audit chain and the log of decisions are
 * all derived from it, so that they cannot disagree. JSON, no value nested in it is ever a secret: `arguments` went through redaction.
 */
export interface CallRecord {
  readonly v: 1;
  /** `{bootId}-{seq}`; minted once, by the journal. `bootId` is 15 lower-case hex digits; `seq` starts at 1 with each boot and has no gaps. */
  readonly id: string;
  readonly seq: number;
  /** When the door took it, milliseconds since the epoch. */
  readonly at: number;
  readonly requestId: string;
  /** From W3C trace context, 32 hex digits, if the caller sent one. */
  readonly traceId?: string;
  readonly door: string;
  readonly consumer: string;
  /** Undefined for a principal without tenant. */
  readonly tenant?: TenantSlug;
  readonly principal: RecordedPrincipal;
  readonly kind: Target['kind'];
  /** As the caller wrote it, at most 256 characters. */
  readonly name: string;
  /** Undefined when nothing by that name was visible. */
  readonly target?: RecordedTarget;
  /** Revision of the tenant's catalogue that answered. */
  readonly catalogue?: number;
  readonly decision?: RecordedDecision;
  readonly outcome: CallOutcome;
  /** `ErrorCode` of what stopped it. */
  readonly code?: string;
  readonly reason?: string;
  /** Whether the backend was asked: an intent was on record before. */
  readonly invoked: boolean;
  readonly units: CallUnits;
  /** Redacted; left out when larger than the journal's bound, and then `argumentsDigest` alone tells. */
  readonly arguments?: unknown;
  /** SHA-256 (hex) of the arguments' canonical JSON (RFC 8785) after redaction. */
  readonly argumentsDigest?: string;
  readonly idempotencyKey?: string;
  /** How many values redaction replaced. */
  readonly redactions?: number;
}

/** What a call used. Whole numbers ≥ 0, times in milliseconds. */
export interface CallUnits {
  /** Of the arguments as JSON, UTF-8. */
  readonly requestBytes: number;
  /** Of the backend's answer, decompressed. */
  readonly responseBytes: number;
  /** Time in the backend. */
  readonly backendMs: number;
  /** Whole time in the gateway, the backend's included. */
  readonly totalMs: number;
  /** Times the backend was tried; 0 when it was not. */
  readonly attempts: number;
  /** Units that the backend itself reported, by name; whole numbers. */
  readonly reported?: Readonly<Record<string, number>>;
}
