import type { TenantSlug } from './tenant.js';

/** Who calls, as proved at the door. The bearer token itself is not among the facts: it stops there. */
export interface Principal {
  /** Undefined for a principal whose token names no tenant: it sees platform tools only. */
  readonly tenant: TenantSlug | undefined;
  readonly issuer: string;
  readonly subject: string;
  /** OAuth client (`azp` or `client_id`). */
  readonly clientId: string;
  /** Names the credential itself where it has an id of its own (`jti`, API key id), without being one; limits count by it. */
  readonly credentialId?: string;
  readonly roles: ReadonlySet<string>;
  /** Granted scopes: the token's own and those that its roles map to. */
  readonly scopes: ReadonlySet<string>;
  /** Seconds since the epoch when the credential ends; open streams are closed then. */
  readonly expiresAt: number;
  /** What proved it; undefined: a token of an issuer. */
  readonly credential?: 'api-key' | 'client-secret' | 'capability' | 'static-token' | 'debug-header';
  /** The only tools that this credential may list and call, by name; undefined: whatever the policy allows. It may do nothing else, such as administer. */
  readonly allowedTools?: ReadonlySet<string>;
  /** How strongly the person signed in: the token's `acr` (OpenID Connect Core 1.0 §2). */
  readonly acr?: string;
}
