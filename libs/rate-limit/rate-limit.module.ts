import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Catalogue } from '#libs/core/catalogue.js';
import type { Log } from '#libs/core/ports.js';
import type { TenantQuotas } from '#libs/core/quota.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { CATALOGUE, CONCURRENCY_LIMITER, LOG, RATE_LIMITER } from '#libs/core/tokens.js';
import { createRateLimits, type RateLimitOptions, type RateLimits } from './rate-limits.js';

/** Token of the process's one `RateLimits`, for the doors: streams, addresses, readiness. */
export const RATE_LIMITS = Symbol('RateLimits');

/** Every limit of the process, from one set of counters. */
@Module({})
export class RateLimitModule implements OnApplicationShutdown {
  static with(options: RateLimitOptions): DynamicModule {
    return {
      module: RateLimitModule, global: true,
      providers: [
        {
          provide: RATE_LIMITS, inject: [{ token: CATALOGUE, optional: true }, { token: LOG, optional: true }],
          useFactory: (catalogue?: Pick<Catalogue, 'snapshot'>, log?: Log): RateLimits => createRateLimits({
            ...(catalogue ? { tenantLimits: quotasIn(catalogue) } : {}),
            ...(log ? { onAway: (away) => { log.warn({ away }, 'the store of limits went away or came back'); } } : {}),
            ...options,
          }),
        },
        { provide: RATE_LIMITER, inject: [RATE_LIMITS], useFactory: (limits: RateLimits) => limits.limiter },
        { provide: CONCURRENCY_LIMITER, inject: [RATE_LIMITS], useFactory: (limits: RateLimits) => limits.concurrency },
      ],
      exports: [RATE_LIMITS, RATE_LIMITER, CONCURRENCY_LIMITER],
    };
  }
  constructor(@Inject(RATE_LIMITS) private readonly limits: RateLimits) {}
  async onApplicationShutdown(): Promise<void> { await this.limits.close(); }
}

/** What the control plane set for the tenant. A call is resolved in its tenant's catalogue first, so that it is in memory by then. */
const quotasIn = (catalogue: Pick<Catalogue, 'snapshot'>) => (tenant: TenantSlug): TenantQuotas | undefined => {
  const snapshot = catalogue.snapshot(tenant);
  if (!(snapshot instanceof Promise)) return snapshot?.quotas;
  snapshot.catch(() => undefined);
  return undefined;
};
