import { hash } from 'node:crypto';
import { Denial } from '#libs/core/errors.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { CredentialResolver, CredentialUse, Eventually } from '#libs/core/ports.js';
import type { ClientCredentialsReference, CredentialReference, SecretReference, TokenExchangeReference } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { TokenCache } from './token-cache.js';
import { askToken, type IssuedToken } from './token-endpoint.js';
import { subjectOf, tokenEndpoints } from './token-exchange.js';

export interface TokenCredentialOptions {
  /** Finds secrets, and nothing else. */
  readonly secrets: { resolve(tenant: TenantSlug, reference: SecretReference): Eventually<string | Denial> };
  readonly outbound: Pick<Outbound, 'request'>;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}

const NOBODY = new Denial({ code: 'CREDENTIAL_MISSING', message: 'it is had on behalf of a caller, and nobody calls' });

/**
 * Secrets as they are, and tokens that are had for them: of the gateway's own client (RFC 6749 §4.4), or on behalf of the caller (RFC 8693). A token is kept
 * under everything that it depends on (tenant, endpoint, client, its secret, audience, scope, and for exchanges the caller and the very token that
 * proved it), and never outlives the caller's.
 */
export function createTokenCredentials({ secrets, outbound, now = Date.now }: TokenCredentialOptions): CredentialResolver {
  const cache = new TokenCache(now);
  const endpointOf = tokenEndpoints(outbound, now);

  const own = (tenant: TenantSlug, reference: ClientCredentialsReference, secret: string): Eventually<string | Denial> => {
    const { tokenUrl: url, clientId, authentication, scope, audience, resource } = reference;
    return cache.get(keyOf(['client', tenant, url, clientId, secret, authentication, scope, audience, resource]),
      () => askToken(outbound, { url, clientId, secret, ...(authentication === undefined ? {} : { authentication }), form: { grant_type: 'client_credentials', scope, audience, resource } }));
  };

  const exchanged = (tenant: TenantSlug, reference: TokenExchangeReference, secret: string, use: CredentialUse | undefined): Eventually<string | Denial> => {
    if (use === undefined) return NOBODY;
    const { principal: { issuer, subject, clientId: caller, actors, expiresAt } } = use;
    const on = subjectOf(use.principal);
    if (on instanceof Denial) return on;
    const { clientId, authentication, scope, audience, resource } = reference;
    const ask = async (): Promise<IssuedToken | Denial> => {
      const url = await endpointOf(issuer);
      return url instanceof Denial ? url : askToken(outbound, { url, clientId, secret, ...(authentication === undefined ? {} : { authentication }), form: { ...on.form, scope, audience, resource } });
    };
    return cache.get(keyOf(['exchange', tenant, issuer, subject, caller, actors, on.token, clientId, secret, authentication, scope, audience, resource]), ask, expiresAt * 1000);
  };

  return {
    refused: (value) => cache.refused(value),
    resolve(tenant, reference, use) {
      if (isSecret(reference)) return secrets.resolve(tenant, reference);
      const withSecret = (secret: string | Denial): Eventually<string | Denial> => {
        if (secret instanceof Denial) return secret;
        return reference.from === 'client-credentials' ? own(tenant, reference, secret) : exchanged(tenant, reference, secret, use);
      };
      const secret = secrets.resolve(tenant, reference.secret);
      return secret instanceof Promise ? secret.then(withSecret) : withSecret(secret);
    },
  };
}

const isSecret = (reference: CredentialReference): reference is SecretReference => reference.from === 'environment' || reference.from === 'file';
/** One way: no secret stands in a key. JSON keeps the parts apart. */
const keyOf = (parts: readonly unknown[]): string => hash('sha256', JSON.stringify(parts.map((part) => part ?? null)), 'base64');
