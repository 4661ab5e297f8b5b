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
  /** Who acts for the subject, nearest first (RFC 8693 §4.1 `act`): subjects or client ids. Undefined: nobody but its client. */
  readonly actors?: readonly string[];
  /** What a capability token confines its holder to, beside `allowedTools`. */
  readonly capability?: CapabilityFacts;
}

export interface CapabilityFacts {
  /** Its own `jti`, then those of the capability tokens that it was derived from, nearest first: revoking one revokes it. */
  readonly lineage: readonly string[];
  /** Of each tool that is confined to some of its operations. */
  readonly operations: ReadonlyMap<string, ReadonlySet<string>>;
  /** SHA-256 (base64url) of the one request that it is good for, in its canonical form (RFC 8785). */
  readonly requestHash?: string;
  /** It is spent by its first call. */
  readonly oneTime: boolean;
}
