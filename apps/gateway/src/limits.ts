import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AuthorizedCall, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { ConcurrencyLimiter, RateLimiter } from '#libs/core/ports.js';
import type { QuotaGrant } from '#libs/core/quota.js';
import type { RateLimits } from '#libs/rate-limit/rate-limits.js';
import { addHeader } from './reply-head.js';

/** Routes that orchestrators and scrapers ask, all of them from one address: they must not learn that it is spent. */
export const PROBES = new Set(['/health', '/ready', '/live', '/healthz', '/api/health', '/health/live', '/health/ready', '/health/startup', '/metrics']);

/** Where the caller stands, in the headers of its answer; what is told later replaces what was told before. */
export function writeQuota(reply: FastifyReply, { limit, remaining, resetSeconds }: QuotaGrant): void {
  if (reply.raw.headersSent) return;
  addHeader(reply, 'x-ratelimit-limit', String(limit));
  addHeader(reply, 'x-ratelimit-remaining', String(remaining));
  addHeader(reply, 'x-ratelimit-reset', String(resetSeconds));
}

/** Whose request it is, for limits that count by address. */
export const addressOf = ({ clientIp }: Pick<RateLimits, 'clientIp'>, { raw, headers }: FastifyRequest): string => {
  const forwarded = headers['x-forwarded-for'];
  return clientIp(raw.socket.remoteAddress ?? '', Array.isArray(forwarded) ? forwarded.join(',') : forwarded);
};

/** An `onRequest` hook: an address that has used up its requests, or failed to prove itself too often, gets no further. Install it before the door. */
export function limitAddresses(server: Pick<FastifyInstance, 'addHook'>, limits: Pick<RateLimits, 'door' | 'clientIp'>): void {
  server.addHook('onRequest', (request, reply, done) => {
    if (PROBES.has(request.routeOptions.url ?? '')) { done(); return; }
    const settle = (standing: QuotaGrant | Denial | undefined): void => {
      const quota = standing instanceof Denial ? standing.quota : standing;
      if (quota) writeQuota(reply, quota);
      if (!(standing instanceof Denial)) { done(); return; }
      void reply.code(429).header('retry-after', String(standing.retryAfterSeconds ?? 1)).header('cache-control', 'no-store').send({ detail: standing.message });
    };
    const admitted = limits.door.admit(addressOf(limits, request));
    if (admitted instanceof Promise) admitted.then(settle, done);
    else settle(admitted);
  });
}

const tell = (call: AuthorizedCall, answer: QuotaGrant | undefined | Denial): QuotaGrant | undefined | Denial => {
  const standing = answer instanceof Denial ? answer.quota : answer;
  if (standing) call.exchange.limited?.(standing);
  return answer;
};

/** The limiter, which also lets the call's door know where the caller stands. */
export const telling = (limiter: RateLimiter): RateLimiter => ({
  take(call) {
    const answer = limiter.take(call);
    return answer instanceof Promise ? answer.then((come) => tell(call, come)) : tell(call, answer);
  },
});

/** The same for what runs at the same time; only its refusal says where the caller stands. */
export const tellingOfPlaces = (limiter: ConcurrencyLimiter): ConcurrencyLimiter => ({
  acquire(call: ValidatedCall) {
    const answer = limiter.acquire(call);
    if (answer instanceof Denial && answer.quota) call.exchange.limited?.(answer.quota);
    return answer;
  },
});
