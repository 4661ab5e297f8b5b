import type { Denial } from './errors.js';
import type { Cancellation } from './outbound.js';
import type { Principal } from './principal.js';
import type { QuotaGrant } from './quota.js';
import type { CallResult } from './result.js';
import type { Api, Target } from './target.js';

/** The talk with the client while its call runs. */
export interface Exchange {
  /** Aborts when the client went away, cancelled, or the server gives up draining. */
  readonly signal: AbortSignal;
  /** The same as `signal` for who needs no `AbortSignal`, which is costly to make; undefined: take `signal`. */
  readonly cancellation?: Cancellation;
  /** Set when the client asked for progress; values must rise. */
  readonly progress?: (progress: number, total?: number, message?: string) => void;
  /** Set when the client asked for log messages. */
  readonly log?: (level: string, data: unknown, logger?: string) => void;
  /** Told where the caller stands with its limits, before anything is answered; the door says so in headers. */
  readonly limited?: (standing: QuotaGrant) => void;
  /** The client's capabilities, as it declared them. */
  readonly clientCapabilities: Readonly<Record<string, unknown>>;
  /** 2026-07-28: the door can answer `input_required`; what the client sent back with its retry. */
  readonly supportsInputRequired: boolean;
  readonly inputResponses?: Readonly<Record<string, unknown>>;
  readonly requestState?: string;
  /** Legacy eras only: ask the client (sampling, elicitation, roots) on the call's own stream. */
  readonly request?: (method: string, params: unknown) => Promise<unknown>;
}

export interface Allow {
  readonly ruleId: string;
  readonly policyRevision: string;
  /** What the allowance is tied to: `warn` and `audit` are to be recorded, `confirm` to be asked for. Undefined: nothing. */
  readonly obligations?: readonly { readonly kind: string; readonly rule_id?: string; readonly message?: string; readonly flag?: string }[];
}
export interface BackendAnswer {
  readonly result: CallResult;
  /** How the backend did, for metering: a tool error is not a success. */
  readonly outcome: 'success' | 'error' | 'timeout';
  /** Time in the backend, in milliseconds. */
  readonly latencyMs: number;
  /** Body bytes received, decompressed. */
  readonly bytes: number;
  /** Times it was tried; undefined: once. */
  readonly attempts?: number;
  /** Units that it reported of itself, by name; whole numbers ≥ 0. */
  readonly units?: Readonly<Record<string, number>>;
}

// Each state adds exactly one fact, so that a stage cannot be skipped or moved without a type error.
export interface AuthenticatedCall {
  readonly requestId: string;
  /** The door it came through: `mcp`, `mcp-legacy`, `rest`. */
  readonly door: string;
  readonly principal: Principal;
  readonly kind: Target['kind'];
  /** Tool or prompt name, or resource URI, as the caller wrote it. */
  readonly name: string;
  readonly arguments: unknown;
  readonly exchange: Exchange;
  /** W3C trace context of the caller (`traceparent`, `tracestate`), if it sent one. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** `X-Consumer-ID`, else `unknown`. */
  readonly consumer: string;
  /** `Idempotency-Key` of the caller: the same key within a day is the same call, charged once. */
  readonly idempotencyKey?: string | undefined;
  /** Monotonic milliseconds when the door took the call. */
  readonly startedAt: number;
}
export interface ResolvedCall extends AuthenticatedCall {
  readonly target: Target;
  readonly api: Api | undefined;
  /** Of the tenant's catalogue that the target was found in; undefined for the platform's own. */
  readonly revision?: number;
}
export interface AuthorizedCall extends ResolvedCall { readonly decision: Allow }
export interface AdmittedCall extends AuthorizedCall { readonly quota: QuotaGrant | undefined }
export interface ValidatedCall extends AdmittedCall { readonly input: Readonly<Record<string, unknown>> }
/** On record before the backend is touched: `callId` names it in usage events, ledger and audit. */
export interface RecordedCall extends ValidatedCall { readonly callId: string }
export interface AnsweredCall extends RecordedCall { readonly answer: BackendAnswer }
/** Told again: an earlier call under the same `Idempotency-Key` had this answer. Nothing is asked of a backend. */
export interface ReplayedCall extends ValidatedCall { readonly answer: BackendAnswer; /** Call id of the earlier one. */ readonly replayOf: string }
export interface RedactedCall extends ValidatedCall { readonly answer: BackendAnswer; readonly result: CallResult }

/** How a call ended: the furthest state it reached, and what stopped it there, if anything did. */
export interface Ending {
  readonly reached: AuthenticatedCall & Partial<RecordedCall & ReplayedCall & RedactedCall>;
  readonly denial: Denial | undefined;
  /** Whole time in the gateway, in milliseconds. */
  readonly durationMs: number;
}
