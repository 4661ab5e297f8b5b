import { Denial } from '#libs/core/errors.js';
import type { QuotaGrant } from '#libs/core/quota.js';

/** For an answer of any status: what is left, and on a denial when to come back (RFC 9110 §10.2.3). Empty where no limit applies. */
export function quotaHeaders(outcome: QuotaGrant | Denial | undefined): Readonly<Record<string, string>> {
  const quota = outcome instanceof Denial ? outcome.quota : outcome;
  const retryAfter = outcome instanceof Denial ? outcome.retryAfterSeconds : undefined;
  return {
    ...(quota ? { 'x-ratelimit-limit': String(quota.limit), 'x-ratelimit-remaining': String(quota.remaining), 'x-ratelimit-reset': String(quota.resetSeconds) } : {}),
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
  };
}
