import type { Definitions, JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import { cut } from '#libs/tool-listing/clean-text.js';
import { isObject, listOf } from '#libs/tool-listing/raw.js';

/** How much of a schema is kept. */
export interface Reduction {
  /** Levels of properties and items below the root. */
  readonly depth: number;
  /** Longest description, in characters; 0 leaves descriptions out. */
  readonly text: number;
  /** Whether bounds, patterns, defaults and long enumerations are kept. */
  readonly constraints: boolean;
}

const SHORT_ENUM = 12;
const SCALARS = ['minLength', 'maxLength', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minItems', 'maxItems', 'minProperties', 'maxProperties', 'uniqueItems', 'pattern'] as const;

/** Thrown inside when the room is used up. */
class Full extends Error {}

/**
 * A wider schema without references, of at most about `room` bytes of JSON; undefined when it does not fit. Only keywords
 * that stay wider when their parts are widened are kept: `not`, `if`, `contains`, `unevaluated…` go, `oneOf` becomes `anyOf`.
 */
export function reduceSchema(schema: JsonSchema, definitions: Definitions, reduction: Reduction, room: number): JsonSchema | undefined {
  try {
    return new Reducer(definitions, reduction, room).reduce(schema, reduction.depth);
  } catch (error) {
    // A chain of references may be longer than the stack.
    if (error instanceof Full || error instanceof RangeError) return undefined;
    throw error;
  }
}

class Reducer {
  readonly #definitions: Definitions;
  readonly #reduction: Reduction;
  #room: number;

  constructor(definitions: Definitions, reduction: Reduction, room: number) {
    this.#definitions = definitions;
    this.#reduction = reduction;
    this.#room = room;
  }

  reduce(schema: JsonSchema, depth: number): JsonSchema {
    this.#spend(2);
    if (typeof schema === 'boolean') return schema;
    const out: Record<string, unknown> = {};
    const ref = schema['$ref'];
    const target = typeof ref === 'string' ? this.#definitions[ref.slice('#/$defs/'.length)] : undefined;
    if (target === false) return false;
    const branches = listOf(schema['allOf']) as readonly JsonSchema[];
    const parts = [...(target === undefined || target === true ? [] : [target]), ...branches];
    this.#own(schema, depth, out);
    const kept: JsonSchema[] = [];
    for (const part of parts) {
      const reduced = this.reduce(part, depth);
      if (reduced === true || (isObject(reduced) && Object.keys(reduced).length === 0)) continue;
      if (typeof reduced === 'object' && merges(out, reduced)) Object.assign(out, { ...reduced, ...out });
      else kept.push(reduced);
    }
    if (kept.length > 0) out['allOf'] = kept;
    return out;
  }

  #own(schema: JsonSchemaObject, depth: number, out: Record<string, unknown>): void {
    const { text, constraints } = this.#reduction;
    if (schema['type'] !== undefined) this.#keep(out, 'type', schema['type']);
    if (text > 0 && typeof schema['description'] === 'string') this.#keep(out, 'description', cut(schema['description'].replace(/\s+/g, ' ').trim(), text));
    if (Array.isArray(schema['enum']) && (constraints || schema['enum'].length <= SHORT_ENUM)) this.#keep(out, 'enum', schema['enum']);
    if (schema['const'] !== undefined) this.#keep(out, 'const', schema['const']);
    if (constraints) {
      for (const key of SCALARS) if (schema[key] !== undefined) this.#keep(out, key, schema[key]);
      if (schema['default'] !== undefined) this.#keep(out, 'default', schema['default']);
    }
    if (typeof schema['format'] === 'string') this.#keep(out, 'format', schema['format']);
    if (typeof schema['contentEncoding'] === 'string') this.#keep(out, 'contentEncoding', schema['contentEncoding']);
    this.#alternatives(schema, depth, out);
    if (depth <= 0) return;
    const { properties, items, required } = schema;
    if (isObject(properties)) {
      out['properties'] = this.#map(properties as Readonly<Record<string, JsonSchema>>, depth - 1);
      const rest = schema['additionalProperties'];
      if (rest === false && schema['patternProperties'] === undefined) this.#keep(out, 'additionalProperties', false);
    }
    if (Array.isArray(required)) this.#keep(out, 'required', required);
    const rest = schema['additionalProperties'];
    if (isObject(rest) && schema['patternProperties'] === undefined) out['additionalProperties'] = this.reduce(rest, depth - 1);
    if (items !== undefined && schema['prefixItems'] === undefined) out['items'] = this.reduce(items as JsonSchema, depth - 1);
  }

  #alternatives(schema: JsonSchemaObject, depth: number, out: Record<string, unknown>): void {
    const sets = [listOf(schema['anyOf']), listOf(schema['oneOf'])].filter((list) => list.length > 0) as (readonly JsonSchema[])[];
    const kept: JsonSchemaObject[] = [];
    for (const list of sets) {
      const branches = new Map<string, JsonSchema>();
      for (const branch of list) {
        const reduced = this.reduce(branch, depth);
        branches.set(JSON.stringify(reduced), reduced);
      }
      if (branches.has('true') || branches.has('{}')) continue;
      const [only] = branches.values();
      kept.push(branches.size === 1 && typeof only === 'object' ? only : { anyOf: [...branches.values()] });
    }
    const [first, second] = kept;
    if (first && !second && merges(out, first)) Object.assign(out, { ...first, ...out });
    else if (kept.length > 0) out['allOf'] = kept;
  }

  #map(properties: Readonly<Record<string, JsonSchema>>, depth: number): Record<string, JsonSchema> {
    return Object.fromEntries(Object.entries(properties).map(([name, property]) => {
      this.#spend(name.length + 4);
      return [name, this.reduce(property, depth)];
    }));
  }

  #keep(out: Record<string, unknown>, key: string, value: unknown): void {
    this.#spend(key.length + 4 + (typeof value === 'string' ? value.length + 2 : typeof value === 'object' ? JSON.stringify(value).length : 5));
    out[key] = value;
  }

  #spend(bytes: number): void {
    this.#room -= bytes;
    if (this.#room < 0) throw new Full();
  }
}

/** Whether two schemas can be one object: they share no keyword but annotations, and none whose meaning depends on its neighbours. */
function merges(a: Readonly<Record<string, unknown>>, b: JsonSchemaObject): boolean {
  const [dependent, other] = a['additionalProperties'] === undefined ? [b, a] : [a, b];
  if (dependent['additionalProperties'] !== undefined && (other['properties'] !== undefined || other['additionalProperties'] !== undefined)) return false;
  return Object.keys(b).every((key) => a[key] === undefined || key === 'description' || (key === 'type' && a['type'] === b['type']));
}
