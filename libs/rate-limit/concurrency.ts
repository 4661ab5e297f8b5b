import type { ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { ConcurrencyLimiter } from '#libs/core/ports.js';
import type { TenantQuotas } from '#libs/core/quota.js';
import { tenantKey, type TenantSlug } from '#libs/core/tenant.js';
import { callerKey } from './keys.js';
import type { Limits } from './limits.js';

/** How many hold a place under each key; keys without holders are not kept. */
export class Places {
  private readonly held = new Map<string, number>();
  /** Takes one place under each key, or none under any and answers the key that is full. */
  take(wanted: readonly { readonly key: string; readonly limit: number }[]): string | (() => void) {
    const full = wanted.find(({ key, limit }) => this.count(key) >= limit);
    if (full) return full.key;
    for (const { key } of wanted) this.held.set(key, this.count(key) + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      for (const { key } of wanted) {
        const left = this.count(key) - 1;
        if (left > 0) this.held.set(key, left); else this.held.delete(key);
      }
    };
  }
  count(key: string): number { return this.held.get(key) ?? 0; }
}

export interface ConcurrencyOptions {
  readonly limits: Pick<Limits, 'concurrent' | 'tenant' | 'tenants'>;
  readonly tenantLimits?: (tenant: TenantSlug) => TenantQuotas | undefined;
}

/**
 * Calls in their backends at the same time, on this replica: of the process, of a principal, of a tenant, and to one
 * API of one tenant, so that a hung backend fills its own places alone. Nothing is queued.
 */
export function concurrencyLimiter({ limits, tenantLimits }: ConcurrencyOptions): ConcurrencyLimiter {
  const places = new Places();
  const { process: whole, principal: each, backend } = limits.concurrent;
  return {
    acquire(call: ValidatedCall) {
      const { principal, target } = call;
      const { tenant } = principal;
      const wanted: { readonly key: string; readonly limit: number; readonly what: string }[] = [];
      if (whole !== undefined) wanted.push({ key: '*:process', limit: whole, what: 'this replica' });
      if (each !== undefined) wanted.push({ key: callerKey('calls', principal), limit: each, what: 'the principal' });
      if (tenant !== undefined) {
        const own = tenantLimits?.(tenant) ?? (Object.hasOwn(limits.tenants, tenant) ? limits.tenants[tenant] : limits.tenant);
        if (own?.concurrent !== undefined) wanted.push({ key: tenantKey(tenant, 'calls'), limit: own.concurrent, what: 'the tenant' });
        if (backend !== undefined && target.apiId !== undefined) wanted.push({ key: tenantKey(tenant, 'backend', target.apiId), limit: backend, what: 'the backend' });
      }
      const taken = places.take(wanted);
      if (typeof taken !== 'string') return taken;
      const { limit, what } = wanted.find(({ key }) => key === taken) ?? { limit: 0, what: '' };
      return new Denial({
        code: 'RATE_LIMITED', message: 'Too many calls at the same time. Please retry after 1 seconds.', reason: `${limit} calls of ${what} are running`, retryAfterSeconds: 1,
        quota: { limit, remaining: 0, resetSeconds: 1 },
      });
    },
  };
}
