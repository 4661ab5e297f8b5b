import { type CryptoKey, importJWK, type JWK } from 'jose';
import { Unavailable } from '#libs/core/errors.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Eventually } from '#libs/core/ports.js';
import type { KeySource } from './issuer-config.js';

/** How long keys live and how often an issuer is asked, in milliseconds. */
export interface KeyPolicy {
  /** Age at which keys are fetched again behind a call that still uses the old ones. Default 300 s. */
  readonly refreshAfterMs: number;
  /** Age at which keys that could not be fetched again stop being used. Default 24 h. */
  readonly staleLimitMs: number;
  /** At most one fetch in this time for key ids that are not in the set. Default 30 s. */
  readonly unknownKeyIntervalMs: number;
  /** One request to the issuer. Default 5 s. */
  readonly timeoutMs: number;
}
export const DEFAULT_KEY_POLICY: KeyPolicy = { refreshAfterMs: 300_000, staleLimitMs: 86_400_000, unknownKeyIntervalMs: 30_000, timeoutMs: 5_000 };

const MAX_BYTES = 256 * 1024;
const MAX_RETRY_MS = 30_000;

interface PublicKey { readonly jwk: JWK; readonly imported: Map<string, Promise<CryptoKey | undefined>> }

export interface IssuerKeysOptions {
  readonly issuer: string;
  readonly source: Exclude<KeySource, { from: 'secret' }>;
  readonly outbound: Pick<Outbound, 'request'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly policy: KeyPolicy;
  readonly fetched: (failure: string | undefined) => void;
}

/**
 * The public keys of one issuer. Fetches are started by calls, never by a timer, and never more than one at a time.
 * A failed fetch leaves the last good keys in force until `staleLimitMs`; failures are retried after 1, 2, 4 … 30 s.
 */
export class IssuerKeys {
  private keys: ReadonlyMap<string, readonly PublicKey[]> | undefined;
  private fetchedAt = -Infinity;
  private lookedForUnknownAt = -Infinity;
  private failures = 0;
  /** Of the last fetch. */
  private failure: string | undefined;
  private retryAt = -Infinity;
  private running: Promise<string | undefined> | undefined;
  private jwksUri: string | undefined;

  constructor(private readonly options: IssuerKeysOptions) {}

  /**
   * The key of this id that fits the algorithm, or undefined when the issuer has none. Rejects with `Unavailable` when
   * there are no keys, or only keys older than the bound, and the issuer cannot be reached.
   */
  async find(keyId: string, algorithm: string): Promise<CryptoKey | undefined> {
    const before = this.fetchedAt;
    const ready = this.ensure();
    if (ready instanceof Promise) await ready;
    let key = this.pick(keyId, algorithm);
    if (key === undefined) {
      await this.lookForUnknown(before);
      key = this.pick(keyId, algorithm);
    }
    return key;
  }

  /** Why no key is usable now, or undefined when one is. Tries to fetch where that is due. */
  async check(): Promise<string | undefined> {
    try {
      await this.ensure();
      return undefined;
    } catch (failure) {
      return failure instanceof Error && failure.cause instanceof Error ? failure.cause.message : 'no keys';
    }
  }

  private ensure(): Eventually<void> {
    const { now, policy } = this.options;
    const age = now() - this.fetchedAt;
    if (age < policy.refreshAfterMs) return undefined;
    const stale = age < policy.staleLimitMs;
    if (now() < this.retryAt && this.running === undefined) return stale ? undefined : Promise.reject(this.unavailable());
    const fetching = this.fetch();
    // Behind the call while the keys are only just due, or while the issuer is failing; an idle process first catches up.
    if (stale && (age < 2 * policy.refreshAfterMs || this.failures > 0)) return undefined;
    return this.caughtUp(fetching, stale);
  }

  private async caughtUp(fetching: Promise<string | undefined>, stale: boolean): Promise<void> {
    const failure = await fetching;
    if (failure !== undefined && !stale) throw this.unavailable();
  }

  /** Spends the budget for unknown ids: a fetch that this very call has just seen counts as the look. */
  private async lookForUnknown(before: number): Promise<void> {
    const { now, policy } = this.options;
    if (this.running !== undefined) { await this.running; this.lookedForUnknownAt = now(); return; }
    if (now() - this.lookedForUnknownAt < policy.unknownKeyIntervalMs) return;
    this.lookedForUnknownAt = now();
    if (this.fetchedAt === before) await this.fetch();
  }

  private pick(keyId: string, algorithm: string): Promise<CryptoKey | undefined> | undefined {
    const key = this.keys?.get(keyId)?.find(({ jwk }) => fits(jwk, algorithm));
    if (key === undefined) return undefined;
    let imported = key.imported.get(algorithm);
    if (imported === undefined) {
      imported = importPublic(key.jwk, algorithm);
      key.imported.set(algorithm, imported);
    }
    return imported;
  }

  /** Single flight. Answers what went wrong, never rejects. */
  private fetch(): Promise<string | undefined> {
    this.running ??= this.load().then(
      (keys) => {
        this.keys = keys;
        this.fetchedAt = this.options.now();
        this.failures = 0;
        this.retryAt = -Infinity;
        return undefined;
      },
      (failure: unknown) => {
        // The set may have moved: ask discovery again next time.
        this.jwksUri = undefined;
        this.failures += 1;
        this.retryAt = this.options.now() + Math.min(MAX_RETRY_MS, 1000 * 2 ** Math.min(this.failures - 1, 5));
        return failure instanceof Error ? failure.message : String(failure);
      },
    ).then((failure) => {
      this.running = undefined;
      this.failure = failure;
      this.options.fetched(failure);
      return failure;
    });
    return this.running;
  }

  private async load(): Promise<ReadonlyMap<string, readonly PublicKey[]>> {
    this.jwksUri ??= this.options.source.from === 'jwks' ? this.options.source.uri : await this.discover(this.options.source.metadataUrl);
    const set = await this.getJson(this.jwksUri);
    const listed: unknown = set['keys'];
    if (!Array.isArray(listed)) throw new Error(`${this.jwksUri} is not a JWK set`);
    const keys = new Map<string, PublicKey[]>();
    for (const entry of listed as unknown[]) {
      const jwk = publicPart(entry);
      if (jwk?.kid === undefined) continue;
      const same = keys.get(jwk.kid);
      const key = { jwk, imported: new Map<string, Promise<CryptoKey | undefined>>() };
      if (same === undefined) keys.set(jwk.kid, [key]);
      else same.push(key);
    }
    if (keys.size === 0) throw new Error(`${this.jwksUri} holds no public signature key with a kid`);
    return keys;
  }

  /** OpenID Connect Discovery 1.0 §4, then RFC 8414 §3; the document must name the configured issuer (§4.3, §3.3). */
  private async discover(metadataUrl: string | undefined): Promise<string> {
    const { issuer } = this.options;
    const metadata = await fetchIssuerMetadata(issuer, metadataUrl, (url) => this.getJson(url));
    const uri = metadata['jwks_uri'];
    if (typeof uri !== 'string' || !URL.canParse(uri)) throw new Error(`metadata of ${issuer} names no jwks_uri`);
    if (issuer.startsWith('https:') && !uri.startsWith('https:')) throw new Error(`metadata of ${issuer} names a jwks_uri that is not https`);
    return uri;
  }

  private getJson(url: string): Promise<Readonly<Record<string, unknown>>> {
    return getJson(this.options.outbound, url, this.options.policy.timeoutMs);
  }

  private unavailable(): Unavailable {
    return new Unavailable(`token issuer ${this.options.issuer}`, { cause: new Error(this.failure) });
  }
}

/** Discovery addresses in the order in which they are tried, for an issuer with or without a path. */
function metadataUrls(issuer: string): readonly string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`];
}

/** The issuer's own metadata, checked to be its own. Rejects with the first address's failure. */
export async function fetchIssuerMetadata(
  issuer: string, metadataUrl: string | undefined, get: (url: string) => Promise<Readonly<Record<string, unknown>>>,
): Promise<Readonly<Record<string, unknown>>> {
  let failure: unknown;
  for (const url of metadataUrl === undefined ? metadataUrls(issuer) : [metadataUrl]) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the second address is asked only when the first has nothing
      const metadata = await get(url);
      if (metadata['issuer'] === issuer) return metadata;
      failure ??= new Error(`${url} is the metadata of another issuer than ${issuer}`);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** GET a JSON object of at most 256 KiB. Rejects with an `Error` that names the URL and the status. */
export async function getJson(outbound: Pick<Outbound, 'request'>, url: string, timeoutMs: number): Promise<Readonly<Record<string, unknown>>> {
  const response = await outbound.request({ url, method: 'GET', headers: [['accept', 'application/json']], timeoutMs, maxBytes: MAX_BYTES });
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  let value: unknown;
  try { value = JSON.parse(new TextDecoder().decode(response.body)); } catch { throw new Error(`${url} did not answer JSON`); }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${url} did not answer a JSON object`);
  return value as Readonly<Record<string, unknown>>;
}

const MEMBERS = ['kty', 'kid', 'alg', 'n', 'e', 'crv', 'x', 'y'] as const;

/** The public members of a signature key, or undefined for anything else: symmetric keys never come from a key set. */
function publicPart(entry: unknown): JWK | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const given = entry as Readonly<Record<string, unknown>>;
  if (given['kty'] !== 'RSA' && given['kty'] !== 'EC' && given['kty'] !== 'OKP') return undefined;
  if (given['use'] !== undefined && given['use'] !== 'sig') return undefined;
  const operations = given['key_ops'];
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const jwk: JWK = { kty: given['kty'] };
  for (const member of MEMBERS) {
    const value = given[member];
    if (value === undefined) continue;
    if (typeof value !== 'string') return undefined;
    jwk[member] = value;
  }
  return jwk;
}

function fits(jwk: JWK, algorithm: string): boolean {
  if (jwk.alg !== undefined && jwk.alg !== algorithm && !(algorithm === 'EdDSA' && jwk.alg === 'Ed25519')) return false;
  switch (algorithm) {
    case 'RS256': case 'PS256': return jwk.kty === 'RSA';
    case 'ES256': return jwk.kty === 'EC' && jwk.crv === 'P-256';
    case 'EdDSA': return jwk.kty === 'OKP' && jwk.crv === 'Ed25519';
    default: return false;
  }
}

async function importPublic(jwk: JWK, algorithm: string): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK({ ...jwk, alg: algorithm }, algorithm);
    return key instanceof Uint8Array ? undefined : key;
  } catch {
    return undefined;
  }
}
