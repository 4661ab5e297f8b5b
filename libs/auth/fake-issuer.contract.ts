import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';

export const ISSUER = 'https://login.example/realms/stoa';
export const AUDIENCE = 'https://gw.example/mcp';
/** Where the fake clock starts: 2026-11-21T00:00:00Z, in seconds. */
export const START = 1_795_219_200;

export type Algorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA';
export interface SigningKey { readonly kid: string; readonly algorithm: Algorithm; readonly privateKey: CryptoKey; readonly publicKey: CryptoKey; readonly publicJwk: JWK }

export async function signingKey(kid: string, algorithm: Algorithm = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  return { kid, algorithm, privateKey, publicKey, publicJwk: { ...await exportJWK(publicKey), kid, alg: algorithm, use: 'sig' } };
}

/** Claims of a good token at `START`. */
export const claims = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  iss: ISSUER, aud: AUDIENCE, sub: 'user-1', azp: 'agent', iat: START, exp: START + 300,
  tenant_id: 'acme', realm_access: { roles: ['viewer'] }, scope: 'email', ...more,
});

export async function sign(key: SigningKey, payload: Readonly<Record<string, unknown>> = claims(), header: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const protectedHeader = { alg: key.algorithm, typ: 'at+jwt', kid: key.kid, ...header };
  return new SignJWT(payload).setProtectedHeader(protectedHeader).sign(key.privateKey);
}

export const part = (value: unknown): string =>
  (value instanceof Buffer ? value : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))).toString('base64url');

/** Header and payload exactly as given, with a true signature. */
export async function signRaw(key: SigningKey, header: string, payload: string | Buffer): Promise<string> {
  const input = `${part(header)}.${part(payload)}`;
  const parameters = key.algorithm === 'RS256' ? 'RSASSA-PKCS1-v1_5' : { name: 'ECDSA', hash: 'SHA-256' };
  const signature = await crypto.subtle.sign(parameters, key.privateKey, new TextEncoder().encode(input));
  return `${input}.${Buffer.from(signature).toString('base64url')}`;
}

const json = (value: string) => ({ status: 200, headers: {}, body: new TextEncoder().encode(value) });

/** An issuer on no network at all: what it answers is `keys`, and whether it answers `up`. */
export class FakeIssuer {
  up = true;
  /** Replaces the key set's body when set. */
  body: string | undefined;
  keyFetches = 0;
  jwksUri: string;
  readonly requested: string[] = [];
  constructor(public keys: readonly JWK[], private readonly issuer = ISSUER) { this.jwksUri = `${issuer}/certs`; }

  readonly outbound: Pick<Outbound, 'request'> = {
    request: async ({ url }) => {
      this.requested.push(url);
      if (url === `${this.issuer}/certs`) this.keyFetches += 1;
      if (!this.up) throw new OutboundFailure('unreachable', `${url} is unreachable`);
      if (url === `${this.issuer}/.well-known/openid-configuration`) return json(JSON.stringify({ issuer: this.issuer, jwks_uri: this.jwksUri }));
      if (url === `${this.issuer}/certs`) return json(this.body ?? JSON.stringify({ keys: this.keys }));
      return { status: 404, headers: {}, body: new Uint8Array() };
    },
  };
}

/** Milliseconds since the epoch, moved by hand. */
export class FakeClock {
  private time = START * 1000;
  readonly now = (): number => this.time;
  advance(seconds: number): void { this.time += seconds * 1000; }
}
