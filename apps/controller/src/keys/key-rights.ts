import { grantedScopes } from '#libs/auth/scopes.js';
import type { Principal } from '#libs/core/principal.js';

/** Of every tenant; no key of one tenant has them. */
const PLATFORM_ROLES: ReadonlySet<string> = new Set(['cpi-admin', 'stoa.admin', 'stoa.security']);
/** Realm roles that administer, weakest first: scopes alone do not tell a tenant's administrator from its developer. */
const RANKS: readonly string[] = ['viewer', 'devops', 'tenant-admin', 'cpi-admin'];
const rankOf = (role: string): number => RANKS.indexOf(role);

/** Why this principal may not manage keys at all; undefined: it may, as far as its role goes. */
export function cannotManage({ credential, allowedTools }: Principal): string | undefined {
  if (credential === 'api-key' || credential === 'capability' || allowedTools !== undefined) return 'Access denied: a key cannot manage keys; sign in with a token';
  return undefined;
}

/**
 * The first role or scope that this principal may not hand on in a key (SEC-15), with the reason. A key is never more than its maker: of
 * administrative roles none above the maker's own, of the product's roles those whose scopes the maker holds, of others the maker's own.
 */
export function beyond(principal: Principal, { roles, scopes }: { readonly roles: readonly string[]; readonly scopes: readonly string[] }): { readonly field: 'roles' | 'scopes'; readonly index: number; readonly reason: string } | undefined {
  const platform = principal.roles.has('cpi-admin');
  const rank = Math.max(...[...principal.roles].map(rankOf));
  const held = (scope: string): boolean => principal.scopes.has(scope);
  const may = (role: string): boolean => {
    if (platform || principal.roles.has(role)) return true;
    const granted = [...grantedScopes([], [role])];
    return granted.length > 0 && granted.every(held) && rankOf(role) <= rank;
  };
  for (const [index, role] of roles.entries()) {
    if (PLATFORM_ROLES.has(role)) return { field: 'roles', index, reason: `${role} is of the whole platform: no key of a tenant has it` };
    if (!may(role)) return { field: 'roles', index, reason: `${role} is beyond your own roles` };
  }
  for (const [index, scope] of scopes.entries()) if (!held(scope)) return { field: 'scopes', index, reason: `${scope} is beyond your own scopes` };
  return undefined;
}
