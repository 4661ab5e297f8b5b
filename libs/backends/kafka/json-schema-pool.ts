import type { JsonSchema } from '#libs/core/json-schema.js';
import { isObject } from '#libs/tool-listing/raw.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';

/** A document that schemas stand in, and others that they may name. */
export interface SchemaSource { readonly root: unknown; readonly others?: ReadonlyMap<string, SchemaSource> }

const ONE = new Set(['not', 'if', 'then', 'else', 'items', 'additionalProperties', 'contains', 'propertyNames', 'unevaluatedProperties', 'unevaluatedItems', 'additionalItems']);
const MANY = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const NAMED = new Set(['properties', 'patternProperties', 'dependentSchemas']);
const AS_IT_IS = new Set([
  'type', 'enum', 'const', 'multipleOf', 'maximum', 'exclusiveMaximum', 'minimum', 'exclusiveMinimum', 'maxLength', 'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems', 'maxContains', 'minContains',
  'maxProperties', 'minProperties', 'required', 'dependentRequired', 'title', 'description', 'default', 'deprecated', 'readOnly', 'writeOnly', 'examples', 'format', 'contentEncoding', 'contentMediaType',
]);
const DYNAMIC = ['$dynamicRef', '$recursiveRef'] as const;
const MAX_DEPTH = 200;

/** JSON Schemas of the drafts 4 to 2020-12 into the dialect of tools (2020-12), with what they refer to in one pool of definitions. */
export class JsonSchemaPool {
  readonly #keys = new Map<unknown, string>();
  readonly definitions: Record<string, JsonSchema>;
  constructor(definitions: Record<string, JsonSchema>) { this.definitions = definitions; }

  /** Throws `PayloadProblem` for what cannot be followed. `name`: how definitions begin. */
  translate(schema: unknown, source: SchemaSource, name: string): JsonSchema { return this.#one(schema, { source, name, depth: 0 }); }

  #one(schema: unknown, at: { readonly source: SchemaSource; readonly name: string; readonly depth: number }): JsonSchema {
    if (typeof schema === 'boolean') return schema;
    if (!isObject(schema)) throw new PayloadProblem('is no JSON Schema: an object, true or false');
    if (at.depth > MAX_DEPTH) throw new PayloadProblem(`is nested deeper than ${MAX_DEPTH} levels`);
    const deeper = { ...at, depth: at.depth + 1 };
    const dynamic = DYNAMIC.find((keyword) => Object.hasOwn(schema, keyword));
    if (dynamic !== undefined) throw new PayloadProblem(`uses ${dynamic}, which cannot be followed; write $ref`);
    const out: Record<string, unknown> = {};
    if (typeof schema['$ref'] === 'string') {
      // Before 2019-09, what stands beside a reference does not count.
      out['$ref'] = this.#reference(schema['$ref'], deeper);
      return out;
    }
    for (const [keyword, value] of Object.entries(schema)) this.#keyword(out, keyword, value, deeper);
    // Draft 4 has a flag beside the limit.
    for (const [flag, limit] of [['exclusiveMinimum', 'minimum'], ['exclusiveMaximum', 'maximum']] as const) {
      if (out[flag] === true) { out[flag] = out[limit]; delete out[limit]; } else if (out[flag] === false) delete out[flag];
    }
    return out;
  }

  #keyword(out: Record<string, unknown>, keyword: string, value: unknown, at: { readonly source: SchemaSource; readonly name: string; readonly depth: number }): void {
    const list = (): readonly JsonSchema[] => { if (!Array.isArray(value)) throw new PayloadProblem(`${keyword} must be a list of schemas`); return value.map((one: unknown) => this.#one(one, at)); };
    const map = (given: unknown): Record<string, JsonSchema> => { if (!isObject(given)) throw new PayloadProblem(`${keyword} must be an object of schemas`); return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, this.#one(one, at)])); };
    // Up to 2019-09, a list of items is what prefixItems is now, and additionalItems what items is.
    if (keyword === 'items' && Array.isArray(value)) out['prefixItems'] = list();
    else if (keyword === 'additionalItems') { if (out['prefixItems'] !== undefined) out['items'] = this.#one(value, at); }
    else if (keyword === 'dependencies' && isObject(value)) {
      const entries = Object.entries(value);
      const needs = entries.filter(([, one]) => Array.isArray(one));
      if (needs.length > 0) out['dependentRequired'] = Object.fromEntries(needs);
      if (needs.length < entries.length) out['dependentSchemas'] = map(Object.fromEntries(entries.filter(([, one]) => !Array.isArray(one))));
    } else if (ONE.has(keyword)) out[keyword] = this.#one(value, at);
    else if (MANY.has(keyword)) out[keyword] = list();
    else if (NAMED.has(keyword)) out[keyword] = map(value);
    else if (AS_IT_IS.has(keyword)) out[keyword] = value;
  }

  #reference(reference: string, at: { readonly source: SchemaSource; readonly name: string; readonly depth: number }): string {
    const [document = '', pointer = ''] = reference.split('#', 2);
    const source = document === '' ? at.source : at.source.others?.get(document);
    if (source === undefined) throw new PayloadProblem(`refers to ${reference}, which is not there; put it into the document`);
    const target = resolvePointer(source.root, pointer);
    if (target === undefined) throw new PayloadProblem(`refers to ${reference}, which is not there`);
    const known = this.#keys.get(target);
    if (known !== undefined) return `#/$defs/${known}`;
    const last = (pointer === '' ? document : pointer).split('/').at(-1)?.replaceAll(/[^A-Za-z0-9_.-]+/g, '_') ?? '';
    const key = this.#free(`${at.name}.${last === '' ? 'self' : last}`);
    this.#keys.set(target, key);
    this.definitions[key] = true;
    this.definitions[key] = this.#one(target, { ...at, source });
    return `#/$defs/${key}`;
  }

  #free(key: string): string {
    let free = key;
    for (let i = 2; Object.hasOwn(this.definitions, free); i++) free = `${key}_${i}`;
    return free;
  }
}

/** What a JSON Pointer (RFC 6901), perhaps percent-encoded as in a fragment, leads to; undefined where it leads nowhere. */
export function resolvePointer(root: unknown, pointer: string): unknown {
  if (pointer === '') return root;
  if (!pointer.startsWith('/')) return undefined;
  let found: unknown = root;
  for (const step of pointer.slice(1).split('/')) {
    let key = step;
    try { key = decodeURIComponent(step); } catch { /* as it is */ }
    key = key.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[key];
  }
  return found;
}
