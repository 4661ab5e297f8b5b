import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';

/**
 * What a model provider's API takes of JSON Schema in a tool's parameters. `anthropic`, `openai`: the root is an object without combinators (their tool-use and
 * function-calling guides). `gemini`: the Schema object of its API, a part of OpenAPI 3.0's. `strict-2020-12`: keywords of the specification's own vocabularies and nothing else.
 */
export const DIALECTS = ['anthropic', 'openai', 'gemini', 'strict-2020-12'] as const;
export type Dialect = (typeof DIALECTS)[number];

/**
 * The Tool object of `tools/list` in a dialect: the same tool, its schemas said with the words that the dialect has. What it has no word for is left out, so that a schema only ever gets
 * wider; arguments are still checked against the full one. The same text always gives the same text.
 */
export function inDialect(listed: string, dialect: Dialect): string {
  const tool = JSON.parse(listed) as { readonly inputSchema: JsonSchemaObject; readonly outputSchema?: JsonSchemaObject; readonly description?: string };
  const { inputSchema, outputSchema, ...rest } = tool;
  const input = SAY[dialect](inputSchema);
  const output = outputSchema === undefined ? {} : { outputSchema: SAY[dialect](outputSchema) };
  return JSON.stringify({ ...rest, ...(rest.description === undefined ? {} : { description: rest.description.slice(0, 1024) }), inputSchema: asObject(input), ...output });
}

/** Parameters are an object, whatever else is said. */
function asObject(schema: JsonSchemaObject): JsonSchemaObject {
  return schema['type'] === 'object' ? schema : { ...schema, type: 'object' };
}

const SAY: Readonly<Record<Dialect, (schema: JsonSchemaObject) => JsonSchemaObject>> = {
  anthropic: (schema) => withoutRootCombinators(mapped(schema, (one) => legalProperties(one), stillWider)),
  openai: (schema) => withoutRootCombinators(mapped(schema, (one) => withItems(one))),
  gemini: (schema) => new GeminiSpeaker(schema).say(schema, 0),
  'strict-2020-12': (schema) => mapped(schema, strictly),
};

const ROOT_COMBINATORS: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'allOf', 'not', 'if', 'then', 'else', 'enum', 'const', '$ref']);
const withoutRootCombinators = (schema: JsonSchemaObject): JsonSchemaObject => Object.fromEntries(Object.entries(schema).filter(([keyword]) => !ROOT_COMBINATORS.has(keyword)));

export const PROPERTY_NAME = /^[a-zA-Z0-9_.-]{1,64}$/;
/** A property whose name the provider refuses is left out; then the object cannot be closed. */
function legalProperties(schema: JsonSchemaObject): JsonSchemaObject {
  const { properties } = schema;
  if (!isObject(properties)) return schema;
  const legal = Object.entries(properties).filter(([name]) => PROPERTY_NAME.test(name));
  if (legal.length === Object.keys(properties).length) return schema;
  const { additionalProperties: _closed, required, ...open } = schema;
  const names = Array.isArray(required) ? (required as unknown[]).filter((name) => PROPERTY_NAME.test(String(name))) : [];
  return { ...open, properties: Object.fromEntries(legal), ...(names.length === 0 ? {} : { required: names }) };
}

/** Function calling wants to know what is in an array. */
function withItems(schema: JsonSchemaObject): JsonSchemaObject {
  const { type } = schema;
  const isArray = type === 'array' || (Array.isArray(type) && (type as unknown[]).includes('array'));
  return isArray && schema['items'] === undefined ? { ...schema, items: {} } : schema;
}

/** Keywords of the 2020-12 vocabularies: core, applicator, unevaluated, validation, meta-data, format, content. */
export const KEYWORDS_2020: ReadonlySet<string> = new Set(('$schema $id $ref $anchor $dynamicRef $dynamicAnchor $vocabulary $comment $defs prefixItems items contains additionalProperties properties patternProperties dependentSchemas propertyNames if then else allOf anyOf oneOf not '
  + 'unevaluatedItems unevaluatedProperties type const enum multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired '
  + 'title description default deprecated readOnly writeOnly examples format contentEncoding contentMediaType contentSchema').split(' '));
const strictly = (schema: JsonSchemaObject): JsonSchemaObject => Object.fromEntries(Object.entries(schema).filter(([keyword]) => KEYWORDS_2020.has(keyword)));

const SINGLE: ReadonlySet<string> = new Set(['additionalProperties', 'items', 'contains', 'propertyNames', 'not', 'if', 'then', 'else', 'unevaluatedItems', 'unevaluatedProperties', 'contentSchema']);
const LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'dependentSchemas', '$defs']);

/** `change` applied to the schema and every schema inside it, innermost first; `after` is then told of the schema before and after its insides changed. */
function mapped(schema: JsonSchemaObject, change: (schema: JsonSchemaObject) => JsonSchemaObject, after: (before: JsonSchemaObject, now: JsonSchemaObject) => JsonSchemaObject = (_before, now) => now): JsonSchemaObject {
  const inner = (value: unknown): unknown => (isObject(value) ? mapped(value, change, after) : value);
  return change(after(schema, Object.fromEntries(Object.entries(schema).map(([keyword, value]) => {
    if (SINGLE.has(keyword)) return [keyword, inner(value)];
    if (LISTS.has(keyword) && Array.isArray(value)) return [keyword, (value as unknown[]).map(inner)];
    if (MAPS.has(keyword) && isObject(value)) return [keyword, Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inner(one)]))];
    return [keyword, value];
  }))));
}

/**
 * A schema inside another may get wider and make the whole narrower: two branches of `oneOf` then hold, `not` refuses more, `if` leads elsewhere, a property that is
 * named no more counts as unevaluated. Such words give way.
 */
function stillWider(before: JsonSchemaObject, now: JsonSchemaObject): JsonSchemaObject {
  const changed = (keyword: string): boolean => JSON.stringify(before[keyword]) !== JSON.stringify(now[keyword]);
  const { unevaluatedProperties: _properties, unevaluatedItems: _items, ...rest } = now;
  let made: JsonSchemaObject = rest;
  if (changed('oneOf')) { const { oneOf, ...other } = made; made = other['anyOf'] === undefined ? { ...other, anyOf: oneOf } : other; }
  if (changed('not')) { const { not: _not, ...other } = made; made = other; }
  if (changed('if')) { const { if: _if, then: _then, else: _else, ...other } = made; made = other; }
  if (changed('contains')) { const { maxContains: _most, ...other } = made; made = other; }
  return made;
}

/** Levels that Gemini's Schema is followed down; deeper is any object. */
const GEMINI_DEPTH = 6;
/** Formats by type that the Schema object lists. */
const FORMATS: Readonly<Record<string, ReadonlySet<string>>> = { string: new Set(['date-time', 'enum']), number: new Set(['float', 'double']), integer: new Set(['int32', 'int64']) };
export const GEMINI_KEYWORDS: ReadonlySet<string> = new Set(['type', 'format', 'title', 'description', 'nullable', 'enum', 'maxItems', 'minItems', 'properties', 'required', 'minProperties', 'maxProperties', 'minLength', 'maxLength', 'pattern', 'anyOf', 'items', 'minimum', 'maximum']);
const COPIED = ['title', 'description', 'maxItems', 'minItems', 'minProperties', 'maxProperties', 'minLength', 'maxLength', 'minimum', 'maximum'] as const;

/** No references, one type each, no closed objects. */
class GeminiSpeaker {
  readonly #definitions: Readonly<Record<string, unknown>>;
  constructor(root: JsonSchemaObject) { this.#definitions = isObject(root['$defs']) ? root['$defs'] : {}; }

  say(given: JsonSchema | undefined, depth: number): JsonSchemaObject {
    if (given === undefined || given === true || given === false) return {};
    const schema = this.#resolved(given, 0);
    const said: Record<string, unknown> = {};
    for (const keyword of COPIED) if (schema[keyword] !== undefined) said[keyword] = schema[keyword];
    const { types, nullable } = typesOf(schema);
    if (nullable) said['nullable'] = true;
    if (types.length > 1) return { ...pick(said, ['title', 'description', 'nullable']), anyOf: types.map((type) => this.say({ ...schema, type, title: undefined, description: undefined }, depth + 1)) };
    const [type] = types;
    if (type !== undefined) said['type'] = type;
    const union = [schema['anyOf'], schema['oneOf']].find((list) => Array.isArray(list)) as readonly JsonSchema[] | undefined;
    if (union !== undefined && type === undefined) this.#union(union, said, depth);
    if (type === 'string') this.#string(schema, said);
    const format = schema['format'];
    if (typeof format === 'string' && type !== undefined && FORMATS[type]?.has(format) === true && said['enum'] === undefined) said['format'] = format;
    if (type === 'array') said['items'] = depth >= GEMINI_DEPTH ? {} : this.say(schema['items'] as JsonSchema | undefined, depth + 1);
    if (type === 'object') this.#object(schema, said, depth);
    return said;
  }

  #string(schema: JsonSchemaObject, said: Record<string, unknown>): void {
    const values = (Array.isArray(schema['enum']) ? schema['enum'] as unknown[] : schema['const'] === undefined ? [] : [schema['const']]).filter((value) => value !== null);
    if (values.length > 0 && values.every((value) => typeof value === 'string' && value !== '')) { said['enum'] = values; said['format'] = 'enum'; }
    if (typeof schema['pattern'] === 'string') said['pattern'] = schema['pattern'];
  }

  #object(schema: JsonSchemaObject, said: Record<string, unknown>, depth: number): void {
    if (depth >= GEMINI_DEPTH || !isObject(schema['properties'])) return;
    const properties = Object.entries(schema['properties']);
    if (properties.length === 0) return;
    said['properties'] = Object.fromEntries(properties.map(([name, one]) => [name, this.say(one as JsonSchema, depth + 1)]));
    const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]).filter((name) => Object.hasOwn(schema['properties'] as object, String(name))) : [];
    if (required.length > 0) said['required'] = required;
  }

  #union(union: readonly JsonSchema[], said: Record<string, unknown>, depth: number): void {
    const open = union.filter((one) => !(isObject(one) && one['type'] === 'null'));
    if (open.length < union.length) said['nullable'] = true;
    const branches = depth >= GEMINI_DEPTH ? [] : open.map((one) => this.say(one, depth + 1));
    // A branch that says nothing makes the whole say nothing.
    if (branches.length === 0 || branches.some((one) => one['type'] === undefined && one['anyOf'] === undefined)) return;
    if (branches.length === 1) { Object.assign(said, { ...branches[0], ...pick(said, ['title', 'description']), ...(said['nullable'] === true ? { nullable: true } : {}) }); return; }
    said['anyOf'] = branches;
  }

  /** The schema with its reference followed, and `allOf` made one where its parts are objects: what all of them have. */
  #resolved(schema: JsonSchemaObject, hops: number): JsonSchemaObject {
    const { $ref: ref, allOf, $defs: _definitions, ...own } = schema;
    let merged: JsonSchemaObject = own;
    if (typeof ref === 'string' && hops < 16) {
      const target = ref.startsWith('#/$defs/') ? this.#definitions[ref.slice(8).replaceAll('~1', '/').replaceAll('~0', '~')] : undefined;
      merged = isObject(target) ? merge(this.#resolved(target, hops + 1), own) : own;
    }
    if (Array.isArray(allOf) && hops < 16) for (const part of allOf as readonly unknown[]) if (isObject(part)) merged = merge(this.#resolved(part, hops + 1), merged);
    return merged;
  }
}

/** Both hold: properties and required names of both; of other keywords the second's. */
function merge(a: JsonSchemaObject, b: JsonSchemaObject): JsonSchemaObject {
  const properties = { ...(isObject(a['properties']) ? a['properties'] : {}), ...(isObject(b['properties']) ? b['properties'] : {}) };
  const required = [...new Set([...(Array.isArray(a['required']) ? a['required'] as unknown[] : []), ...(Array.isArray(b['required']) ? b['required'] as unknown[] : [])])];
  return { ...a, ...b, ...(Object.keys(properties).length === 0 ? {} : { properties }), ...(required.length === 0 ? {} : { required }) };
}

function typesOf(schema: JsonSchemaObject): { readonly types: readonly string[]; readonly nullable: boolean } {
  const given = (Array.isArray(schema['type']) ? schema['type'] as unknown[] : schema['type'] === undefined ? [] : [schema['type']]).map(String);
  const nullable = given.includes('null');
  const types = given.filter((type) => type !== 'null');
  if (types.length > 0 || given.length > 0) return { types, nullable };
  if (isObject(schema['properties'])) return { types: ['object'], nullable };
  const values = Array.isArray(schema['enum']) ? schema['enum'] as unknown[] : schema['const'] === undefined ? [] : [schema['const']];
  return values.length > 0 && values.every((value) => typeof value === 'string') ? { types: ['string'], nullable } : { types: [], nullable };
}

const pick = (object: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> => Object.fromEntries(keys.filter((key) => object[key] !== undefined).map((key) => [key, object[key]]));
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
