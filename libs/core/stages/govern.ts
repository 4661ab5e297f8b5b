import type { AdmittedCall, AnsweredCall, AuthorizedCall, BackendAnswer, RecordedCall, RedactedCall, ReplayedCall, ResolvedCall, ValidatedCall } from '../call.js';
import { Denial } from '../errors.js';
import type { ArgumentValidator, Backend, ConcurrencyLimiter, Eventually, PolicyDecisionPoint, RateLimiter, Redactor, UsageMeter } from '../ports.js';
import type { BackendBinding } from '../target.js';

/** Adds one fact to the call in place, as a call is one object from door to ending; a denial stays one. One function for each fact, which engines make fast. */
type Add<C, T, R> = (call: C, value: T | Denial) => R | Denial;
type Open<C> = { -readonly [K in keyof C]: C[K] };
const decided: Add<ResolvedCall, AuthorizedCall['decision'], AuthorizedCall> = (call, value) => { if (value instanceof Denial) return value; const next = call as Open<AuthorizedCall>; next.decision = value; return next; };
const admitted: Add<AuthorizedCall, AdmittedCall['quota'], AdmittedCall> = (call, value) => { if (value instanceof Denial) return value; const next = call as Open<AdmittedCall>; next.quota = value; return next; };
const valid = (call: AdmittedCall, value: ValidatedCall['input']): ValidatedCall => { const next = call as Open<ValidatedCall>; next.input = value; return next; };
const recorded: Add<ValidatedCall, string, RecordedCall> = (call, value) => { if (value instanceof Denial) return value; const next = call as Open<RecordedCall>; next.callId = value; return next; };
const answered: Add<RecordedCall, BackendAnswer, AnsweredCall> = (call, value) => { if (value instanceof Denial) return value; const next = call as Open<AnsweredCall>; next.answer = value; return next; };
const redacted = <C extends AnsweredCall | ReplayedCall>(call: C, value: RedactedCall['result']): C & { readonly result: RedactedCall['result'] } => { const next = call as C & { result: RedactedCall['result'] }; next.result = value; return next; };

const adding = <C, T, R>(call: C, value: Eventually<T | Denial>, add: Add<C, T, R>): Eventually<R | Denial> =>
  (value instanceof Promise ? value.then((come) => add(call, come)) : add(call, value));

/** Ask the policy decision point whether this principal may call this target with these arguments. */
export const authorize = (policy: PolicyDecisionPoint) => (call: ResolvedCall): Eventually<AuthorizedCall | Denial> =>
  adding(call, policy.decide(call), decided);

export const rateLimit = (limiter: RateLimiter) => (call: AuthorizedCall): Eventually<AdmittedCall | Denial> =>
  adding(call, limiter.take(call), admitted);

/** The backend is not contacted with arguments that its schema refuses. */
export const validate = (validator: ArgumentValidator) => (call: AdmittedCall): ValidatedCall | Denial => {
  const verdict = validator.validate(call.target, call.arguments);
  if ('input' in verdict) return valid(call, verdict.input);
  const listed = verdict.issues.map(({ pointer, message }) => `${pointer === '' ? 'arguments' : pointer} ${message}`).join('; ');
  return new Denial({ code: 'INVALID_ARGUMENTS', message: `Invalid arguments for ${call.target.name}: ${listed}`, issues: verdict.issues });
};

/** Nothing is asked of a backend that is not on record. */
export const record = (meter: Pick<UsageMeter, 'intent'>) => (call: ValidatedCall): Eventually<RecordedCall | Denial> =>
  adding(call, meter.intent(call), recorded);

export const invoke = (backends: Readonly<Partial<Record<BackendBinding['kind'], Backend>>>, concurrency?: ConcurrencyLimiter) => (call: RecordedCall): Eventually<AnsweredCall | Denial> => {
  const backend = backends[call.target.backend.kind];
  if (!backend) return new Denial({ code: 'UNAVAILABLE', message: `No backend of kind ${call.target.backend.kind} is enabled here.` });
  const release = concurrency?.acquire(call);
  if (release instanceof Denial) return release;
  if (!release) return backend.invoke(call).then((answer) => answered(call, answer));
  let answering: Promise<BackendAnswer | Denial>;
  try { answering = backend.invoke(call); } catch (failure) { release(); throw failure; }
  return answering.then(
    (answer) => { release(); return answered(call, answer); },
    (failure: unknown) => { release(); throw failure; },
  );
};

export const redact = (redactor: Redactor) => (call: AnsweredCall | ReplayedCall): Eventually<RedactedCall | Denial> => {
  const result = redactor.redact(call.answer.result, call);
  return result instanceof Promise ? result.then((clean) => redacted(call, clean)) : redacted(call, result);
};
