/**
 * JSON Canonicalization Scheme (RFC 8785): one text for one value. Members are in the order of their names' UTF-16 code units, numbers and
 * strings as ECMAScript writes them, nothing between tokens. Members that are `undefined` are left out.
 * Throws `TypeError` for what JSON has no word for: numbers that are not finite, lone surrogates, functions, bigints.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'string') return text(value);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number' && Number.isFinite(value)) return String(value === 0 ? 0 : value);
  if (typeof value !== 'object') throw new TypeError(typeof value === 'number' ? `${value} has no place in JSON` : `a ${typeof value} has no place in JSON`);
  if (value === null) return 'null';
  if (Array.isArray(value)) return `[${value.map((item: unknown) => canonicalJson(item)).join(',')}]`;
  let members = '';
  const names = Object.keys(value);
  if (!isSorted(names)) names.sort(byCodeUnits);
  for (const name of names) {
    const member: unknown = (value as Readonly<Record<string, unknown>>)[name];
    if (member !== undefined) members += `${members === '' ? '' : ','}${text(name)}:${canonicalJson(member)}`;
  }
  return `{${members}}`;
}

/** JavaScript compares strings by UTF-16 code units, as RFC 8785 §3.2.3 asks. */
const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : 1);

function isSorted(names: readonly string[]): boolean {
  for (let i = 1; i < names.length; i += 1) if ((names[i - 1] ?? '') > (names[i] ?? '')) return false;
  return true;
}

/** Names and most values need no escape; `JSON.stringify` costs several times this look. */
const PLAIN = /^[\w .:/@+=?&,;()[\]{}*~#%<>|^!'-]*$/;

function text(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  if (!value.isWellFormed()) throw new TypeError('a lone surrogate has no place in JSON text (RFC 8785 §3.2.2.2)');
  return JSON.stringify(value);
}
