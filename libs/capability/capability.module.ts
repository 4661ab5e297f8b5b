import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Log } from '#libs/core/ports.js';
import { CREDENTIAL_VERIFIER, LOG } from '#libs/core/tokens.js';
import { type CapabilityObserver, createCapabilities } from './capabilities.js';
import { keyRing } from './key-ring.js';
import { memoryMarks } from './memory-marks.js';
import type { Marks } from './marks.js';
import { redisMarks } from './redis-marks.js';

/** Token of the process's `Capabilities`. */
export const CAPABILITIES = Symbol('Capabilities');
/** Token of a `CapabilityObserver`, which a process may offer. */
export const CAPABILITY_OBSERVER = Symbol('CapabilityObserver');
const MARKS = Symbol('CapabilityModule marks');

export interface CapabilityModuleOptions {
  /** Of the tokens: a URL of this gateway's own. */
  readonly issuer: string;
  /** The canonical URL of the protected resource. */
  readonly audience: string;
  /** The first signs, all verify; each has 32 bytes or more. None: a key at random, for one replica. */
  readonly secrets: readonly string[];
  /** What several replicas share of spent and revoked tokens. Unset: this process keeps its own. */
  readonly redis?: { readonly url: string; readonly keyPrefix?: string };
}

/** Capability tokens: proved like any other credential, and exchanged, introspected and revoked by the routes of the gateway. */
@Module({})
export class CapabilityModule implements OnApplicationShutdown {
  static with({ issuer, audience, secrets, redis }: CapabilityModuleOptions): DynamicModule {
    return {
      module: CapabilityModule, global: true,
      providers: [
        {
          provide: MARKS, inject: [LOG],
          useFactory: (log: Log): Marks => (redis ? redisMarks({ ...redis, onAway: (away) => { if (away) log.warn({}, 'Redis is away: capability tokens are refused'); } }) : memoryMarks(Date.now)),
        },
        {
          provide: CAPABILITIES, inject: [MARKS, { token: CAPABILITY_OBSERVER, optional: true }],
          useFactory: (marks: Marks, observer?: CapabilityObserver) => createCapabilities({ ring: keyRing(secrets), issuer, audience, marks, now: Date.now, ...(observer ? { observer } : {}) }),
        },
        { provide: CREDENTIAL_VERIFIER.capability, useExisting: CAPABILITIES },
      ],
      exports: [CAPABILITIES, CREDENTIAL_VERIFIER.capability],
    };
  }
  constructor(@Inject(MARKS) private readonly marks: Marks) {}
  onApplicationShutdown(): void { this.marks.close(); }
}
