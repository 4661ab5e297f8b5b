import { isObject } from '#libs/tool-listing/raw.js';

/** How a keyword's value is checked and carried over to JSON Schema 2020-12. Anything else is dropped and noted. */
export type KeywordKind =
  | 'text' | 'count' | 'number' | 'positive' | 'flag' | 'any'
  | 'schema' | 'schema-list' | 'schema-map' | 'names' | 'special' | 'annotation';

export const KEYWORDS: ReadonlyMap<string, KeywordKind> = new Map<string, KeywordKind>(Object.entries({
  title: 'text', description: 'text', format: 'text', $comment: 'text', contentEncoding: 'text', contentMediaType: 'text',
  maxLength: 'count', minLength: 'count', maxItems: 'count', minItems: 'count', maxProperties: 'count', minProperties: 'count',
  maxContains: 'count', minContains: 'count',
  multipleOf: 'positive', minimum: 'special', maximum: 'special', exclusiveMinimum: 'special', exclusiveMaximum: 'special',
  uniqueItems: 'flag', readOnly: 'flag', writeOnly: 'flag', deprecated: 'flag',
  default: 'any', const: 'any',
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema, in a table that nobody awaits
  additionalProperties: 'schema', not: 'schema', if: 'schema', then: 'schema', else: 'schema', contains: 'schema',
  propertyNames: 'schema', unevaluatedItems: 'schema', unevaluatedProperties: 'schema', contentSchema: 'schema',
  allOf: 'schema-list', anyOf: 'schema-list', oneOf: 'schema-list', prefixItems: 'schema-list',
  properties: 'schema-map', dependentSchemas: 'schema-map', patternProperties: 'special',
  required: 'names', type: 'special', enum: 'special', items: 'special', additionalItems: 'special', pattern: 'special', nullable: 'special', discriminator: 'special',
  example: 'special', examples: 'special', dependentRequired: 'special', $ref: 'special', $dynamicRef: 'special',
  // Carried by other means, or about documentation alone.
  $defs: 'annotation', definitions: 'annotation', $anchor: 'annotation', $dynamicAnchor: 'annotation', $id: 'annotation', $schema: 'annotation',
  $vocabulary: 'annotation', $recursiveAnchor: 'annotation', id: 'annotation', xml: 'annotation', externalDocs: 'annotation', allowEmptyValue: 'annotation', collectionFormat: 'annotation',
} satisfies Record<string, KeywordKind>));

export const TYPES: ReadonlySet<unknown> = new Set(['array', 'boolean', 'integer', 'null', 'number', 'object', 'string']);

/** Whether a keyword of a plain kind has a value of its own type. */
export function hasKind(kind: KeywordKind, value: unknown): boolean {
  switch (kind) {
    case 'text': return typeof value === 'string';
    case 'count': return Number.isSafeInteger(value) && (value as number) >= 0;
    case 'number': return typeof value === 'number' && Number.isFinite(value);
    case 'positive': return typeof value === 'number' && value > 0 && Number.isFinite(value);
    case 'flag': return typeof value === 'boolean';
    case 'any': return value !== undefined;
    case 'schema': return typeof value === 'boolean' || isObject(value);
    case 'schema-list': return Array.isArray(value) && value.length > 0;
    case 'schema-map': return isObject(value);
    case 'names': return Array.isArray(value);
    case 'special': case 'annotation': default: return true;
  }
}

/** Longest pattern carried over, in characters. */
const MAX_PATTERN = 1024;
const patterns = new Map<string, string | undefined>();

/**
 * The pattern as ECMA-262 with the `u` flag, which is what JSON Schema 2020-12 §6.4 recommends and validators compile. Escapes
 * of characters that need none (`\\-`, `\\_`), an error under that flag, are written out. Undefined: no such regular expression.
 */
export function unicodePattern(pattern: string): string | undefined {
  if (patterns.has(pattern)) return patterns.get(pattern);
  const known = pattern.length > MAX_PATTERN ? undefined : [pattern, pattern.replace(/\\([\s\S])/g, writeOut)].find(compiles);
  if (patterns.size < 10_000) patterns.set(pattern, known);
  return known;
}

function writeOut(escape: string, character: string): string {
  return /[A-Za-z0-9^$\\.*+?()[\]{}|/]/.test(character) || character.charCodeAt(0) > 0x7f ? escape : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

function compiles(pattern: string): boolean {
  try { return new RegExp(pattern, 'u') instanceof RegExp; } catch { return false; }
}

/** Whether a value is of one of the JSON Schema types; `integer` takes 1.0 as JSON Schema does. */
export function isOfType(value: unknown, types: readonly string[]): boolean {
  return types.some((type) => {
    switch (type) {
      case 'array': return Array.isArray(value);
      case 'object': return isObject(value);
      case 'null': return value === null;
      case 'integer': return Number.isInteger(value);
      default: return typeof value === type;
    }
  });
}
