import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Ending } from '#libs/core/call.js';
import type { CallOutcome, CallRecord } from '#libs/core/call-record.js';
import type { DecisionLog } from '#libs/core/decision-log.js';
import type { ErrorCode } from '#libs/core/errors.js';
import type { Redactor, Settlement } from '#libs/core/ports.js';
import type { Target } from '#libs/core/target.js';
import { tenantKey, type TenantSlug } from '#libs/core/tenant.js';

const OUTCOMES: Readonly<Partial<Record<ErrorCode, CallOutcome>>> = {
  FORBIDDEN: 'denied', INSUFFICIENT_SCOPE: 'denied', QUOTA_EXCEEDED: 'denied', RATE_LIMITED: 'rate_limited', INVALID_ARGUMENTS: 'rejected', NOT_FOUND: 'rejected', IDEMPOTENCY_CONFLICT: 'rejected',
  CONFIRMATION_REQUIRED: 'input_required', BACKEND_TIMEOUT: 'timeout', CANCELLED: 'cancelled', UNAVAILABLE: 'unavailable',
};
/** JSON text of arguments: what is larger is left out, and its digest tells. */
const MAX_ARGUMENTS = 8192;

export interface RecentOptions {
  /** Calls remembered. Default 100,000. */
  readonly calls?: number;
  readonly redactor?: Pick<Redactor, 'redactArguments'>;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}

/** The last calls of this process, in memory alone: gone with it. Each is kept as it would be recorded, redacted. */
export class RecentDecisions implements DecisionLog, Settlement {
  readonly reach: string;
  readonly #calls: LRUCache<string, () => CallRecord>;
  readonly #options: RecentOptions;
  #seq = 0;

  constructor(options: RecentOptions = {}) {
    const calls = options.calls ?? 100_000;
    this.#options = options;
    this.#calls = new LRUCache({ max: calls });
    this.reach = `the last ${calls} calls of this process`;
  }

  async find(tenant: TenantSlug | undefined, id: string): Promise<CallRecord | undefined> { return this.#calls.peek(keyOf(tenant, id))?.(); }

  settle(ending: Ending): undefined {
    const { reached } = ending;
    const seq = ++this.#seq;
    const at = (this.#options.now ?? Date.now)() - ending.durationMs;
    // Redacted now, since what is kept must not be what is secret; the rest of the record is made when it is asked for.
    const kept = this.#keep(reached.arguments, reached.target);
    const record = (): CallRecord => recordOf(ending, { seq, at, kept });
    const key = keyOf(reached.principal.tenant, reached.requestId);
    this.#calls.set(key, record);
    if (reached.callId !== undefined && reached.callId !== reached.requestId) this.#calls.set(keyOf(reached.principal.tenant, reached.callId), record);
  }

  #keep(args: unknown, target: Target | undefined): Kept {
    const redactor = this.#options.redactor;
    const { value, replaced } = target && redactor?.redactArguments ? redactor.redactArguments(args, target) : masked(args);
    const text = JSON.stringify(value) ?? 'null';
    return { text: text.length > MAX_ARGUMENTS ? undefined : text, digest: createHash('sha256').update(text).digest('hex'), replaced };
  }
}

interface Kept { readonly text: string | undefined; readonly digest: string; readonly replaced: number }

/** Texts may be anything; where nobody redacts them none is kept. */
function masked(value: unknown): { readonly value: unknown; readonly replaced: number } {
  let replaced = 0;
  const text = JSON.stringify(value, (_, one: unknown) => {
    if (typeof one !== 'string') return one;
    replaced += 1;
    return '[redacted]';
  });
  return { value: text === undefined ? undefined : JSON.parse(text) as unknown, replaced };
}

function recordOf({ reached, denial, durationMs }: Ending, { seq, at, kept }: { readonly seq: number; readonly at: number; readonly kept: Kept }): CallRecord {
  const { principal, target, decision, answer } = reached;
  const decided = decision
    ? { effect: 'allow' as const, ruleId: decision.ruleId, revision: decision.policyRevision, ...(decision.obligations ? { obligations: decision.obligations } : {}) }
    : denial?.decision && { effect: 'deny' as const, ruleId: denial.decision.ruleId, revision: denial.decision.policyRevision, ...(denial.reason === undefined ? {} : { reason: denial.reason }) };
  return {
    v: 1, id: reached.callId ?? reached.requestId, seq, at: Math.round(at), requestId: reached.requestId, door: reached.door, consumer: reached.consumer,
    ...(principal.tenant === undefined ? {} : { tenant: principal.tenant }),
    principal: { issuer: principal.issuer, subject: principal.subject, clientId: principal.clientId, ...(principal.credentialId === undefined ? {} : { credentialId: principal.credentialId }), roles: [...principal.roles], scopes: [...principal.scopes] },
    kind: reached.kind, name: reached.name.slice(0, 256),
    ...(target ? { target: { name: target.name, class: target.operationClass, tags: target.tags, ...(reached.api ? { api: reached.api.name } : {}), backend: target.backend.kind } } : {}),
    ...(decided ? { decision: decided } : {}),
    outcome: denial ? (denial.decision && denial.code === 'NOT_FOUND' ? 'denied' : OUTCOMES[denial.code] ?? 'error') : answer?.outcome ?? 'error',
    ...(denial ? { code: denial.code, ...(denial.reason === undefined ? {} : { reason: denial.reason }) } : {}),
    invoked: answer !== undefined || denial?.code.startsWith('BACKEND_') === true,
    units: { requestBytes: 0, responseBytes: answer?.bytes ?? 0, backendMs: Math.round(answer?.latencyMs ?? 0), totalMs: Math.round(durationMs), attempts: answer ? 1 : 0 },
    ...(kept.text === undefined ? {} : { arguments: JSON.parse(kept.text) as unknown }), argumentsDigest: kept.digest, ...(kept.replaced > 0 ? { redactions: kept.replaced } : {}),
  };
}

/** A slug never starts with a hyphen, so calls without tenant have keys of their own. */
const keyOf = (tenant: TenantSlug | undefined, id: string): string => (tenant === undefined ? `-:${id}` : tenantKey(tenant, id));
