import type { AuthorizedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { RateLimiter } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { QuotaGrant, TenantQuotas, ToolRate } from '#libs/core/quota.js';
import { tenantKey, type TenantSlug } from '#libs/core/tenant.js';
import { callerKey, type LimitKey } from './keys.js';
import type { Limits, Rate } from './limits.js';
import { quotaOf, type Standing, type Taken, wholeSeconds, type Window, type WindowStore } from './windows.js';

export interface RateLimiterOptions {
  readonly limits: Pick<Limits, 'roles' | 'other' | 'user' | 'userTool' | 'token' | 'tool' | 'tenant' | 'tenants'>;
  readonly store: WindowStore;
  /** A tenant's own limits where the control plane keeps them; wins over settings. */
  readonly tenantLimits?: (tenant: TenantSlug) => TenantQuotas | undefined;
  /** Milliseconds since the epoch: days of quotas are those of UTC. Default `Date.now`. */
  readonly now?: () => number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * Every limit that a call has to pass, asked at once: it takes one from each or none from any, so that a tool that is
 * spent costs its caller nothing elsewhere. Counts belong to the (tenant, issuer, subject) and tool that were proved and
 * resolved, never to a header. Answers at once where the store does.
 */
export function rateLimiter({ limits, store, tenantLimits, now = Date.now }: RateLimiterOptions): RateLimiter {
  const callers = new WeakMap<Principal, Caller>();
  const callerOf = (principal: Principal): Caller => {
    let caller = callers.get(principal);
    if (!caller) callers.set(principal, caller = describe(principal, limits));
    return caller;
  };
  const tools = new Map<string, Window>();

  const windowsOf = (call: AuthorizedCall): readonly Window[] => {
    const { principal, target } = call;
    const caller = callerOf(principal);
    const windows = [...caller.windows];
    if (limits.userTool) windows.push(caller.tool(target.kind, target.name, limits.userTool));
    const { tenant } = principal;
    if (tenant === undefined) return windows;
    const set = Object.hasOwn(limits.tenants, tenant) ? limits.tenants[tenant] : limits.tenant;
    const own = tenantLimits?.(tenant) ?? set;
    const rate = target.rateLimit ?? (set && Object.hasOwn(set.tools, target.name) ? set.tools[target.name] : limits.tool);
    if (rate && target.kind === 'tool') windows.push(toolWindow(tenant, target.name, rate));
    if (own?.perSecond !== undefined) windows.push({ key: tenantKey(tenant, 'tenant-second'), limit: own.perSecond, ms: 1000, name: 'tenant-second', code: 'RATE_LIMITED' });
    if (own?.perMinute !== undefined) windows.push({ key: tenantKey(tenant, 'tenant'), limit: own.perMinute, ms: MINUTE_MS, name: 'tenant', code: 'RATE_LIMITED' });
    if (own?.perDay !== undefined) {
      const at = now();
      const day = Math.floor(at / DAY_MS);
      windows.push({ key: tenantKey(tenant, 'day', String(day)), limit: own.perDay, ms: Math.max(1, Math.ceil((day + 1) * DAY_MS - at)), name: 'tenant-day', code: 'QUOTA_EXCEEDED' });
    }
    return windows;
  };
  const toolWindow = (tenant: TenantSlug, tool: string, { perMinute, burst }: ToolRate): Window => {
    const key = tenantKey(tenant, 'tool', tool);
    const known = tools.get(key);
    const ms = Math.ceil(MINUTE_MS * burst / perMinute);
    if (known?.limit === burst && known.ms === ms) return known;
    const window: Window = { key, limit: burst, ms, name: 'tool', code: 'RATE_LIMITED' };
    if (tools.size >= MOST_TOOLS) tools.clear();
    tools.set(key, window);
    return window;
  };

  return {
    take(call) {
      const windows = windowsOf(call);
      if (windows.length === 0) return undefined;
      const taken = store.take(windows);
      return taken instanceof Promise ? taken.then(answer) : answer(taken);
    },
  };
}

const MOST_TOOLS = 100_000;

export function answer({ spent, tightest }: Taken): QuotaGrant | undefined | Denial {
  return spent.length > 0 ? denialOf(spent) : tightest && quotaOf(tightest);
}

/** All of them have to come back before the next try can pass, so the last one says when. */
export function denialOf(spent: readonly Standing[]): Denial {
  const last = spent.reduce((late, one) => (one.ms > late.ms ? one : late));
  const retryAfterSeconds = wholeSeconds(last.ms);
  const daily = spent.some(({ window }) => window.code === 'QUOTA_EXCEEDED');
  return new Denial({
    code: daily ? 'QUOTA_EXCEEDED' : 'RATE_LIMITED',
    message: `${daily ? 'Daily quota' : 'Rate limit'} exceeded. Please retry after ${retryAfterSeconds} seconds.`,
    reason: `spent: ${spent.map(({ window }) => `${window.name} (${window.limit} in ${window.ms} ms)`).join(', ')}`,
    retryAfterSeconds, quota: quotaOf(last),
  });
}

/** What of a principal's windows does not change from call to call. */
interface Caller { readonly windows: readonly Window[]; tool(kind: string, name: string, rate: Rate): Window }

const perMinute = (key: LimitKey, rate: Rate, name: string): Window => ({ key, limit: rate.perMinute + rate.burst, ms: MINUTE_MS, name, code: 'RATE_LIMITED' });

function describe(principal: Principal, limits: RateLimiterOptions['limits']): Caller {
  const windows: Window[] = [];
  const role = roleRate(principal.roles, limits);
  if (role) windows.push(perMinute(callerKey('role', principal), role.rate, `role ${role.name}`));
  if (limits.user) windows.push(perMinute(callerKey('user', principal), limits.user, 'user'));
  if (limits.token && principal.credentialId !== undefined) windows.push(perMinute(callerKey('token', principal, principal.credentialId), limits.token, 'token'));
  const tools = new Map<string, Window>();
  return {
    windows,
    tool: (kind, name, rate) => {
      const id = `${kind}:${name}`;
      let window = tools.get(id);
      if (!window) {
        // A resource template has as many names as it has expansions; only the template's own name comes here.
        if (tools.size >= 10_000) tools.clear();
        tools.set(id, window = perMinute(callerKey('user-tool', principal, kind, name), rate, 'user and tool'));
      }
      return window;
    },
  };
}

function roleRate(roles: ReadonlySet<string>, limits: RateLimiterOptions['limits']): { readonly name: string; readonly rate: Rate } | undefined {
  let best: { readonly name: string; readonly rate: Rate } | undefined;
  for (const [name, rate] of Object.entries(limits.roles ?? {})) {
    if (roles.has(name) && (!best || rate.perMinute + rate.burst > best.rate.perMinute + best.rate.burst)) best = { name, rate };
  }
  return best ?? (limits.other && { name: 'other', rate: limits.other });
}
