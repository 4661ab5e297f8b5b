import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CryptoKey, importJWK, type JWK } from 'jose';
import { bearer } from './doors.js';
import { type Algorithm, type KeyPair, type Mint, signer } from './mint.js';
import type { World } from './trial.js';

type StoredKey = JWK & { readonly kid: string; readonly alg: Algorithm };

export async function pairOf(jwk: StoredKey): Promise<KeyPair> {
  const { kty, n, e, crv, x, y, kid, alg } = jwk;
  const publicJwk: JWK = { kty, kid, alg, ...(n === undefined ? {} : { n }), ...(e === undefined ? {} : { e }), ...(crv === undefined ? {} : { crv }), ...(x === undefined ? {} : { x }), ...(y === undefined ? {} : { y }) };
  return { kid, algorithm: alg, privateKey: await importJWK(jwk, alg) as CryptoKey, publicKey: await importJWK(publicJwk, alg, { extractable: true }) as CryptoKey, publicJwk };
}

/** The issuer of a product on this computer: its private keys are in the data folder, readable by its owner alone. */
export async function productMint(home: string, issuer: string, audience: string): Promise<Mint & { close(): Promise<void> }> {
  const { keys } = JSON.parse(readFileSync(join(home, 'issuer', 'issuer.json'), 'utf8')) as { keys: readonly StoredKey[] };
  const by = async (algorithm: Algorithm) => {
    const jwk = keys.find(({ alg }) => alg === algorithm);
    if (!jwk) throw new Error(`the local issuer has no key for ${algorithm}`);
    return signer({ issuer, audience, key: await pairOf(jwk) });
  };
  const own = await by('RS256');
  return { ...own, signedBy: async (algorithm, caller) => (await by(algorithm)).sign(own.claims(caller)), close: async () => undefined };
}

/** An API key made and revoked by the product's admin API, as the owner. */
export function adminKey(base: string, mint: Mint, owner: World['owner']): NonNullable<World['revocable']> {
  const ask = async (method: string, path: string, body?: object): Promise<unknown> => {
    const token = await mint.sign(mint.claims(owner));
    const reply = await fetch(`${base}/admin/v1/tenants/${owner.tenant}/keys${path}`, { method, headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) }, ...(body ? { body: JSON.stringify(body) } : {}) });
    if (!reply.ok) throw new Error(`the admin API makes no API key to take back: ${reply.status} ${await reply.text()}`);
    return reply.status === 204 ? undefined : reply.json();
  };
  return async () => {
    const { key, secret } = await ask('POST', '', { name: 'token-suite', roles: ['tenant-admin'], ttlSeconds: 3600 }) as { key: { id: string }; secret: string };
    return { credential: bearer(secret), revoke: async () => { await ask('DELETE', `/${key.id}`); } };
  };
}
