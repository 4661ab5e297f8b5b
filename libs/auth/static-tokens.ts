import { hash } from 'node:crypto';
import { Denial } from '#libs/core/errors.js';
import type { CredentialVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import { grantedScopes } from './scopes.js';

/** A fixed bearer token and whom it stands for. For development: it never ends and is known to whoever reads the configuration. */
export interface StaticToken { readonly token: string; readonly subject: string; readonly tenant: TenantSlug | undefined; readonly roles: readonly string[] }

export const STATIC_ISSUER = 'stoa:static';
const DEFAULT_ROLE = 'stoa.agent';
/** `subject[@tenant][:role+role]=token` */
const ENTRY = /^([\w.-]{1,64})(?:@([^:=]+))?(?::([^=]+))?=([\x21-\x7e]{1,256})$/;

/** Reads `subject[@tenant][:role+role]=token`. Throws an `Error` that names the entry by its subject, never the token. */
export function readStaticToken(text: string): StaticToken {
  const [, subject, named, roles, token] = ENTRY.exec(text) ?? [];
  if (subject === undefined || token === undefined) throw new Error('an entry must be of the form subject@tenant:role+role=token; tenant and roles may be left out');
  const tenant = tenantSlug(named);
  if (named !== undefined && tenant === undefined) throw new Error(`${subject}: ${named} is not a tenant's identity`);
  if (token.startsWith('stoa_sk_') || token.split('.').length === 3) throw new Error(`${subject}: a static token must not look like an API key or a JWT`);
  return { token, subject, tenant, roles: roles?.split('+').filter(Boolean) ?? [DEFAULT_ROLE] };
}

/** Looked up by digest, so that the time of an answer says nothing about how much of a guess was right. Throws for a token given twice. */
export function staticTokenVerifier(tokens: readonly StaticToken[]): CredentialVerifier {
  const byDigest = new Map<string, Principal>();
  for (const { token, subject, tenant, roles } of tokens) {
    const digest = hash('sha256', token);
    if (byDigest.has(digest)) throw new Error(`${subject}: the same static token is given twice`);
    byDigest.set(digest, {
      tenant, issuer: STATIC_ISSUER, subject, clientId: subject, credentialId: `static:${subject}`, credential: 'static-token',
      roles: new Set(roles), scopes: grantedScopes([], roles), expiresAt: FOREVER,
    });
  }
  return {
    takes: (token) => !token.includes('.') && byDigest.has(hash('sha256', token)),
    verify: (token) => byDigest.get(hash('sha256', token)) ?? new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token', reason: 'no such static token' }),
  };
}
/** The end of the year 9999. */
const FOREVER = 253_402_300_799;

/**
 * Whom `X-Debug-User` names: `subject[@tenant][:role+role]`, by default a platform administrator (and `admin`, `developer`, the roles of
 * role files). Anybody may claim anything by it: for development alone.
 */
export function debugUser(header: string): Principal | Denial {
  const [, subject, named, roles] = /^([\w.-]{1,64})(?:@([^:]+))?(?::(.+))?$/.exec(header.trim()) ?? [];
  const tenant = tenantSlug(named);
  if (subject === undefined || (named !== undefined && tenant === undefined)) return new Denial({ code: 'UNAUTHENTICATED', message: 'X-Debug-User must be subject@tenant:role+role; tenant and roles may be left out' });
  const held = roles?.split('+').filter(Boolean) ?? ['cpi-admin', 'admin', 'developer'];
  return {
    tenant, issuer: 'stoa:debug', subject, clientId: 'debug', credentialId: `debug:${subject}`, credential: 'debug-header',
    roles: new Set(held), scopes: grantedScopes([], held), expiresAt: FOREVER,
  };
}
