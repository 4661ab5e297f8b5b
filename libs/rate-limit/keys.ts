import { isIPv6 } from 'node:net';
import type { Principal } from '#libs/core/principal.js';
import { type TenantKey, tenantKey } from '#libs/core/tenant.js';

/** Counts of one client address, before anybody knows whose request it is. Begins with `@`, which no tenant does. */
export type AddressKey = string & { readonly __brand: 'AddressKey' };
/** Counts of principals that belong to no tenant. Begins with `*`, which no tenant does. */
type UntenantedKey = string & { readonly __brand: 'UntenantedKey' };
export type LimitKey = TenantKey | AddressKey | UntenantedKey;

/** An IPv6 client counts by its /64, since each host may take any address below it (RFC 4291 §2.5.1, RFC 8981). */
export function addressKey(limit: string, ip: string): AddressKey {
  return `@${limit}:${isIPv6(ip) ? networkOf(ip) : ip}` as AddressKey;
}

export function callerKey(limit: string, principal: Principal, ...parts: readonly string[]): LimitKey {
  const { tenant, issuer, subject } = principal;
  if (tenant !== undefined) return tenantKey(tenant, limit, issuer, subject, ...parts);
  let key = `*:${limit}`;
  for (const part of [issuer, subject, ...parts]) key += `:${part.length}:${part}`;
  return key as UntenantedKey;
}

/** The first four groups, written in full. */
function networkOf(ip: string): string {
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  // A dotted tail stands for two groups.
  const written = before.length + after.length + (after.at(-1)?.includes('.') || before.at(-1)?.includes('.') ? 1 : 0);
  const groups = tail === undefined ? before : [...before, ...Array.from({ length: Math.max(0, 8 - written) }, () => '0'), ...after];
  return groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
