import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { createEgress, type Egress, type EgressOptions } from './egress.js';

/** The token of the process's one `Egress`. */
export const EGRESS = Symbol('Egress');

@Module({})
export class EgressModule implements OnApplicationShutdown {
  static with(options: EgressOptions): DynamicModule {
    return { module: EgressModule, global: true, providers: [{ provide: EGRESS, useFactory: () => createEgress(options) }], exports: [EGRESS] };
  }
  constructor(@Inject(EGRESS) private readonly egress: Egress) {}
  async onApplicationShutdown(): Promise<void> { await this.egress.close(); }
}
