import type { AdmittedCall, AnsweredCall, AuthorizedCall, BackendAnswer, RecordedCall, RedactedCall, ReplayedCall, ResolvedCall, ValidatedCall } from '../call.js';
import { Denial } from '../errors.js';
import type { ArgumentValidator, Backend, ConcurrencyLimiter, Eventually, PolicyDecisionPoint, RateLimiter, Redactor, UsageMeter } from '../ports.js';
import type { BackendBinding } from '../target.js';

/** Adds one fact to the call in place: a call is one object from door to ending. */
const adding = <C extends object, K extends string, V>(call: C, key: K, value: V): C & Record<K, V> => {
  (call as Record<string, unknown>)[key] = value;
  return call as C & Record<K, V>;
};
const then = <T, R>(value: Eventually<T | Denial>, add: (value: T) => R): Eventually<R | Denial> =>
  value instanceof Promise ? value.then((v) => (v instanceof Denial ? v : add(v))) : value instanceof Denial ? value : add(value);

/** Ask the policy decision point whether this principal may call this target with these arguments. */
export const authorize = (policy: PolicyDecisionPoint) => (call: ResolvedCall): Eventually<AuthorizedCall | Denial> =>
  then(policy.decide(call), (decision) => adding(call, 'decision', decision));

export const rateLimit = (limiter: RateLimiter) => (call: AuthorizedCall): Eventually<AdmittedCall | Denial> =>
  then(limiter.take(call), (quota) => adding(call, 'quota', quota));

/** The backend is not contacted with arguments that its schema refuses. */
export const validate = (validator: ArgumentValidator) => (call: AdmittedCall): ValidatedCall | Denial => {
  const verdict = validator.validate(call.target, call.arguments);
  if ('input' in verdict) return adding(call, 'input', verdict.input);
  const listed = verdict.issues.map(({ pointer, message }) => `${pointer === '' ? 'arguments' : pointer} ${message}`).join('; ');
  return new Denial({ code: 'INVALID_ARGUMENTS', message: `Invalid arguments for ${call.target.name}: ${listed}`, issues: verdict.issues });
};

/** Nothing is asked of a backend that is not on record. */
export const record = (meter: Pick<UsageMeter, 'intent'>) => (call: ValidatedCall): Eventually<RecordedCall | Denial> =>
  then(meter.intent(call), (callId) => adding(call, 'callId', callId));

export const invoke = (backends: Readonly<Partial<Record<BackendBinding['kind'], Backend>>>, concurrency?: ConcurrencyLimiter) => (call: RecordedCall): Eventually<AnsweredCall | Denial> => {
  const backend = backends[call.target.backend.kind];
  if (!backend) return new Denial({ code: 'UNAVAILABLE', message: `No backend of kind ${call.target.backend.kind} is enabled here.` });
  const release = concurrency?.acquire(call);
  if (release instanceof Denial) return release;
  let answering: Promise<BackendAnswer | Denial>;
  try { answering = backend.invoke(call); } catch (failure) { release?.(); throw failure; }
  return answering.then(
    (answer) => { release?.(); return answer instanceof Denial ? answer : adding(call, 'answer', answer); },
    (failure: unknown) => { release?.(); throw failure; },
  );
};

export const redact = (redactor: Redactor) => (call: AnsweredCall | ReplayedCall): Eventually<RedactedCall | Denial> => {
  const result = redactor.redact(call.answer.result, call);
  return result instanceof Promise ? result.then((clean) => adding(call, 'result', clean)) : adding(call, 'result', result);
};
