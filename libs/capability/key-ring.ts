import { createHash, createPrivateKey, createPublicKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';

/** PKCS #8 around the 32 bytes of an Ed25519 private key (RFC 8410 §7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

interface RingKey { readonly kid: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject }
/** The first key signs, all of them verify. */
export interface KeyRing { readonly signing: RingKey; find(kid: string): KeyObject | undefined }

/**
 * Ed25519 keys derived from secrets (HKDF with SHA-256, RFC 5869), so that replicas that share a secret share a key, and its `kid` says nothing of
 * it. To rotate: put a new secret first everywhere, and take the old one away two minutes later. No secret: one key at random, known to this process alone.
 * Throws where a secret has fewer than 32 bytes.
 */
export function keyRing(secrets: readonly string[]): KeyRing {
  const keys = secrets.length === 0 ? [ringKey(randomBytes(32))] : secrets.map((secret, at) => {
    if (Buffer.byteLength(secret) < 32) throw new Error(`capability secret ${at + 1} has fewer than 32 bytes: give at least 32 random ones, e.g. of "openssl rand -hex 32"`);
    return ringKey(Buffer.from(hkdfSync('sha256', secret, '', 'stoa capability token Ed25519 v1', 32)));
  });
  const byId = new Map(keys.map((key) => [key.kid, key.publicKey]));
  return { signing: keys[0]!, find: (kid) => byId.get(kid) };
}

function ringKey(seed: Buffer): RingKey {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey);
  return { kid: createHash('sha256').update(publicKey.export({ format: 'der', type: 'spki' })).digest('base64url').slice(0, 16), privateKey, publicKey };
}
