import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const IV = 12;
const TAG = 16;

/** Closes a text so that only this gateway can open it, only in the same context. `context` is not secret and not carried. */
export interface Seal {
  seal(context: string, text: string): string;
  /** Undefined for anything that was not sealed by the same key in the same context. */
  open(context: string, sealed: string): string | undefined;
}

/** AES-256-GCM with a random 96-bit nonce; base64url without padding. `key` has 32 bytes and is shared by replicas. */
export function sealWith(key: Uint8Array): Seal {
  if (key.length !== 32) throw new Error(`The cursor key has ${key.length} bytes; give 32.`);
  return {
    seal(context, text) {
      const iv = randomBytes(IV);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
      return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
    },
    open(context, sealed) {
      const bytes = Buffer.from(sealed, 'base64url');
      // The decoder skips what is not base64url; a second spelling of one cursor is refused.
      if (bytes.length < IV + TAG || bytes.toString('base64url') !== sealed) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV)).setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(bytes.length - TAG));
        return decipher.update(bytes.subarray(IV, bytes.length - TAG), undefined, 'utf8') + decipher.final('utf8');
      } catch { return undefined; }
    },
  };
}
