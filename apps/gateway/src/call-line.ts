import { callLine, type RunCall, type Stages } from '#libs/core/pipeline.js';
import type { ArgumentValidator, Backend, CallGuard, ConcurrencyLimiter, PolicyDecisionPoint, RateLimiter, Redactor, Replays, Settlement, UsageMeter } from '#libs/core/ports.js';
import type { Catalogue } from '#libs/core/catalogue.js';
import { authorize, invoke, rateLimit, record, redact, validate } from '#libs/core/stages/govern.js';
import { guarded, spending } from '#libs/core/stages/guard.js';
import { type PlatformTargets, resolve } from '#libs/core/stages/resolve.js';
import { type Confirmations, confirmed } from './confirmation.js';
import type { Backends } from './parts.js';

interface Governance {
  readonly catalogue: Catalogue;
  /** Whether the caller's credential is good for this very call. */
  readonly guards: readonly CallGuard[];
  readonly policy: PolicyDecisionPoint;
  readonly limiter: RateLimiter;
  readonly concurrency?: ConcurrencyLimiter | undefined;
  readonly validator: ArgumentValidator;
  /** Undefined: an `Idempotency-Key` is recorded, and no more. */
  readonly replays?: Replays | undefined;
  readonly meter: UsageMeter | undefined;
  readonly redactor: Redactor;
  readonly confirmations: Confirmations;
  readonly backends: Backends;
}

/** The one way to a backend. */
export function composeCallLine(on: Governance, platform: PlatformTargets & { readonly backend: Backend }, settlements: readonly Settlement[]): RunCall {
  return callLine({
    resolve: guarded(on.guards, resolve(on.catalogue, platform)),
    authorize: authorize(on.policy),
    rateLimit: rateLimit(on.limiter),
    validate: validate(on.validator),
    ...replaying(on.replays),
    // What is to be agreed to is asked last: nobody confirms a call that would be refused, or one that was made already.
    record: confirmed(on.confirmations, spending(on.guards, record(on.meter ?? UNMETERED))),
    invoke: invoke({ ...on.backends, builtin: platform.backend }, on.concurrency),
    redact: redact(on.redactor),
    // An answer is kept before its call is on record: who dies in between has not charged for what will be asked again. Then the meter: what follows may tell of what is on record.
    settle: settleAll([...(on.replays ? [on.replays] : []), ...(on.meter ? [on.meter] : []), ...settlements]),
  });
}

const replaying = (replays: Replays | undefined): Pick<Stages, 'replay'> => (replays ? { replay: (call) => replays.replay(call) } : {});

/** Where nobody counts, a call has no id beside its request's. */
const UNMETERED: Pick<UsageMeter, 'intent'> = { intent: (call) => call.requestId };

/** Each in turn; awaits only what is a promise. */
const settleAll = (settlements: readonly Settlement[]): Settlement['settle'] => (ending) => {
  let waiting: Promise<void> | undefined;
  for (const settlement of settlements) {
    const settled = waiting === undefined ? settlement.settle(ending) : waiting.then(() => settlement.settle(ending));
    if (settled instanceof Promise) waiting = settled;
  }
  return waiting;
};
