import type { JsonSchema } from '#libs/core/json-schema.js';
import { components } from '#libs/openapi/definition-graph.js';
import { isObject } from '#libs/tool-listing/raw.js';
import type { PoolEntry } from '#libs/openapi/schema-pool.js';

/** Keywords whose subschemas judge the same value as the schema they stand in (JSON Schema 2020-12 §10.2). */
const LISTS = ['allOf', 'anyOf', 'oneOf'] as const;
const SINGLES = ['not', 'if', 'then', 'else'] as const;

type Visit = (key: string, isAlternative: boolean) => void;

/**
 * A definition that leads back to itself without stepping into the value (a base type with `oneOf` its subtypes, each with
 * `allOf` the base) would never finish validating. Such a reference is cut, alternatives before `allOf`, and noted: what is
 * left is wider.
 */
export function breakCycles(entries: ReadonlyMap<string, PoolEntry>): void {
  cutCycles(entries, (from, to, isAlternative) => isAlternative);
  // What is left goes round through allOf and $ref alone: with references forward in one order only, nothing can.
  cutCycles(entries, (from, to) => to <= from);
}

function cutCycles(entries: ReadonlyMap<string, PoolEntry>, mayCut: (from: number, to: number, isAlternative: boolean) => boolean): void {
  const graph = new Map([...entries.values()].map((entry) => [entry.key, { uses: inPlace(entry.schema) }]));
  for (const members of components(graph)) {
    const [first = ''] = members;
    if (members.length === 1 && graph.get(first)?.uses.has(first) !== true) continue;
    const order = new Map(members.toSorted().map((key, i) => [key, i]));
    for (const [key, from] of order) {
      const entry = entries.get(key);
      if (!entry) continue;
      const cut = cutReferences(entry.schema, (target, isAlternative) => {
        const to = order.get(target);
        return to !== undefined && mayCut(from, to, isAlternative);
      }, false);
      if (cut === entry.schema) continue;
      entry.schema = cut ?? true;
      entry.notes.push({ code: 'cyclic-composition', message: 'leads back to itself through oneOf, anyOf, allOf or $ref, which no value could ever settle; that reference is not enforced', pointer: entry.pointer });
    }
  }
}

function inPlace(schema: JsonSchema): ReadonlySet<string> {
  const found = new Set<string>();
  visitInPlace(schema, false, (key) => found.add(key));
  return found;
}

function visitInPlace(schema: unknown, isAlternative: boolean, visit: Visit): void {
  if (!isObject(schema)) return;
  if (typeof schema['$ref'] === 'string') visit(schema['$ref'].slice('#/$defs/'.length), isAlternative);
  for (const key of LISTS) if (Array.isArray(schema[key])) for (const part of schema[key] as unknown[]) visitInPlace(part, isAlternative || key !== 'allOf', visit);
  for (const key of SINGLES) visitInPlace(schema[key], true, visit);
  if (isObject(schema['dependentSchemas'])) for (const part of Object.values(schema['dependentSchemas'])) visitInPlace(part, isAlternative, visit);
}

/** The schema without the references that are to be cut; undefined for one that was such a reference. Widens throughout. */
function cutReferences(schema: JsonSchema, isCut: (key: string, isAlternative: boolean) => boolean, isAlternative: boolean): JsonSchema | undefined {
  if (typeof schema === 'boolean' || !mentions(schema, isCut, isAlternative)) return schema;
  const { $ref: ref, ...rest } = schema;
  if (typeof ref === 'string' && isCut(ref.slice('#/$defs/'.length), isAlternative)) return Object.keys(rest).length === 0 ? undefined : cutReferences(rest, isCut, isAlternative);
  const out: Record<string, unknown> = { ...schema };
  if (Array.isArray(schema['allOf'])) {
    const parts = (schema['allOf'] as JsonSchema[]).map((part) => cutReferences(part, isCut, isAlternative)).filter((part) => part !== undefined);
    if (parts.length > 0) out['allOf'] = parts; else delete out['allOf'];
  }
  // An alternative without its constraint is met by anything.
  for (const key of ['anyOf', 'oneOf'] as const) if (Array.isArray(schema[key]) && schema[key].some((part) => mentions(part, isCut, true))) delete out[key];
  if (SINGLES.some((key) => mentions(schema[key], isCut, true))) for (const key of SINGLES) delete out[key];
  if (isObject(schema['dependentSchemas'])) out['dependentSchemas'] = Object.fromEntries(Object.entries(schema['dependentSchemas']).map(([name, part]) => [name, cutReferences(part as JsonSchema, isCut, isAlternative) ?? true]));
  // What the cut part had evaluated is no longer known.
  delete out['unevaluatedProperties'];
  delete out['unevaluatedItems'];
  return out;
}

function mentions(schema: unknown, isCut: (key: string, isAlternative: boolean) => boolean, isAlternative: boolean): boolean {
  let found = false;
  visitInPlace(schema, isAlternative, (key, alternative) => { found ||= isCut(key, alternative); });
  return found;
}
