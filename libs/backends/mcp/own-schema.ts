import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';

/** Where schemas of all tools meet; see `Definitions`. */
export interface SchemaPool { readonly definitions: Record<string, JsonSchema>; readonly reasons: VerdictReason[] }

/** Keywords whose values are data, not schemas. */
const DATA = new Set(['const', 'default', 'enum', 'examples', 'example', 'required', 'dependentRequired', 'type', 'pattern', 'format', 'description', 'title', '$comment', 'x-mcp-header']);
/** Keywords whose values are schemas by name: a name is not a keyword. */
const NAMED = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions']);
const MAX_DEPTH = 64;

/**
 * A tool's own schema with its `$defs` moved to the pool under names that begin with `owner`. A reference that leads elsewhere, to the network above all, is
 * never followed: the place takes any value then, and the server checks it itself.
 */
export function ownSchema(schema: unknown, owner: string, pool: SchemaPool): JsonSchema {
  const root = asRecord(schema) ?? {};
  const names = new Map<string, string>();
  const groups = ['$defs', 'definitions'] as const;
  for (const group of groups) {
    for (const name of Object.keys(asRecord(root[group]) ?? {})) names.set(`#/${group}/${escaped(name)}`, `${owner}.${name}`.replaceAll(/[^A-Za-z0-9_.-]/g, '_'));
  }
  const visit = (value: unknown, depth: number): unknown => {
    if (Array.isArray(value)) return value.map((item) => visit(item, depth + 1));
    const record = asRecord(value);
    if (!record) return value;
    if (depth > MAX_DEPTH) { lost('schema-too-deep', `it is nested deeper than ${MAX_DEPTH}`); return true; }
    const reference = record['$ref'];
    if (typeof reference === 'string') {
      const known = names.get(reference);
      if (known === undefined) { lost('unresolvable-ref', `${reference.slice(0, 100)} leads out of the tool's own definitions and is not followed`); return true; }
      const { $ref: _reference, ...beside } = record;
      return { ...visit(beside, depth + 1) as object, $ref: `#/$defs/${known}` };
    }
    if ('$dynamicRef' in record || '$recursiveRef' in record) { lost('unresolvable-ref', 'dynamic references are not followed'); return true; }
    return Object.fromEntries(Object.entries(record).flatMap(([keyword, member]) => {
      if (keyword === '$defs' || keyword === 'definitions' || keyword === '$schema' || keyword === '$id' || keyword === '$anchor' || keyword === '$dynamicAnchor' || keyword === '$vocabulary') return [];
      if (DATA.has(keyword)) return [[keyword, member]];
      const nested = NAMED.has(keyword) ? asRecord(member) : undefined;
      return [[keyword, nested ? Object.fromEntries(Object.entries(nested).map(([name, one]) => [name, visit(one, depth + 1)])) : visit(member, depth + 1)]];
    }));
  };
  const lost = (code: string, message: string): void => {
    if (!pool.reasons.some((reason) => reason.code === code && reason.message === message)) pool.reasons.push({ code, message, pointer: '' });
  };
  for (const group of groups) {
    for (const [name, one] of Object.entries(asRecord(root[group]) ?? {})) pool.definitions[names.get(`#/${group}/${escaped(name)}`) ?? ''] = visit(one, 1) as JsonSchema;
  }
  return visit(root, 0) as JsonSchema;
}

const asRecord = (value: unknown): Readonly<Record<string, unknown>> | undefined => (typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Readonly<Record<string, unknown>> : undefined);
const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');
