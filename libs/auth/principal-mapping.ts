import type { Principal } from '#libs/core/principal.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import type { JsonObject } from './compact-token.js';
import type { IssuerConfig } from './issuer-config.js';
import { grantedScopes } from './scopes.js';

/**
 * The principal that proved claims speak of, whose credential ends at `expiresAt` (seconds since the epoch). Answers a private
 * reason instead when a claim that decides what the principal may see is malformed: a wrong tenant is never read as none.
 */
export function principalOf(config: IssuerConfig, claims: JsonObject, expiresAt: number): Principal | { readonly fault: string } {
  const { subject: subjectName = 'sub', tenant: tenantNames = 'tenant_id', roles: rolesName = 'realm_access.roles', scopes: scopesName = 'scope' } = config.claims ?? {};
  const subject = claimAt(claims, subjectName);
  if (typeof subject !== 'string' || subject === '') return { fault: `claim ${subjectName} is not a non-empty string` };
  const tenant = tenantOf(claims, typeof tenantNames === 'string' ? [tenantNames] : tenantNames);
  if (tenant !== undefined && typeof tenant !== 'string') return tenant;
  const roles = new Set(strings(claimAt(claims, rolesName)));
  const scopes = claimAt(claims, scopesName);
  const { jti, acr } = claims;
  return {
    tenant,
    issuer: config.issuer,
    subject,
    clientId: firstString(claims['azp'], claims['client_id']) ?? 'unknown',
    ...(typeof jti === 'string' && jti !== '' && jti.length <= MAX_ID_LENGTH ? { credentialId: jti } : {}),
    roles,
    scopes: grantedScopes(typeof scopes === 'string' ? scopes.split(' ').filter(Boolean) : strings(scopes), roles),
    expiresAt,
    ...(typeof acr === 'string' && acr !== '' ? { acr } : {}),
  };
}
const MAX_ID_LENGTH = 256;

/** Of the first of `names` that the claims have. Null and the empty string stand for no tenant. */
function tenantOf(claims: JsonObject, names: readonly string[]): TenantSlug | undefined | { readonly fault: string } {
  for (const name of names) {
    const named = claimAt(claims, name);
    const tenant: unknown = Array.isArray(named) ? named[0] : named;
    if (tenant === undefined || tenant === null || tenant === '') continue;
    return tenantSlug(tenant) ?? { fault: `claim ${name} is not a tenant's identity` };
  }
  return undefined;
}

/** By the whole name first, then as a dotted path. Own members only. */
export function claimAt(claims: JsonObject, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as JsonObject)[part];
  }
  return value;
}

/** Of a claim that is a list of strings, or one string. */
export function strings(value: unknown): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value];
  return Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string' && entry !== '') : [];
}

function firstString(...values: readonly unknown[]): string | undefined {
  return values.find((value): value is string => typeof value === 'string' && value !== '');
}
