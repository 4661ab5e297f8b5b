import { hash } from 'node:crypto';

/**
 * JSON in the one form of RFC 8785: members sorted by UTF-16 code units, no white space, numbers as ECMAScript writes them. Throws a
 * `TypeError` for what is not a JSON value: it cannot come from a body that was parsed.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  throw new TypeError(`A ${typeof value} is no JSON value.`);
}

/** What a bound token is bound to: SHA-256, in base64url without padding (43 characters), of the call's canonical form. */
export const requestHash = (name: string, args: unknown): string => hash('sha256', canonicalJson({ method: 'tools/call', name, arguments: args ?? {} }), 'base64url');
