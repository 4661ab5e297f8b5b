import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { OUTBOUND, OUTBOUND_GUARD, OUTBOUND_STREAMS } from '#libs/core/tokens.js';
import { parseAllowList } from './allow-list.js';
import { createEgress, type Egress, type EgressOptions } from './egress.js';

/** The process's one way out over HTTP. */
@Module({})
export class EgressModule implements OnApplicationShutdown {
  constructor(@Inject(OUTBOUND) private readonly egress: Egress) {}
  /** Throws `InvalidAllowEntry`, before anything is opened. */
  static with(options: EgressOptions): DynamicModule {
    parseAllowList(options.allow);
    return { module: EgressModule, global: true, providers: [{ provide: OUTBOUND, useFactory: () => createEgress(options) }, { provide: OUTBOUND_GUARD, useExisting: OUTBOUND }, { provide: OUTBOUND_STREAMS, useExisting: OUTBOUND }], exports: [OUTBOUND, OUTBOUND_GUARD, OUTBOUND_STREAMS] };
  }
  async onApplicationShutdown(): Promise<void> { await this.egress.close(); }
}
