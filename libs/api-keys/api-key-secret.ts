import { hash, randomBytes } from 'node:crypto';
import type { ApiKeySecret } from '#libs/core/api-key.js';

/** How every API key begins: scanners for leaked secrets look for it. */
export const API_KEY_PREFIX = 'stoa_sk_';
const FORM = /^stoa_sk_[A-Za-z0-9_-]{43}$/;
const SHOWN = 12;

/** A new secret of 256 random bits, to be shown once, and what is stored of it. */
export function newApiKeySecret(): ApiKeySecret & { readonly secret: string } {
  const secret = API_KEY_PREFIX + randomBytes(32).toString('base64url');
  return { secret, digest: digestOf(secret), prefix: secret.slice(0, SHOWN) };
}

export const isApiKey = (text: string): boolean => FORM.test(text);

/** SHA-256 in lower-case hex. A secret of 256 random bits needs no slow hash: there is nothing to guess. */
export const digestOf = (secret: string): string => hash('sha256', secret);
