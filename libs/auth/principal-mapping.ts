import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import type { JsonObject } from './compact-token.js';
import type { IssuerConfig } from './issuer-config.js';
import { grantedScopes } from './scopes.js';

/**
 * The principal that proved claims speak of. Answers a private reason instead when a claim that decides what the
 * principal may see is malformed: a wrong tenant is never read as none.
 */
export function principalOf(config: IssuerConfig, claims: JsonObject): Principal | { readonly fault: string } {
  const { subject: subjectName = 'sub', tenant: tenantName = 'tenant_id', roles: rolesName = 'realm_access.roles', scopes: scopesName = 'scope' } = config.claims ?? {};
  const subject = claimAt(claims, subjectName);
  if (typeof subject !== 'string' || subject === '') return { fault: `claim ${subjectName} is not a non-empty string` };
  const named = claimAt(claims, tenantName);
  const tenant: unknown = Array.isArray(named) ? named[0] : named;
  const absent = tenant === undefined || tenant === null || tenant === '';
  const slug = tenantSlug(tenant);
  if (!absent && slug === undefined) return { fault: `claim ${tenantName} is not a tenant's identity` };
  const roles = new Set(strings(claimAt(claims, rolesName)));
  const scopes = claimAt(claims, scopesName);
  return {
    tenant: slug,
    issuer: config.issuer,
    subject,
    clientId: firstString(claims['azp'], claims['client_id']) ?? 'unknown',
    roles,
    scopes: grantedScopes(typeof scopes === 'string' ? scopes.split(' ').filter(Boolean) : strings(scopes), roles),
    expiresAt: claims['exp'] as number,
  };
}

/** By the whole name first, then as a dotted path. Own members only. */
function claimAt(claims: JsonObject, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as JsonObject)[part];
  }
  return value;
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string' && entry !== '') : [];
}

function firstString(...values: readonly unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === 'string' && value !== '');
}
