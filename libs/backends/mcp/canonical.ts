import { createHash } from 'node:crypto';

/** JSON in the form of RFC 8785: members by UTF-16 order, numbers and texts as ECMAScript writes them. Undefined members are left out. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item ?? null)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).filter(([, member]) => member !== undefined).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}

/** SHA-256 (hex) of the canonical form. */
export const pinOf = (value: unknown): string => createHash('sha256').update(canonical(value)).digest('hex');
