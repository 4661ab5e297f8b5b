import type { AuthenticatedCall, RecordedCall, ResolvedCall, ValidatedCall } from '../call.js';
import { Denial } from '../errors.js';
import type { CallGuard, Eventually } from '../ports.js';

/** What a confined credential may not call is refused by its name alone, so that nobody learns with it which names there are. */
export const confined: CallGuard = {
  check: ({ principal: { allowedTools }, kind, name }) => (allowedTools === undefined || (kind === 'tool' && allowedTools.has(name)) ? undefined
    : new Denial({ code: 'FORBIDDEN', message: `This credential is not for ${kind} ${name}`, reason: 'the credential names other tools' })),
};

/** Each in turn, then the stage; awaits only what is a promise. */
const before = <C, R>(asked: readonly ((call: C) => Eventually<Denial | undefined>)[], stage: (call: C) => Eventually<R | Denial>) => {
  const from = (call: C, at: number): Eventually<R | Denial> => {
    const ask = asked[at];
    if (!ask) return stage(call);
    const refused = ask(call);
    return refused instanceof Promise ? refused.then((denial) => denial ?? from(call, at + 1)) : refused ?? from(call, at + 1);
  };
  return (call: C): Eventually<R | Denial> => from(call, 0);
};

/** Nothing of the line runs for a call that its credential is not good for. */
export const guarded = (guards: readonly CallGuard[], resolve: (call: AuthenticatedCall) => Eventually<ResolvedCall | Denial>): typeof resolve => before(guards.map((guard) => (call) => guard.check(call)), resolve);
/** A credential for one use is spent by the call that goes through, and by one alone. */
export const spending = (guards: readonly CallGuard[], record: (call: ValidatedCall) => Eventually<RecordedCall | Denial>): typeof record => before(guards.flatMap((guard) => (guard.spend ? [(call: ValidatedCall) => guard.spend?.(call)] : [])), record);
