import { hash } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import { Denial } from '#libs/core/errors.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Eventually, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { MAX_TOKEN_LENGTH, readCompactToken, type UnverifiedToken } from './compact-token.js';
import { ASYMMETRIC_ALGORITHMS, checkIssuers, type IssuerConfig } from './issuer-config.js';
import { DEFAULT_KEY_POLICY, IssuerKeys, type KeyPolicy } from './issuer-keys.js';
import { principalOf } from './principal-mapping.js';
import { checkClaims, missingGroup } from './token-claims.js';

const CLOCK_SKEW_SECONDS = 30;
const CACHE_MS = 60_000;

/** Told what happens at the door, for metrics; must not throw. */
interface TokenObserver {
  /** Answered from the cache of verified tokens. */
  cacheHit?(): void;
  verified?(issuer: string): void;
  /** `reason` is private and names no token content. */
  denied?(reason: string): void;
  /** A fetch of an issuer's keys ended; `failure` is undefined when it went well. */
  keysFetched?(issuer: string, failure: string | undefined): void;
}

export interface TokenVerifierOptions {
  readonly issuers: readonly IssuerConfig[];
  /** For discovery and key sets. */
  readonly outbound: Pick<Outbound, 'request'>;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly clock?: () => number;
  readonly observer?: TokenObserver;
  readonly keyPolicy?: Partial<KeyPolicy>;
  /** Verified tokens kept, each at most 60 s. Default 10,000; 0 keeps none. */
  readonly cacheSize?: number;
}

export interface ReadyTokenVerifier extends TokenVerifier {
  /** Ok while at least one issuer has usable keys; `reason` names each issuer that has not. */
  ready(): Promise<{ readonly ok: boolean; readonly reason?: string }>;
}

interface TrustedIssuer {
  readonly config: IssuerConfig;
  readonly algorithms: readonly string[];
  readonly keys: IssuerKeys | undefined;
  readonly secret: Uint8Array | undefined;
}
interface Verified { readonly principal: Principal; readonly until: number }

/**
 * Proves bearer tokens of the configured issuers (RFC 9068, RFC 8725). Throws when the configuration is wrong.
 * A token seen before is answered at once, from a cache keyed by the SHA-256 of the whole token, until the earlier of
 * its end and 60 s: for that long a token outlives the removal of its key.
 */
export function createTokenVerifier(options: TokenVerifierOptions): ReadyTokenVerifier {
  checkIssuers(options.issuers);
  const now = options.clock ?? Date.now;
  const observer = options.observer ?? {};
  const trusted = new Map(options.issuers.map((config) => [config.issuer, trust(config, options, now)]));
  const size = options.cacheSize ?? 10_000;
  const cache = size > 0 ? new LRUCache<string, Verified>({ max: size }) : undefined;

  const deny = (message: string, reason: string): Denial => {
    observer.denied?.(reason);
    return new Denial({ code: 'UNAUTHENTICATED', message, reason });
  };

  const prove = async (token: string, digest: string, unverified: UnverifiedToken, issuer: TrustedIssuer): Promise<Principal | Denial> => {
    const key = issuer.secret ?? await issuer.keys?.find(unverified.keyId ?? '', unverified.algorithm);
    if (key === undefined) return deny('Unable to find appropriate key', 'no key of that id and algorithm');
    const at = now();
    const { config } = issuer;
    const skew = config.clockSkewSeconds ?? CLOCK_SKEW_SECONDS;
    try {
      await jwtVerify(token, key, {
        algorithms: [...issuer.algorithms], issuer: config.issuer, audience: [...config.audiences],
        requiredClaims: ['iss', 'aud'], clockTolerance: skew, currentDate: new Date(at),
      });
    } catch (failure) {
      if (failure instanceof errors.JWTExpired) return deny('Token has expired', 'expired');
      if (failure instanceof errors.JOSEError) return deny('Invalid token', failure.message);
      // jose throws a TypeError for a key that cannot serve, such as an RSA key under 2048 bits.
      if (failure instanceof TypeError) return deny('Invalid token', `key not usable: ${failure.message}`);
      throw failure;
    }
    const { payload } = unverified;
    const times = checkClaims(config, payload, { seconds: at / 1000, skew });
    if ('fault' in times) return deny(times.message, times.fault);
    const principal = principalOf(config, payload, times.expiresAt);
    if ('fault' in principal) return deny('Invalid token', principal.fault);
    const missing = missingGroup(config, payload);
    if (missing !== undefined) {
      observer.denied?.('required group missing');
      return new Denial({ code: 'FORBIDDEN', message: 'Access denied: a required group is missing', reason: `not in group ${missing}` });
    }
    observer.verified?.(principal.issuer);
    cache?.set(digest, { principal, until: Math.min(times.takenUntil * 1000, at + CACHE_MS) });
    return principal;
  };

  return {
    verify(token: string): Eventually<Principal | Denial> {
      if (token.length > MAX_TOKEN_LENGTH) return deny('Invalid token', 'too long');
      const digest = hash('sha256', token, 'base64');
      const seen = cache?.get(digest);
      if (seen !== undefined) {
        if (now() < seen.until) { observer.cacheHit?.(); return seen.principal; }
        cache?.delete(digest);
      }
      const unverified = readCompactToken(token);
      if ('fault' in unverified) return deny('Invalid token', unverified.fault);
      const issuer = trusted.get(unverified.issuer);
      if (issuer === undefined) return deny('Invalid token', 'issuer is not configured');
      if (!issuer.algorithms.includes(unverified.algorithm)) return deny('Invalid token', 'algorithm is not allowed for this issuer');
      if (issuer.keys !== undefined && unverified.keyId === undefined) return deny('Token missing key ID', 'no kid');
      return prove(token, digest, unverified, issuer);
    },
    async ready() {
      const faults: string[] = [];
      await Promise.all([...trusted].map(async ([name, { keys }]) => {
        const fault = await keys?.check();
        if (fault !== undefined) faults.push(`${name}: ${fault}`);
      }));
      const ok = faults.length < trusted.size;
      return faults.length === 0 ? { ok } : { ok, reason: faults.join('; ') };
    },
  };
}

function trust(config: IssuerConfig, options: TokenVerifierOptions, now: () => number): TrustedIssuer {
  const source = config.keys;
  if (source.from === 'secret') return { config, algorithms: ['HS256'], keys: undefined, secret: new TextEncoder().encode(source.secret) };
  const keys = new IssuerKeys({
    issuer: config.issuer, source, outbound: options.outbound, now,
    policy: { ...DEFAULT_KEY_POLICY, ...options.keyPolicy },
    fetched: (failure) => options.observer?.keysFetched?.(config.issuer, failure),
  });
  return { config, algorithms: source.algorithms ?? ASYMMETRIC_ALGORITHMS, keys, secret: undefined };
}

