import type { QuotaGrant } from './quota.js';

/** Every stable failure code. `apps/gateway/src/error-mapping.ts` answers each one; the compiler checks. */
export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'INSUFFICIENT_SCOPE'
  | 'NOT_FOUND'
  | 'FORBIDDEN'
  | 'CONFIRMATION_REQUIRED'
  | 'RATE_LIMITED'
  | 'QUOTA_EXCEEDED'
  | 'INVALID_ARGUMENTS'
  | 'IDEMPOTENCY_CONFLICT'
  | 'BACKEND_ERROR'
  | 'BACKEND_TIMEOUT'
  | 'BACKEND_UNREACHABLE'
  | 'BACKEND_RESPONSE_TOO_LARGE'
  | 'BACKEND_CONTRACT_VIOLATION'
  | 'EGRESS_REFUSED'
  | 'CREDENTIAL_MISSING'
  | 'UNAVAILABLE'
  | 'CANCELLED'
  | 'INTERNAL';

/** One thing wrong with the arguments, as a JSON Pointer (RFC 6901) into them. */
export interface ArgumentIssue { readonly pointer: string; readonly message: string }

/** What a person must agree to before the call is made. */
export interface Confirmation {
  /** What to ask. */
  readonly message: string;
  /** Brought back with the same call, it is the agreement; once. */
  readonly token: string;
  readonly expiresInSeconds: number;
}

/** Which rule refused, under which policy: for records and explanations, never for the caller. */
export interface Refused { readonly ruleId: string; readonly policyRevision: string }

export interface DenialFacts {
  readonly code: ErrorCode;
  /** What the caller may read. Never names a rule, a host of ours, a secret or another tenant's thing. */
  readonly message: string;
  /** For logs and audit only. */
  readonly reason?: string;
  readonly retryAfterSeconds?: number;
  readonly issues?: readonly ArgumentIssue[];
  /** Scopes that would have sufficed, all of them (RFC 6750 §3.1). */
  readonly missingScopes?: readonly string[];
  readonly backendStatus?: number;
  /** Of the limit that was spent, for `RATE_LIMITED` and `QUOTA_EXCEEDED`. */
  readonly quota?: QuotaGrant;
  /** Set where a policy decided. */
  readonly decision?: Refused;
  /** Of `CONFIRMATION_REQUIRED`. */
  readonly confirmation?: Confirmation;
}

/** A stage's "no". A value, not an exception: refusing costs no stack trace. */
export class Denial {
  readonly code: ErrorCode;
  readonly message: string;
  readonly reason: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly issues: readonly ArgumentIssue[] | undefined;
  readonly missingScopes: readonly string[] | undefined;
  readonly backendStatus: number | undefined;
  readonly quota: QuotaGrant | undefined;
  readonly decision: Refused | undefined;
  readonly confirmation: Confirmation | undefined;
  constructor(facts: DenialFacts) {
    this.code = facts.code;
    this.message = facts.message;
    this.reason = facts.reason;
    this.retryAfterSeconds = facts.retryAfterSeconds;
    this.issues = facts.issues;
    this.missingScopes = facts.missingScopes;
    this.backendStatus = facts.backendStatus;
    this.quota = facts.quota;
    this.decision = facts.decision;
    this.confirmation = facts.confirmation;
  }
}

/** Something that a call depends on cannot be reached: answered 503, never as an allowance. */
export class Unavailable extends Error {
  readonly code = 'UNAVAILABLE' satisfies ErrorCode;
  override get name(): string { return 'Unavailable'; }
  constructor(readonly dependency: string, options?: { cause?: unknown }) { super(`${dependency} is unavailable`, options); }
}
