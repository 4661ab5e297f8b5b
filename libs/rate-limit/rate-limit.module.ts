import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { CONCURRENCY_LIMITER, RATE_LIMITER } from '#libs/core/tokens.js';
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
        { provide: RATE_LIMITS, useFactory: (): RateLimits => createRateLimits(options) },
        { provide: RATE_LIMITER, inject: [RATE_LIMITS], useFactory: (limits: RateLimits) => limits.limiter },
        { provide: CONCURRENCY_LIMITER, inject: [RATE_LIMITS], useFactory: (limits: RateLimits) => limits.concurrency },
      ],
      exports: [RATE_LIMITS, RATE_LIMITER, CONCURRENCY_LIMITER],
    };
  }
  constructor(@Inject(RATE_LIMITS) private readonly limits: RateLimits) {}
  async onApplicationShutdown(): Promise<void> { await this.limits.close(); }
}
