import type { Denial } from '#libs/core/errors.js';
import type { Eventually } from '#libs/core/ports.js';
import type { QuotaGrant } from '#libs/core/quota.js';
import { addressKey } from './keys.js';
import type { Limits } from './limits.js';
import { answer, denialOf } from './rate-limiter.js';
import type { Window, WindowStore } from './windows.js';

/** What counts by client address, before and beside authentication. */
export interface DoorLimits {
  /** Asked before the credential is looked at: where the address stands, undefined where no limit applies. Must not reject. */
  admit(ip: string): Eventually<QuotaGrant | Denial | undefined>;
  /** Told of each credential that was not proved; not of requests without one. */
  failed(ip: string): Eventually<void>;
}

/**
 * `store` is one of its own, so that a flood of addresses cannot push out what principals have used.
 * Failed authentications are looked up in this process's memory, without a round trip: other replicas' failures are
 * learned with the first one here. While they cannot be learned this limit closes: one failure counts for all.
 */
export function doorLimits(limits: Pick<Limits, 'address' | 'failedAuthentications'>, store: WindowStore): DoorLimits {
  const { address, failedAuthentications } = limits;
  return {
    admit(ip) {
      if (failedAuthentications !== undefined) {
        const standing = store.peek(failures(ip, failedAuthentications));
        if (standing.remaining === 0) return denialOf([standing]);
      }
      if (!address) return undefined;
      const taken = store.take([{ key: addressKey('requests', ip), limit: address.perMinute + address.burst, ms: 60_000, name: 'address', code: 'RATE_LIMITED' }]);
      return taken instanceof Promise ? taken.then(answer) : answer(taken);
    },
    failed(ip) {
      if (failedAuthentications === undefined) return undefined;
      const window = failures(ip, failedAuthentications);
      const close = (known: boolean): void => { if (!known) void store.add(window, failedAuthentications); };
      const added = store.add(window, 1);
      return added instanceof Promise ? added.then(close) : close(added);
    },
  };
}

const failures = (ip: string, limit: number): Window => ({ key: addressKey('failures', ip), limit, ms: 60_000, name: 'failed authentications', code: 'RATE_LIMITED' });
