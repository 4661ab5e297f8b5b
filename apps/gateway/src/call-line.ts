import { callLine, type RunCall } from '#libs/core/pipeline.js';
import type { Backend, Settlement } from '#libs/core/ports.js';
import { authorize, invoke, rateLimit, redact, validate } from '#libs/core/stages/govern.js';
import { type PlatformTargets, resolve } from '#libs/core/stages/resolve.js';
import type { GatewayParts } from './parts.js';

/** The one way to a backend, made of the parts that the process was given. */
export function composeCallLine(
  parts: Pick<GatewayParts, 'catalogue' | 'policy' | 'limiter' | 'validator' | 'redactor' | 'backends'>,
  platform: PlatformTargets & { readonly backend: Backend }, settlements: readonly Settlement[],
): RunCall {
  return callLine({
    resolve: resolve(parts.catalogue, platform),
    authorize: authorize(parts.policy),
    rateLimit: rateLimit(parts.limiter),
    validate: validate(parts.validator),
    invoke: invoke({ ...parts.backends, builtin: platform.backend }),
    redact: redact(parts.redactor),
    settle: settleAll(settlements),
  });
}

/** Each in turn; awaits only what is a promise. */
const settleAll = (settlements: readonly Settlement[]): Settlement['settle'] => (ending) => {
  let waiting: Promise<void> | undefined;
  for (const settlement of settlements) {
    const settled = waiting === undefined ? settlement.settle(ending) : waiting.then(() => settlement.settle(ending));
    if (settled instanceof Promise) waiting = settled;
  }
  return waiting;
};
