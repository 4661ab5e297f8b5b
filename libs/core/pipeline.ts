import type { AdmittedCall, AnsweredCall, AuthenticatedCall, AuthorizedCall, Ending, RecordedCall, RedactedCall, ReplayedCall, ResolvedCall, ValidatedCall } from './call.js';
import { Denial, Unavailable } from './errors.js';
import type { Eventually, Settlement } from './ports.js';
import type { CallResult } from './result.js';

/** One stage each: the state that it takes, the state that it gives, or a denial. */
export interface Stages extends Settlement {
  resolve(call: AuthenticatedCall): Eventually<ResolvedCall | Denial>;
  authorize(call: ResolvedCall): Eventually<AuthorizedCall | Denial>;
  rateLimit(call: AuthorizedCall): Eventually<AdmittedCall | Denial>;
  validate(call: AdmittedCall): Eventually<ValidatedCall | Denial>;
  /** Asked of calls that bring an `Idempotency-Key`: the answer that the same call had before, or undefined. */
  replay?(call: ValidatedCall): Eventually<ReplayedCall | Denial | undefined>;
  record(call: ValidatedCall): Eventually<RecordedCall | Denial>;
  invoke(call: RecordedCall): Eventually<AnsweredCall | Denial>;
  redact(call: AnsweredCall | ReplayedCall): Eventually<RedactedCall | Denial>;
}
export type RunCall = (call: AuthenticatedCall) => Promise<CallResult | Denial>;

/** One call, from an authenticated request to its result. Read it top to bottom; nothing else runs. Never rejects. */
export const callLine = (on: Stages): RunCall => async (call) => {
  let reached: Ending['reached'] = call;
  let settled = false;
  const end = (denial: Denial | undefined): Eventually<void> => {
    settled = true;
    return on.settle({ reached, denial, durationMs: performance.now() - call.startedAt });
  };
  try {
    // `await` only what is a promise: six of the seven stages mostly answer at once.
    const step: Eventually<ResolvedCall | Denial> = on.resolve(call);
    const resolved = step instanceof Promise ? await step : step;
    if (resolved instanceof Denial) { await end(resolved); return resolved; }
    reached = resolved;

    const asked: Eventually<AuthorizedCall | Denial> = on.authorize(resolved);
    const authorized = asked instanceof Promise ? await asked : asked;
    if (authorized instanceof Denial) { await end(authorized); return authorized; }
    reached = authorized;

    const taken: Eventually<AdmittedCall | Denial> = on.rateLimit(authorized);
    const admitted = taken instanceof Promise ? await taken : taken;
    if (admitted instanceof Denial) { await end(admitted); return admitted; }
    reached = admitted;

    const checked: Eventually<ValidatedCall | Denial> = on.validate(admitted);
    const validated = checked instanceof Promise ? await checked : checked;
    if (validated instanceof Denial) { await end(validated); return validated; }
    reached = validated;

    const known = validated.idempotencyKey === undefined ? undefined : on.replay?.(validated);
    const replayed = known instanceof Promise ? await known : known;
    if (replayed instanceof Denial) { await end(replayed); return replayed; }
    let answered: AnsweredCall | ReplayedCall | undefined = replayed;

    if (!answered) {
      const noted = on.record(validated);
      const recorded = noted instanceof Promise ? await noted : noted;
      if (recorded instanceof Denial) { await end(recorded); return recorded; }
      reached = recorded;

      const invoked = await on.invoke(recorded);
      if (invoked instanceof Denial) { await end(invoked); return invoked; }
      answered = invoked;
    }
    reached = answered;

    const cleaned = on.redact(answered);
    const redacted = cleaned instanceof Promise ? await cleaned : cleaned;
    if (redacted instanceof Denial) { await end(redacted); return redacted; }
    reached = redacted;

    const settling = end(undefined);
    if (settling instanceof Promise) await settling;
    return redacted.result;
  } catch (failure) {
    const denial = asDenial(failure);
    // A settlement that failed is not tried again: what it could not account for is not answered.
    if (!settled) await end(denial);
    return denial;
  }
};

function asDenial(failure: unknown): Denial {
  const reason = failure instanceof Error ? failure.message : String(failure);
  if (failure instanceof Unavailable) return new Denial({ code: 'UNAVAILABLE', message: 'The service is temporarily unavailable.', reason, retryAfterSeconds: 1 });
  return new Denial({ code: 'INTERNAL', message: 'Internal error.', reason });
}
