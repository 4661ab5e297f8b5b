import { LRUCache } from 'lru-cache';
import type { Allow, ResolvedCall } from '#libs/core/call.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Eventually, ListPolicy, PolicyDecisionPoint, PolicyQuestion, PolicyTrace } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import { type TenantSlug, tenantKey } from '#libs/core/tenant.js';
import { type Decision, readDecision, triedOf } from './decision.js';
import { type EngineAnswer, EngineFailure, type PolicyEngine } from './engine.js';
import { type Action, inputText, principalClass, type StaticInput, staticInput, staticInputs } from './input.js';

/** One decision, for metrics, logs and explanation. */
export interface DecisionEvent {
  readonly outcome: 'allow' | 'deny' | 'error';
  readonly action: Action;
  readonly cached: boolean;
  readonly decision: Decision | undefined;
  /** Why no decision came, where none did. */
  readonly failure: EngineFailure['kind'] | 'undefined' | undefined;
  readonly revision: string;
  readonly requestId: string | undefined;
  /** The input as the policy saw it, JSON text. Holds arguments: redact before it is kept. Undefined where the decision was remembered. */
  readonly input: string | undefined;
}
export interface DecisionPointOptions {
  /** Undefined while no policy was ever in force: nothing can be decided. */
  readonly engine: () => PolicyEngine | undefined;
  readonly environment: string;
  /** Kinds of obligation that whoever enforces the decision fulfils. An allowance tied to another one is a denial. */
  readonly enforces: ReadonlySet<string>;
  /** Milliseconds that a decision is remembered where the policy says that it depends on neither arguments nor time. Default 10,000; 0: never. */
  readonly cacheMs?: number;
  /** Decisions remembered at most. Default 10,000. */
  readonly cacheSize?: number;
  /** Must not throw. */
  readonly observe?: (event: DecisionEvent) => void;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}
export interface Policy extends Required<Pick<PolicyDecisionPoint, 'decide' | 'lists' | 'trace'>> {
  /** Whether a list shows this target to this principal: decided like a call, without arguments. False where nothing can be decided. */
  mayList(principal: Principal, target: Target): Eventually<boolean>;
}

/** Decisions of one list that are asked for at the same time, of an engine that is not in this process. */
const AT_ONCE = 64;

interface Remembered { readonly answer: Allow | Denial; readonly decision: Decision; readonly revision: string; readonly until: number }
interface Asked { readonly action: Action; readonly principal: Principal; readonly target: Target; readonly door: string; readonly args: unknown; readonly name: string; readonly requestId: string | undefined }

/** Obligations that ask nothing of anybody but to be recorded. */
const RECORDED = new Set(['warn', 'audit']);
const NOUN = { tool: 'Tool', resource: 'Resource', prompt: 'Prompt' } as const;

/** Decides every call by OPA, embedded or beside the process; denies whatever is not plainly allowed. */
export function policyDecisionPoint(options: DecisionPointOptions): Policy {
  const { engine: current, enforces, observe, cacheMs = 10_000, cacheSize = 10_000, now = Date.now } = options;
  const known = staticInputs(options.environment);
  let cached: { readonly engine: PolicyEngine; readonly decisions: LRUCache<string, Remembered>; readonly variations: LRUCache<string, Decision['varies']> } | undefined;

  const decide = (asked: Asked): Eventually<Allow | Denial> => {
    const engine = current();
    if (!engine) throw new Unavailable('policy');
    // A policy's decisions go with it.
    if (cached?.engine !== engine) cached = { engine, decisions: new LRUCache({ max: cacheSize }), variations: new LRUCache({ max: cacheSize }) };
    const { decisions, variations } = cached;
    const facts = known(asked.principal, asked.target);
    const key = keyOf(asked, facts);
    const at = now();
    const before = cacheMs > 0 ? decisions.get(key) : undefined;
    if (before && before.until > at) {
      observe?.({ outcome: before.decision.allow ? 'allow' : 'deny', action: asked.action, cached: true, decision: before.decision, failure: undefined, revision: before.revision, requestId: asked.requestId, input: undefined });
      return before.answer;
    }
    const variation = variationKey(asked);
    const varies = variations.get(variation);
    const input = inputText(facts, {
      action: asked.action, door: asked.door, at: varies === undefined || varies.includes('time') ? at : undefined,
      args: varies === undefined || varies.includes('arguments') ? asked.args : undefined,
    });
    const settle = (answer: EngineAnswer): Allow | Denial => {
      const decision = readDecision(answer.result);
      if (!decision) return failed(new EngineFailure('malformed', 'the policy gave no decision'), answer.result === undefined ? 'undefined' : 'malformed', answer.revision);
      const verdict = enforceable(decision, asked, answer.revision);
      variations.set(variation, decision.varies);
      if (decision.varies.length === 0) decisions.set(key, { answer: verdict, decision, revision: answer.revision, until: at + cacheMs });
      observe?.({ outcome: verdict instanceof Denial ? 'deny' : 'allow', action: asked.action, cached: false, decision, failure: undefined, revision: answer.revision, requestId: asked.requestId, input });
      return verdict;
    };
    const failed = (cause: unknown, kind: DecisionEvent['failure'], revision = 'none'): Denial => {
      observe?.({ outcome: 'error', action: asked.action, cached: false, decision: undefined, failure: kind, revision, requestId: asked.requestId, input });
      const reason = `engine-${kind}: ${cause instanceof Error ? cause.message : String(cause)}`;
      const by = { ruleId: `engine-${kind}`, policyRevision: revision };
      return kind === 'unreachable' || kind === 'timeout'
        ? new Denial({ code: 'UNAVAILABLE', message: 'The service is temporarily unavailable.', reason, retryAfterSeconds: 1, decision: by })
        : new Denial({ code: 'FORBIDDEN', message: 'No policy allows this call', reason, decision: by });
    };
    try {
      const answer = engine.evaluate(input);
      return answer instanceof Promise ? answer.then(settle).catch((cause: unknown) => failed(cause, kindOf(cause))) : settle(answer);
    } catch (cause) { return failed(cause, kindOf(cause)); }
  };

  const enforceable = (decision: Decision, asked: Asked, revision: string): Allow | Denial => {
    if (!decision.allow) return denialOf(decision, asked, revision);
    const unknown = decision.obligations.find(({ kind }) => !RECORDED.has(kind) && !enforces.has(kind));
    if (unknown && asked.action === 'invoke') return new Denial({ code: 'FORBIDDEN', message: `${NOUN[asked.target.kind]} ${asked.name} needs a ${unknown.kind} that this door cannot ask for`, reason: `${decision.ruleId}: obligation ${unknown.kind} is not enforced here`, decision: { ruleId: decision.ruleId, policyRevision: revision } });
    return { ruleId: decision.ruleId, policyRevision: revision, ...(decision.obligations.length === 0 ? {} : { obligations: decision.obligations }) };
  };

  const list = (principal: Principal, target: Target): Eventually<Allow | Denial> => decide({ action: 'list', principal, target, door: 'list', args: undefined, name: target.name, requestId: undefined });

  const seen = (principal: Principal, targets: readonly Target[]): Eventually<readonly Target[]> => {
    const ordinary = current()?.ordinary;
    const alike = new Map<string, boolean>();
    const visible: Target[] = [];
    for (const [i, target] of targets.entries()) {
      // Names that no rule speaks of are allowed or not by their class.
      const kind = ordinary?.(target.name) === true && principal.allowedTools === undefined ? `${target.kind} ${target.operationClass} ${target.tenant ?? ''}` : undefined;
      let may = kind === undefined ? undefined : alike.get(kind);
      if (may === undefined) {
        const verdict = list(principal, target);
        if (verdict instanceof Promise) return remaining(principal, targets, { from: i, first: verdict, visible });
        may = shown(verdict);
        if (kind !== undefined) alike.set(kind, may);
      }
      if (may) visible.push(target);
    }
    return visible;
  };
  const remaining = async (principal: Principal, targets: readonly Target[], at: { readonly from: number; readonly first: Promise<Allow | Denial>; readonly visible: Target[] }): Promise<readonly Target[]> => {
    const { from, first, visible } = at;
    for (let start = from; start < targets.length; start += AT_ONCE) {
      const batch = targets.slice(start, start + AT_ONCE);
      const verdicts = await Promise.all(batch.map(async (target, i) => (start + i === from ? first : list(principal, target))));
      visible.push(...batch.filter((_, i) => shown(verdicts[i]!)));
    }
    return visible;
  };

  // A number for each policy that was in force, so that a class's key ends with it.
  const epochs = new WeakMap<PolicyEngine, number>();
  let epoch = 0;
  const trace = async ({ principal, target, arguments: args, door, at = now() }: PolicyQuestion): Promise<PolicyTrace> => {
    const engine = current();
    if (!engine) throw new Unavailable('policy');
    const input = inputText(staticInput(principal, target, options.environment), { action: 'invoke', door, at, args, trace: true });
    const { result, revision } = await engine.evaluate(input);
    const decision = readDecision(result);
    if (!decision) throw new Unavailable('policy');
    const { trace: _, ...seenInput } = JSON.parse(input) as Record<string, unknown>;
    return { allow: decision.allow, ruleId: decision.ruleId, reason: decision.reason, revision, obligations: decision.obligations, missingScopes: decision.missingScopes, input: seenInput, tried: triedOf(result) };
  };
  const listsOf = (principal: Principal): ListPolicy => {
    const engine = current();
    if (!engine) throw new Unavailable('policy');
    let since = epochs.get(engine);
    if (since === undefined) epochs.set(engine, since = ++epoch);
    const fixed = engine.ordinary !== undefined;
    return { key: `${since}${fixed ? '' : `.${Math.floor(now() / Math.max(1, cacheMs))}`}:${principalClass(principal, !fixed)}`, sees: (targets) => seen(principal, targets) };
  };

  return {
    lists: listsOf,
    trace,
    decide: (call: ResolvedCall) => decide({ action: 'invoke', principal: call.principal, target: call.target, door: call.door, args: call.arguments, name: call.name, requestId: call.requestId }),
    mayList: (principal, target) => {
      try {
        const answer = list(principal, target);
        return answer instanceof Promise ? answer.then((verdict) => !(verdict instanceof Denial)) : !(answer instanceof Denial);
      } catch { return false; }
    },
  };
}

/** Throws where nothing was decided: an empty list would say that there is nothing. */
function shown(verdict: Allow | Denial): boolean {
  if (verdict instanceof Denial && verdict.code === 'UNAVAILABLE') throw new Unavailable('policy');
  return !(verdict instanceof Denial);
}
const kindOf = (cause: unknown): EngineFailure['kind'] => (cause instanceof EngineFailure ? cause.kind : 'failed');

function denialOf(decision: Decision, asked: Asked, policyRevision: string): Denial {
  const reason = `${decision.ruleId}: ${decision.reason}`;
  const by = { ruleId: decision.ruleId, policyRevision };
  // Another tenant's thing must look like none: the bytes of an unknown name.
  if (decision.ruleId === 'tenant-isolation') return new Denial({ code: 'NOT_FOUND', message: `${NOUN[asked.target.kind]} not found: ${asked.name}`, reason, decision: by });
  const message = decision.message ?? 'No policy allows this call';
  return decision.missingScopes.length > 0
    ? new Denial({ code: 'INSUFFICIENT_SCOPE', message, reason, missingScopes: decision.missingScopes, decision: by })
    : new Denial({ code: 'FORBIDDEN', message, reason, decision: by });
}

/** A slug never starts with a hyphen, so the principals without tenant have keys of their own. */
const inTenant = (tenant: TenantSlug | undefined, ...parts: readonly string[]): string => (tenant === undefined ? `-${parts.join(':')}` : tenantKey(tenant, ...parts));
const keyOf = ({ principal, action, door }: Asked, { digest }: StaticInput): string => inTenant(principal.tenant, action, door, digest);
const variationKey = ({ principal, target, action }: Asked): string => inTenant(principal.tenant, action, target.kind, target.name, target.hash);
