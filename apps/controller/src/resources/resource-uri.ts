import { createHash } from 'node:crypto';

/** RFC 6570 level 1: simple expansion of one variable. */
const VARIABLE = /\{([A-Za-z0-9_]+)\}/g;
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/;

/** Variables of a template, in order; none for a plain URI. */
export const variables = (uri: string): string[] => [...uri.matchAll(VARIABLE)].map(([, name = '']) => name);

/** Why text is not an absolute URI (RFC 3986 §4.3, a fragment allowed) or a template of level 1 (RFC 6570 §1.2); undefined when it is. */
export function uriFault(uri: string): string | undefined {
  const names = variables(uri);
  if (new Set(names).size !== names.length) return 'a variable occurs twice';
  const expanded = uri.replaceAll(VARIABLE, 'x');
  if (/[{}]/.test(expanded)) return 'only {variable} expressions of letters, digits and underscores are taken (RFC 6570, level 1)';
  if (!URI.test(expanded) || /%(?![0-9A-Fa-f]{2})/.test(expanded)) return 'must be an absolute URI, such as docs://handbook/intro, percent-encoded where RFC 3986 asks for it';
  if (/^[^:]*\{/.test(uri)) return 'the scheme must not be a variable';
  return undefined;
}

/** A resource's place in the admin API's addresses: 32 hexadecimal digits of the URI's SHA-256. */
export const resourceId = (uri: string): string => createHash('sha256').update(uri).digest('hex').slice(0, 32);

/** Made at import, one for each API; not an operator's to write. */
export const isPlatformUri = (uri: string): boolean => /^stoa:/i.test(uri);
