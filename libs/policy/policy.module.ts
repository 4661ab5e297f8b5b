import { type DynamicModule, Module } from '@nestjs/common';
import { POLICY } from '#libs/core/tokens.js';
import { configuredDecision } from './configured-decision.js';

export interface PolicyOptions {
  /** `open` allows every authenticated call to what its tenant may see. */
  readonly mode: 'open' | 'deny';
}

/** Whether a call may be made. A process without this module denies every call. */
@Module({})
export class PolicyModule {
  static with({ mode }: PolicyOptions): DynamicModule {
    return { module: PolicyModule, global: true, providers: [{ provide: POLICY, useFactory: () => configuredDecision(mode) }], exports: [POLICY] };
  }
}
