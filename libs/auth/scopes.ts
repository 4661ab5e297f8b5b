/** The twelve granular scopes, in the order in which they are published. */
const GRANULAR = [
  'stoa:catalog:read', 'stoa:catalog:write',
  'stoa:subscription:read', 'stoa:subscription:write',
  'stoa:observability:read', 'stoa:observability:write',
  'stoa:tools:read', 'stoa:tools:execute',
  'stoa:admin:read', 'stoa:admin:write',
  'stoa:security:read', 'stoa:security:write',
] as const;

const READ = ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read'] as const;

/** What a legacy scope stands for besides itself. */
const EXPANSION: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['stoa:read', READ],
  ['stoa:write', [...READ, 'stoa:catalog:write', 'stoa:subscription:write', 'stoa:observability:write', 'stoa:tools:execute']],
  ['stoa:admin', GRANULAR],
]);

/** Realm roles and personas. A role that is not here grants nothing. */
const ROLE_SCOPES: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['cpi-admin', ['stoa:admin', 'stoa:write', 'stoa:read']],
  ['tenant-admin', ['stoa:write', 'stoa:read']],
  ['devops', ['stoa:write', 'stoa:read']],
  ['viewer', ['stoa:read']],
  ['stoa.admin', GRANULAR],
  ['stoa.security', ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read', 'stoa:security:read', 'stoa:security:write', 'stoa:admin:read']],
  ['stoa.product_owner', ['stoa:catalog:read', 'stoa:catalog:write', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read']],
  ['stoa.developer', ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:subscription:write', 'stoa:observability:read', 'stoa:tools:read', 'stoa:tools:execute']],
  ['stoa.consumer', ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:subscription:write', 'stoa:tools:read', 'stoa:tools:execute']],
  ['stoa.agent', ['stoa:catalog:read', 'stoa:tools:read', 'stoa:tools:execute']],
]);

/** Every role that means something to the product: the four realm roles, then the six personas. */
export const STOA_ROLES: readonly string[] = [...ROLE_SCOPES.keys()];

/** Every scope of the product, as published in protected-resource metadata. Never `openid` or `offline_access`: they are not ours to grant. */
export const STOA_SCOPES: readonly string[] = [...EXPANSION.keys(), ...GRANULAR];

/**
 * The scopes that a principal holds: those in its token, those that its roles map to, and what the legacy ones among
 * them stand for. Scopes of other products pass through unchanged.
 */
export function grantedScopes(tokenScopes: Iterable<string>, roles: Iterable<string>): ReadonlySet<string> {
  const granted = new Set(tokenScopes);
  for (const role of roles) for (const scope of ROLE_SCOPES.get(role) ?? []) granted.add(scope);
  // A set may grow while it is walked; expansions hold no legacy scope, so this ends.
  for (const scope of granted) for (const implied of EXPANSION.get(scope) ?? []) granted.add(implied);
  return granted;
}
