import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { OUTBOUND } from '#libs/core/tokens.js';
import { createEgress, type Egress, type EgressOptions } from './egress.js';

/** The process's one way out over HTTP. */
@Module({})
export class EgressModule implements OnApplicationShutdown {
  constructor(@Inject(OUTBOUND) private readonly egress: Egress) {}
  static with(options: EgressOptions): DynamicModule {
    return { module: EgressModule, global: true, providers: [{ provide: OUTBOUND, useFactory: () => createEgress(options) }], exports: [OUTBOUND] };
  }
  async onApplicationShutdown(): Promise<void> { await this.egress.close(); }
}
