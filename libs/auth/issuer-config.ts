/** Signature algorithms that a key set may be used with (RFC 7518, RFC 8037). */
export const ASYMMETRIC_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
type AsymmetricAlgorithm = (typeof ASYMMETRIC_ALGORITHMS)[number];

/**
 * Where an issuer's keys come from. Never from a token. A shared secret (HS256) excludes a key set by its type, so that
 * a public key can never be taken for a secret.
 */
export type KeySource =
  /** OpenID discovery (or RFC 8414) of the issuer itself, or at `metadataUrl` where the data plane reaches it by another address. */
  | { readonly from: 'discovery'; readonly metadataUrl?: string; readonly algorithms?: readonly AsymmetricAlgorithm[] }
  | { readonly from: 'jwks'; readonly uri: string; readonly algorithms?: readonly AsymmetricAlgorithm[] }
  /** HS256 only. At least 32 bytes (RFC 7518 §3.2). */
  | { readonly from: 'secret'; readonly secret: string };

/** Claims by name. A name is looked up whole first, then as a dotted path, so that `https://example.com/org` and `realm_access.roles` both work. */
export interface ClaimNames {
  /** One name, or several of which the first that the token has counts. A string, or a list whose first entry counts. Default `tenant_id`. */
  readonly tenant?: string | readonly string[];
  /** A list of strings, or one string. Default `realm_access.roles`. */
  readonly roles?: string;
  /** A space-separated string, or a list. Default `scope`. */
  readonly scopes?: string;
  /** A string. Default `sub`. */
  readonly subject?: string;
  /** Seconds since the epoch. Default `exp`; a token's own `exp` holds as well, where it has one. */
  readonly expiresAt?: string;
  /** Seconds since the epoch. Default `iat`. */
  readonly issuedAt?: string;
  /** A string or number, compared with `apiVersions`. Default `v`. */
  readonly apiVersion?: string;
  /** A list of strings, or one string, compared with `requiredGroups`. Default `groups`. */
  readonly groups?: string;
}

export interface IssuerConfig {
  /** The exact `iss` of its tokens. */
  readonly issuer: string;
  /** A token must carry one of these in `aud`, compared exactly. At least one. */
  readonly audiences: readonly string[];
  readonly keys: KeySource;
  readonly claims?: ClaimNames;
  /** Oldest token that is taken, in seconds since it was issued; 0: only its end counts. Default 0. */
  readonly maxTokenAgeSeconds?: number;
  /** Clocks of issuer and gateway may differ by this much, in seconds, 0 to 600. Default 30. */
  readonly clockSkewSeconds?: number;
  /** Versions of the API of which a token must name one; empty: any, or none. */
  readonly apiVersions?: readonly string[];
  /** Groups that a token must all carry; without one the principal is proved but forbidden (403). */
  readonly requiredGroups?: readonly string[];
}

/** Throws an `Error` that names the issuer, the field and the fix; nothing is fetched. */
export function checkIssuers(issuers: readonly IssuerConfig[]): void {
  if (issuers.length === 0) throw new Error('issuers: none configured; name at least one token issuer');
  const seen = new Set<string>();
  for (const { issuer, audiences, keys, maxTokenAgeSeconds = 0, clockSkewSeconds = 0 } of issuers) {
    const wrong = (field: string, fix: string): Error => new Error(`issuer ${JSON.stringify(issuer)}: ${field}: ${fix}`);
    if (issuer === '') throw wrong('issuer', 'must be the exact "iss" of its tokens');
    if (seen.has(issuer)) throw wrong('issuer', 'configured twice; merge the two entries');
    seen.add(issuer);
    if (audiences.length === 0 || audiences.includes('')) throw wrong('audiences', 'name at least one, none empty; tokens for any audience are never accepted');
    if (!(maxTokenAgeSeconds >= 0)) throw wrong('maxTokenAgeSeconds', 'must be 0 (any age) or more');
    if (!(clockSkewSeconds >= 0 && clockSkewSeconds <= 600)) throw wrong('clockSkewSeconds', 'must be 0 to 600');
    if (keys.from === 'secret') {
      if (Buffer.byteLength(keys.secret) < 32) throw wrong('keys.secret', 'HS256 needs at least 32 bytes (RFC 7518 §3.2)');
      continue;
    }
    if (keys.algorithms !== undefined && keys.algorithms.length === 0) throw wrong('keys.algorithms', 'name at least one, or leave the field out');
    for (const algorithm of keys.algorithms ?? []) {
      if (!ASYMMETRIC_ALGORITHMS.includes(algorithm)) throw wrong('keys.algorithms', `${JSON.stringify(algorithm)} is not one of ${ASYMMETRIC_ALGORITHMS.join(', ')}`);
    }
    const address = keys.from === 'jwks' ? keys.uri : (keys.metadataUrl ?? issuer);
    if (!/^https?:\/\//.test(address) || !URL.canParse(address)) throw wrong(keys.from === 'jwks' ? 'keys.uri' : 'issuer', `${JSON.stringify(address)} is not an absolute http or https URL`);
  }
}
