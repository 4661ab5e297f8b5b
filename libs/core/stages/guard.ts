import type { AuthenticatedCall, ResolvedCall } from '../call.js';
import { Denial } from '../errors.js';
import type { CallGuard, Eventually } from '../ports.js';

type Resolve = (call: AuthenticatedCall) => Eventually<ResolvedCall | Denial>;

/** What a confined credential may not call is refused by its name alone, so that nobody learns with it which names there are. */
export const confined: CallGuard = {
  check: ({ principal: { allowedTools }, kind, name }) => (allowedTools === undefined || (kind === 'tool' && allowedTools.has(name)) ? undefined
    : new Denial({ code: 'FORBIDDEN', message: `This credential is not for ${kind} ${name}`, reason: 'the credential names other tools' })),
};

/** Each guard in turn, then the stage. */
export const guarded = (guards: readonly CallGuard[], resolve: Resolve): Resolve => {
  const from = (call: AuthenticatedCall, at: number): Eventually<ResolvedCall | Denial> => {
    const guard = guards[at];
    if (!guard) return resolve(call);
    const refused = guard.check(call);
    return refused instanceof Promise ? refused.then((denial) => denial ?? from(call, at + 1)) : refused ?? from(call, at + 1);
  };
  return (call) => from(call, 0);
};
