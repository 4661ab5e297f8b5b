import { createHash } from 'node:crypto';
import { canonicalJson } from '#libs/core/canonical-json.js';

/** SHA-256 (hex) of the canonical form. */
export const pinOf = (value: unknown): string => createHash('sha256').update(canonicalJson(value)).digest('hex');
