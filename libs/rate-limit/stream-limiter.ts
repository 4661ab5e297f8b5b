import { Denial } from '#libs/core/errors.js';
import type { TenantQuotas } from '#libs/core/quota.js';
import { tenantKey, type TenantSlug } from '#libs/core/tenant.js';
import { Places } from './concurrency.js';
import { addressKey } from './keys.js';
import type { Limits } from './limits.js';
import { memoryWindows, monotonic } from './memory-windows.js';
import { wholeSeconds } from './windows.js';

export interface StreamLimiter {
  /** Answers the way to give the place back when the stream ends, or a denial `RATE_LIMITED`. */
  open(of: { readonly ip: string; readonly tenant: TenantSlug | undefined }): (() => void) | Denial;
}

export interface StreamLimiterOptions {
  readonly limits: Limits['streams'];
  readonly tenantLimits?: (tenant: TenantSlug) => TenantQuotas | undefined;
  readonly now?: () => number;
}

const RETRY_SECONDS = 60;

/** Event streams that are open on this replica, by client address and tenant and in all, and new ones of an address in a minute. */
export function streamLimiter({ limits, tenantLimits, now = monotonic }: StreamLimiterOptions): StreamLimiter {
  const places = new Places();
  const opened = memoryWindows({ now });
  return {
    open({ ip, tenant }) {
      const wanted: { readonly key: string; readonly limit: number; readonly reason: string }[] = [];
      if (limits.total !== undefined) wanted.push({ key: '*:streams', limit: limits.total, reason: 'total limit reached' });
      if (limits.address !== undefined) wanted.push({ key: addressKey('streams', ip), limit: limits.address, reason: 'limit per address reached' });
      const ofTenant = tenant === undefined ? undefined : tenantLimits?.(tenant)?.streams ?? limits.tenant;
      if (tenant !== undefined && ofTenant !== undefined) wanted.push({ key: tenantKey(tenant, 'streams'), limit: ofTenant, reason: 'limit per tenant reached' });
      const taken = places.take(wanted);
      if (typeof taken === 'string') return denial(wanted.find(({ key }) => key === taken)?.reason ?? '', RETRY_SECONDS);
      if (limits.newPerMinute === undefined) return taken;
      const [spent] = opened.take([{ key: addressKey('new-streams', ip), limit: limits.newPerMinute, ms: 60_000, name: 'new streams', code: 'RATE_LIMITED' }]).spent;
      if (!spent) return taken;
      taken();
      return denial('too many new connections', wholeSeconds(spent.ms));
    },
  };
}

const denial = (reason: string, retryAfterSeconds: number): Denial =>
  new Denial({ code: 'RATE_LIMITED', message: `Too many connections: ${reason}`, reason: `streams: ${reason}`, retryAfterSeconds });
