import type { Allow, AuthenticatedCall, AuthorizedCall, BackendAnswer, Ending, ReplayedCall, ResolvedCall, ValidatedCall } from './call.js';
import type { RecordedPrincipal } from './call-record.js';
import type { ArgumentIssue, Denial } from './errors.js';
import type { Principal } from './principal.js';
import type { QuotaGrant } from './quota.js';
import type { CallResult } from './result.js';
import type { CredentialReference } from './rest-binding.js';
import type { Api, Target } from './target.js';
import type { TenantSlug } from './tenant.js';

/** May answer at once: the hot path awaits only what is a promise. */
export type Eventually<T> = T | Promise<T>;

export interface TokenVerifier {
  /**
   * `token` is the credential of an `Authorization: Bearer` header, without the scheme. Answers a denial
   * `UNAUTHENTICATED` for anything not proved, and `FORBIDDEN` for a proved principal that may not come in; rejects with
   * `Unavailable` when nobody can be proved now.
   */
  verify(token: string): Eventually<Principal | Denial>;
  /** As `verify`, for the credential of an `Authorization: Basic` header as it came (base64). Without it the scheme is refused. */
  verifyBasic?(credential: string): Eventually<Principal | Denial>;
}
/** Proves one kind of bearer credential, which is told from all others by its form. */
export interface CredentialVerifier extends TokenVerifier {
  /** Cheap, and true for every credential of this kind, good or bad: no other verifier is asked about it then. */
  takes(token: string): boolean;
}
/** Asked of every call before anything else of the line, at every door: whether its credential is good for this very call. */
export interface CallGuard {
  /** Undefined: it is. Rejects with `Unavailable` when that cannot be known now. */
  check(call: AuthenticatedCall): Eventually<Denial | undefined>;
  /** Asked when nothing else stands against the call, right before it is put on record: a credential for one use is spent here. */
  spend?(call: ValidatedCall): Eventually<Denial | undefined>;
}
/** Asked with the resolved target and the parsed arguments; an engine that cannot answer must deny. */
export interface PolicyDecisionPoint {
  decide(call: ResolvedCall): Eventually<Allow | Denial>;
  /** What lists show to this principal. Left out: all that its tenant has. Throws `Unavailable` where no policy is in force. */
  readonly lists?: (principal: Principal) => ListPolicy;
  /** Decides as `decide` would, changes and remembers nothing, and tells how. */
  readonly trace?: (question: PolicyQuestion) => Promise<PolicyTrace>;
  /** Calls back after another policy came in force, which may have changed every list. Answers the way to stop. */
  readonly onChange?: (listener: () => void) => () => void;
  /** Argument policies in force for principals of a tenant: the operator's, then the tenant's own. Left out: nobody knows. */
  readonly rules?: (tenant: TenantSlug | undefined) => readonly PolicyRule[];
}
/** Rules over arguments under one name, as their author wrote them. */
export interface PolicyRule {
  readonly name: string;
  readonly description: string | undefined;
  /** Name or pattern of the tools. */
  readonly tool: string;
  readonly enabled: boolean;
  readonly priority: number;
  /** How many rules it has; ≥ 1. */
  readonly count: number;
}
/** Whether a request of the admin API may go on. */
export interface AdministrationPolicy {
  /** `route` is `METHOD /matched/route`; `tenant` the one in its path. Rejects with `Unavailable` where nothing can be decided. */
  decide(question: { readonly principal: Principal; readonly route: string; readonly tenant: string | undefined }): Eventually<AdminVerdict>;
}
export interface AdminVerdict {
  readonly allow: boolean;
  /** 404 where the tenant must look like one that does not exist. */
  readonly status: 200 | 403 | 404;
  /** For the caller. */
  readonly reason: string;
  readonly ruleId: string;
  readonly policyRevision: string;
}
export interface PolicyQuestion {
  readonly principal: Principal;
  readonly target: Pick<Target, 'kind' | 'name' | 'tenant' | 'operationClass' | 'tags' | 'category' | 'apiId'> & { readonly backend: { readonly kind: string } };
  readonly arguments: unknown;
  readonly door: string;
  /** Milliseconds since the epoch; undefined: now. */
  readonly at?: number;
}
/** How a decision came about. */
export interface PolicyTrace {
  readonly allow: boolean;
  readonly ruleId: string;
  readonly reason: string;
  /** Digest of the policy and data that decided. */
  readonly revision: string;
  readonly obligations: readonly { readonly kind: string; readonly rule_id?: string; readonly message?: string; readonly flag?: string }[];
  readonly missingScopes: readonly string[];
  /** Everything that the policy saw. */
  readonly input: unknown;
  /** Every clause in its order and whether it holds; the first that holds has decided, else the grant. Empty where the engine does not tell. */
  readonly tried: readonly { readonly rule: string; readonly holds: boolean; readonly action?: string }[];
}
export interface ListPolicy {
  /** Principals of one tenant with equal keys are shown the same of the same targets. Another policy in force is another key. */
  readonly key: string;
  /** Those that are shown, in their order. Rejects with `Unavailable` where nobody could decide. */
  sees(targets: readonly Target[]): Eventually<readonly Target[]>;
}

export interface RateLimiter {
  /** Undefined grant: no limit applies. A spent quota is a denial `RATE_LIMITED` with whole `retryAfterSeconds` ≥ 1. */
  take(call: AuthorizedCall): Eventually<QuotaGrant | undefined | Denial>;
}
/** Caps what runs at the same time; asked around each backend call, after the arguments proved valid. */
export interface ConcurrencyLimiter {
  /** Answers the way to give the place back, to be called exactly once however the call ends, or a denial `RATE_LIMITED`. */
  acquire(call: ValidatedCall): (() => void) | Denial;
}
export interface ArgumentValidator {
  /** The parsed arguments, or what is wrong with them, at most 20 issues. Never coerces. */
  validate(target: Target, args: unknown): { readonly input: Readonly<Record<string, unknown>> } | { readonly issues: readonly ArgumentIssue[] };
}
/** One per binding kind. A backend's own failure is an answer with `isError`; a denial is for what stopped the call on our side. */
export interface Backend {
  invoke(call: ValidatedCall): Promise<BackendAnswer | Denial>;
  /** Values that the backend offers for an argument, at most 100. Left out, or undefined: it has none to offer. Never rejects. */
  complete?(question: CompletionQuestion): Promise<readonly string[] | undefined>;
}
/** A caller who may see the target types an argument of it. */
export interface CompletionQuestion {
  readonly target: Target;
  readonly api: Api | undefined;
  readonly principal: Principal;
  readonly argument: { readonly name: string; readonly value: string };
  /** What is filled in already. */
  readonly others: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}
/** Fails closed: a redactor that throws turns the call into an error, never into raw data. */
export interface Redactor {
  redact(result: CallResult, call: ValidatedCall): Eventually<CallResult>;
  /** What may be kept of the arguments in records. Left out: nothing is. */
  redactArguments?(args: unknown, target: Target): { readonly value: unknown; readonly replaced: number };
  /** Of what is said outside results: a denial's message, a progress message. */
  redactText?(text: string, tenant: TenantSlug | undefined): string;
  /** The same of JSON values: the data of a log message. */
  redactValue?(value: unknown, tenant: TenantSlug | undefined): unknown;
}
/** Told of each ending exactly once, durable before the reply is sent when it promises so. Must not reject. */
export interface Settlement { settle(ending: Ending): Eventually<void> }
/**
 * Accounts for calls. `intent` puts the call on record before its backend is touched and answers its id; it refuses (`UNAVAILABLE`,
 * `QUOTA_EXCEEDED`) what could not be accounted for. `settle` writes the one `CallRecord` of each ending, durable before the reply leaves.
 */
export interface UsageMeter extends Settlement { intent(call: ValidatedCall): Eventually<string | Denial> }
/**
 * The same call twice, made once. `replay` answers what an earlier call under the same `Idempotency-Key` came to, a denial `IDEMPOTENCY_CONFLICT`, or undefined: then the
 * key is this call's, until it settles. Rejects with `Unavailable` when that cannot be known now.
 */
export interface Replays extends Settlement { replay(call: ValidatedCall): Eventually<ReplayedCall | Denial | undefined> }
/** What an administrator changed, or was refused. */
export interface AdminChange {
  readonly requestId: string;
  /** The tenant whose things were changed; undefined: the platform's. */
  readonly tenant: TenantSlug | undefined;
  readonly principal: RecordedPrincipal;
  /** `METHOD /route` as the admin API's description has it. */
  readonly action: string;
  /** The path's parameters by name. */
  readonly object: Readonly<Record<string, string>>;
  readonly effect: 'allow' | 'deny';
  readonly reason?: string;
  /** HTTP status of the answer. Undefined: it was allowed, and put on record before it was done; that it failed is told by a second record. */
  readonly status?: number;
  /** SHA-256 (hex) of what was sent: the canonical JSON (RFC 8785), or the bytes of a document. Kept apart from the facts, since short things can be guessed from it. */
  readonly contentDigest?: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}
/** The trail of administration. Rejects with `Unavailable` when a change cannot be put on record: then it must not be made. */
export interface AdminAudit { record(change: AdminChange): Promise<void> }
export interface CredentialResolver {
  /** The credential's current value. A denial `CREDENTIAL_MISSING` says why there is none, and never holds any of it. */
  resolve(tenant: TenantSlug, reference: CredentialReference, use?: CredentialUse): Eventually<string | Denial>;
  /** The backend did not take this value: true where resolving again may give another. */
  refused?(value: string): boolean;
}
/** For whom a credential is wanted. Left out: for nobody, as when an API describes itself. */
export interface CredentialUse { readonly principal: Principal }
/** One dependency's part in readiness. */
export interface ReadinessCheck { readonly name: string; check(): Promise<{ readonly ok: boolean; readonly reason?: string }> }
/** A number that a part of the process tells of itself, asked at each scrape. `name` without the process's prefix. */
export interface Reading { readonly name: string; readonly help: string; readonly type: 'counter' | 'gauge'; read(): number }
/** Structured log lines: a static message, and facts in fields. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
