import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { canonicalJson } from '#libs/audit/canonical-json.js';
import type { ChainHead } from '#libs/audit/chain.js';
import { type Digest, digestOf } from '#libs/audit/entry.js';
import { rootOf } from '#libs/audit/merkle.js';

/** What was true of a chain at a moment, signed: whoever has it can tell when the chain was cut, rewritten or forked since. */
export interface Checkpoint {
  readonly v: 1;
  readonly chain: string;
  /** From 1, without gaps, in each chain. */
  readonly number: number;
  /** Digest of the checkpoint before; 64 zeros for the first. */
  readonly prev: Digest;
  /** Entries of the chain so far, and the digest of the last one's body. */
  readonly seq: number;
  readonly head: Digest;
  /** Root of the Merkle tree over the digests of all bodies so far. */
  readonly root: Digest;
  /** ISO 8601 in UTC. */
  readonly at: string;
  /** First 16 hexadecimal digits of the SHA-256 of the public key (SPKI, DER). */
  readonly key: string;
  /** Ed25519 (RFC 8032) over the canonical JSON of all other members; base64url. */
  readonly signature: string;
}

const NONE: Digest = '0'.repeat(64);

export class CheckpointSigner {
  readonly #key: KeyObject;
  readonly keyId: string;

  /** `pem`: an Ed25519 private key, PKCS #8. Throws `TypeError` for any other. */
  constructor(pem: string) {
    this.#key = createPrivateKey(pem);
    if (this.#key.asymmetricKeyType !== 'ed25519') throw new TypeError(`the signing key must be Ed25519, not ${this.#key.asymmetricKeyType}: make one with openssl genpkey -algorithm ed25519`);
    this.keyId = keyId(createPublicKey(this.#key));
  }

  get publicKey(): string { return createPublicKey(this.#key).export({ type: 'spki', format: 'pem' }).toString(); }

  sign(head: ChainHead, previous: Checkpoint | undefined, at: Date): Checkpoint {
    const claim = {
      v: 1 as const, chain: head.chain, number: (previous?.number ?? 0) + 1, prev: previous === undefined ? NONE : digestOfCheckpoint(previous),
      seq: head.seq, head: head.hash, root: rootOf(head.frontier), at: at.toISOString(), key: this.keyId,
    };
    return { ...claim, signature: sign(undefined, Buffer.from(canonicalJson(claim)), this.#key).toString('base64url') };
  }
}

/** A fresh signing key, PKCS #8 PEM. */
export const newSigningKey = (): string => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

export const digestOfCheckpoint = (checkpoint: Checkpoint): Digest => digestOf(canonicalJson(checkpoint));

const keyId = (key: KeyObject): string => createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('hex').slice(0, 16);

/** Public keys by their id, from PEM texts. Throws `TypeError` naming the one that is no Ed25519 key. */
export function readKeys(pems: readonly string[]): ReadonlyMap<string, KeyObject> {
  return new Map(pems.map((pem, i) => {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError(`key ${i + 1} is not an Ed25519 public key`);
    return [keyId(key), key];
  }));
}

/** Undefined: the signature holds. Otherwise why not. */
export function signatureFault({ signature, ...claim }: Checkpoint, keys: ReadonlyMap<string, KeyObject>): string | undefined {
  const key = keys.get(claim.key);
  if (key === undefined) return `is signed by key ${claim.key}, which is not among the given ones`;
  return verify(undefined, Buffer.from(canonicalJson(claim)), key, Buffer.from(signature, 'base64url')) ? undefined : 'has a signature that does not fit it';
}

/** Undefined: `next` is the checkpoint after `previous` of one chain. Otherwise why not. */
export function successionFault(previous: Checkpoint | undefined, next: Checkpoint): string | undefined {
  if (next.number !== (previous?.number ?? 0) + 1) return `is number ${next.number} where ${(previous?.number ?? 0) + 1} belongs`;
  if (next.prev !== (previous === undefined ? NONE : digestOfCheckpoint(previous))) return 'does not follow the checkpoint before it';
  if (previous !== undefined && (next.seq < previous.seq || next.chain !== previous.chain)) return 'goes back behind the checkpoint before it';
  return undefined;
}
