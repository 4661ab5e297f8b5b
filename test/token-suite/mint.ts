import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { CompactEncrypt, type CryptoKey, exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';

export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';
/** Whom a token speaks of. */
export interface Caller { readonly tenant: string | undefined; readonly role: string | undefined; readonly scope?: string }
export type Claims = Readonly<Record<string, unknown>>;

/** Makes tokens that the server under test has to take or to refuse: an issuer that it trusts, or one whose key was lent. */
export interface Mint {
  /** The exact `iss`. */
  readonly issuer: string;
  readonly audience: string;
  /** Of the key that `sign` uses. */
  readonly kid: string;
  readonly publicPem: string;
  readonly publicJwk: JWK;
  /** Claims of a good token of this caller, as this issuer names them, for five minutes from now. */
  claims(caller: Caller, more?: Claims): Record<string, unknown>;
  /** With the trusted RS256 key. */
  sign(claims: Claims, header?: Claims): Promise<string>;
  /** Header and payload as they are, with a true signature. */
  signRaw(header: string, payload: string): Promise<string>;
  /** A good token under another algorithm. */
  signedBy(algorithm: Algorithm, caller: Caller): Promise<string>;
  /** An ID token and a refresh token as the issuer really gives them; undefined where it gives none. */
  others?(): Promise<{ readonly idToken: string; readonly refreshToken: string }>;
  /** A token of another realm of the same server, under the trusted `kid`, and how often that realm's keys were fetched. */
  otherRealm?: { token(caller: Caller): Promise<string>; fetches(): number };
  /** How often the key set was fetched; undefined where nobody counts. */
  keyFetches?(): number;
  /** Adds a key to the set, then takes the old one away. Undefined where this issuer's keys cannot be changed. */
  rotation?: { readonly publish: () => Promise<void>; readonly withNewKey: (caller: Caller) => Promise<string>; readonly retireOld: () => Promise<void>; readonly withOldKey: (caller: Caller) => Promise<string> };
}

export interface ClaimNames { readonly tenant: string; readonly roles: string }
export const CLAIM_NAMES: ClaimNames = { tenant: 'tenant_id', roles: 'realm_access.roles' };

export interface KeyPair { readonly kid: string; readonly algorithm: Algorithm; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey; readonly publicJwk: JWK }
export async function keyPair(kid: string, algorithm: Algorithm = 'RS256'): Promise<KeyPair> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { kid, algorithm, privateKey, publicKey, publicJwk: { ...await exportJWK(publicKey), kid, alg: algorithm, use: 'sig' } };
}

export const part = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export interface Signing { readonly issuer: string; readonly audience: string; readonly key: KeyPair; readonly names?: ClaimNames | undefined; readonly now?: (() => number) | undefined }

/** What every mint has in common: all but where its keys come from. */
export async function signer({ issuer, audience, key, names = CLAIM_NAMES, now = Date.now }: Signing): Promise<Pick<Mint, 'issuer' | 'audience' | 'kid' | 'publicPem' | 'publicJwk' | 'claims' | 'sign' | 'signRaw'>> {
  return {
    issuer, audience, kid: key.kid, publicJwk: key.publicJwk, publicPem: await exportSPKI(key.publicKey),
    claims: ({ tenant, role, scope = 'email' }, more = {}) => {
      const at = Math.floor(now() / 1000);
      const claims: Record<string, unknown> = { iss: issuer, aud: audience, sub: 'token-suite', azp: 'token-suite', iat: at, exp: at + 300, jti: randomUUID(), scope };
      if (tenant !== undefined) claims[names.tenant] = tenant;
      put(claims, names.roles, role === undefined ? [] : [role]);
      return { ...claims, ...more };
    },
    sign: (claims, header = {}) => new SignJWT(claims).setProtectedHeader({ alg: key.algorithm, typ: 'JWT', kid: key.kid, ...header }).sign(key.privateKey),
    signRaw: async (header, payload) => {
      const input = `${part(header)}.${part(payload)}`;
      const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key.privateKey, new TextEncoder().encode(input));
      return `${input}.${Buffer.from(signature).toString('base64url')}`;
    },
  };
}

function put(claims: Record<string, unknown>, name: string, value: unknown): void {
  const [first = '', ...rest] = name.split('.');
  if (rest.length === 0) { claims[first] = value; return; }
  const inner: Record<string, unknown> = {};
  claims[first] = inner;
  put(inner, rest.join('.'), value);
}

/** Encrypted to the issuer's own public key: valid as a JWE, and no access token. */
export const encrypted = (mint: Pick<Mint, 'publicJwk'>, text: string): Promise<string> => {
  const { kty, n, e } = mint.publicJwk;
  return new CompactEncrypt(new TextEncoder().encode(text)).setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM', cty: 'JWT' }).encrypt({ kty, n, e, alg: 'RSA-OAEP' });
};

export interface LocalMint extends Mint { close(): Promise<void> }

/**
 * An issuer of the suite's own on loopback: realm `stoa`, which the server under test is to trust, and realm `other`, which it is not.
 * `port` 0 takes a free one. Discovery per OpenID Connect Discovery 1.0 §4.
 */
export async function localMint({ port = 0, audience, names, now }: { readonly port?: number; readonly audience: string; readonly names?: ClaimNames; readonly now?: () => number }): Promise<LocalMint> {
  const keys = { RS256: await keyPair('suite-rs'), PS256: await keyPair('suite-ps', 'PS256'), ES256: await keyPair('suite-es', 'ES256'), EdDSA: await keyPair('suite-ed', 'EdDSA') };
  // Another realm's key under the same name.
  const foreign = await keyPair('suite-rs');
  const next = await keyPair('suite-next');
  const published = new Map<string, JWK[]>([['stoa', Object.values(keys).map(({ publicJwk }) => publicJwk)], ['other', [foreign.publicJwk]]]);
  const fetches = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const [, realm = '', document = ''] = /^\/realms\/(\w+)\/(certs|\.well-known\/openid-configuration)$/.exec(request.url ?? '') ?? [];
    const set = published.get(realm);
    if (!set) { response.writeHead(404).end(); return; }
    fetches.set(realm, (fetches.get(realm) ?? 0) + (document === 'certs' ? 1 : 0));
    const iss = `${origin}/realms/${realm}`;
    const body = document === 'certs' ? { keys: set } : {
      issuer: iss, jwks_uri: `${iss}/certs`, authorization_endpoint: `${iss}/auth`, token_endpoint: `${iss}/token`, response_types_supported: ['code'], subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'], code_challenge_methods_supported: ['S256'],
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, '127.0.0.1', resolve); });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `${origin}/realms/stoa`;
  const own = await signer({ issuer, audience, key: keys.RS256, names, now });
  const by = async (pair: KeyPair, caller: Caller, more: Claims = {}): Promise<string> => (await signer({ issuer, audience, key: pair, names, now })).sign(own.claims(caller, more));
  return {
    ...own,
    signedBy: (algorithm, caller) => by(keys[algorithm], caller),
    otherRealm: { token: (caller) => by(foreign, caller, { iss: `${origin}/realms/other` }), fetches: () => fetches.get('other') ?? 0 },
    keyFetches: () => fetches.get('stoa') ?? 0,
    rotation: {
      publish: async () => { published.get('stoa')?.push(next.publicJwk); },
      withNewKey: (caller) => by(next, caller),
      retireOld: async () => { published.set('stoa', (published.get('stoa') ?? []).filter(({ kid }) => kid !== keys.RS256.kid)); },
      withOldKey: (caller) => by(keys.RS256, caller),
    },
    close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(() => { resolve(); }); }),
  };
}
