import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { createRateLimits, type RateLimitOptions, type RateLimits } from './rate-limits.js';

/** Token of the process's one `RateLimits`. */
export const RATE_LIMITS = Symbol('RateLimits');

@Module({})
export class RateLimitModule implements OnApplicationShutdown {
  static with(options: RateLimitOptions): DynamicModule {
    return {
      module: RateLimitModule, global: true,
      providers: [{ provide: RATE_LIMITS, useFactory: (): RateLimits => createRateLimits(options) }],
      exports: [RATE_LIMITS],
    };
  }
  constructor(@Inject(RATE_LIMITS) private readonly limits: RateLimits) {}
  async onApplicationShutdown(): Promise<void> { await this.limits.close(); }
}
