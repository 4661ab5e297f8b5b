import type { RestParameter } from '#libs/core/rest-binding.js';
import type { Encode } from './encode.js';
import { percentEncode } from './encode.js';

export interface Field { readonly name: string; readonly style: RestParameter['style']; readonly explode: boolean }

/** The encoded members of a list, and pairs of an object, without those that are undefined (RFC 6570 §2.3). */
const members = (list: readonly unknown[], encode: Encode): string[] => list.map((v) => encode(v)).filter((v) => v !== undefined);
const pairs = (object: object, encode: Encode): [string, string][] => {
  const kept: [string, string][] = [];
  for (const [key, value] of Object.entries(object)) {
    const text = encode(value);
    if (text !== undefined) kept.push([encode(key) ?? '', text]);
  }
  return kept;
};
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

const SEPARATORS = { form: ',', spaceDelimited: '%20', pipeDelimited: '%7C', tabDelimited: '%09' } as const;

/**
 * Query and form pairs of one value, each `name=value` and ready to be joined by `&`; none when the value is undefined. OpenAPI 3.2 §4.12.3
 * (form, spaceDelimited, pipeDelimited, deepObject) and Swagger 2.0 `tsv`. The name comes encoded.
 */
export function queryPairs(field: Field, value: unknown, encode: Encode): string[] {
  const { name, style, explode } = field;
  if (style === 'deepObject') return deepPairs(name, value, encode);
  if (Array.isArray(value)) {
    const list = members(value, encode);
    if (explode) return list.map((v) => `${name}=${v}`);
    return list.length === 0 ? [] : [`${name}=${list.join(separator(style))}`];
  }
  if (isObject(value)) {
    const list = pairs(value, encode);
    if (explode) return list.map(([k, v]) => `${k}=${v}`);
    return list.length === 0 ? [] : [`${name}=${list.flat().join(separator(style))}`];
  }
  const text = encode(value);
  return text === undefined ? [] : [`${name}=${text}`];
}
const separator = (style: RestParameter['style']): string => SEPARATORS[style as keyof typeof SEPARATORS] ?? ',';

/** `name[key]=value`; what OpenAPI leaves open below the first level goes on the same way: `name[key][inner]`, list members by index. */
function deepPairs(name: string, value: unknown, encode: Encode): string[] {
  if (Array.isArray(value)) return value.flatMap((member, i) => deepPairs(`${name}%5B${i}%5D`, member, encode));
  if (isObject(value)) return Object.entries(value).flatMap(([key, member]) => deepPairs(`${name}%5B${percentEncode(key)}%5D`, member, encode));
  const text = encode(value);
  return text === undefined ? [] : [`${name}=${text}`];
}

/**
 * The text of one path expression, undefined when the value is undefined. RFC 6570 §3.2.2 (simple), §3.2.5 (label), §3.2.7 (matrix); the delimited
 * styles are Swagger 2.0's `ssv`, `tsv` and `pipes`.
 */
export function pathExpression(field: Field, value: unknown, encode: Encode): string | undefined {
  const { name, style, explode } = field;
  const comma = separator(style);
  if (Array.isArray(value)) {
    const list = members(value, encode);
    if (list.length === 0) return undefined;
    if (style === 'label') return `.${list.join(explode ? '.' : comma)}`;
    if (style !== 'matrix') return list.join(comma);
    return explode ? list.map((v) => matrixPair(name, v)).join('') : matrixPair(name, list.join(comma));
  }
  if (isObject(value)) {
    const list = pairs(value, encode);
    if (list.length === 0) return undefined;
    if (style === 'matrix' && explode) return list.map(([k, v]) => matrixPair(k, v)).join('');
    const flat = explode ? list.map(([k, v]) => `${k}=${v}`) : list.flat();
    if (style === 'label') return `.${flat.join(explode ? '.' : comma)}`;
    return style === 'matrix' ? matrixPair(name, flat.join(comma)) : flat.join(comma);
  }
  const text = encode(value);
  if (text === undefined) return undefined;
  return style === 'label' ? `.${text}` : style === 'matrix' ? matrixPair(name, text) : text;
}
/** RFC 6570 §3.2.7: a name with an empty value has no equals sign. */
const matrixPair = (name: string, value: string): string => (value === '' ? `;${name}` : `;${name}=${value}`);

/** A header's value, in which nothing is escaped; undefined when the value is undefined. */
export function headerValue(field: Field, value: unknown, encode: Encode): string | undefined {
  if (field.style !== 'simple' && Array.isArray(value)) {
    const list = members(value, encode);
    return list.length === 0 ? undefined : list.join(decodeURIComponent(separator(field.style)));
  }
  return pathExpression({ ...field, style: 'simple' }, value, encode);
}

/**
 * What one cookie parameter adds to the `Cookie` header. Style `form` joins its pairs with `&`, as OpenAPI 3.2 §4.12.3 shows; style `cookie`
 * with `; ` (§4.12.2.2).
 */
export function cookiePairs(field: Field, value: unknown, encode: Encode): string | undefined {
  const list = queryPairs({ ...field, style: 'form' }, value, encode);
  return list.length === 0 ? undefined : list.join(field.style === 'cookie' ? '; ' : '&');
}
