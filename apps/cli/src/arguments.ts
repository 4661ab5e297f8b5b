import type { JsonSchemaObject } from '#libs/core/json-schema.js';

/** Root of a tool's input schema, as listed: self-contained. */
export interface ToolInput { readonly properties?: Readonly<Record<string, unknown>>; readonly $defs?: Readonly<Record<string, unknown>> }

/**
 * Turns `k=v` pairs into tool arguments. A value is read as JSON where the schema wants something other than text and the
 * text is such JSON; otherwise it stays text. A repeated key makes an array; `body.name=v` sets a property inside `body`.
 * Throws a plain `Error` naming a pair without `=`.
 */
export function readArguments(pairs: readonly string[], input: ToolInput): Record<string, unknown> {
  const given = new Map<string, string[]>();
  for (const pair of pairs) {
    const cut = pair.indexOf('=');
    if (cut <= 0) throw new Error(`--arg ${pair} is not of the form name=value`);
    const key = pair.slice(0, cut);
    given.set(key, [...(given.get(key) ?? []), pair.slice(cut + 1)]);
  }
  const result: Record<string, unknown> = {};
  for (const [key, values] of given) {
    const path = pathOf(key, input);
    let schema: unknown = input;
    for (const step of path) schema = property(schema, step, input);
    set(result, path, valueOf(values, schema, input));
  }
  return result;
}

function pathOf(key: string, input: ToolInput): readonly string[] {
  if (input.properties && Object.hasOwn(input.properties, key)) return [key];
  const [first, ...rest] = key.split('.');
  return first !== undefined && rest.length > 0 && input.properties && Object.hasOwn(input.properties, first) ? [first, ...rest] : [key];
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target;
  for (const step of path.slice(0, -1)) {
    const inner = Object.hasOwn(at, step) ? at[step] : undefined;
    const next = isObject(inner) ? inner : {};
    define(at, step, next);
    at = next;
  }
  define(at, path.at(-1) ?? '', value);
}
/** Not assignment: `__proto__` is a name like any other. */
const define = (target: object, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
};

function valueOf(values: readonly string[], schema: unknown, input: ToolInput): unknown {
  const types = typesOf(schema, input);
  const [first = ''] = values;
  if (values.length === 1) {
    const json = parse(first);
    if (json !== undefined && accepts(types, json.value)) return json.value;
    if (types.has('array') && !types.has('string')) return [scalar(first, items(schema, input), input)];
    return first;
  }
  return values.map((value) => scalar(value, items(schema, input), input));
}
function scalar(text: string, schema: unknown, input: ToolInput): unknown {
  const json = parse(text);
  return json !== undefined && accepts(typesOf(schema, input), json.value) ? json.value : text;
}

/** Text stays text where text is allowed, unless the value is JSON of another type that is allowed too. No types known: any JSON. */
function accepts(types: ReadonlySet<string>, value: unknown): boolean {
  if (types.size === 0) return true;
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  if (type === 'string') return !types.has('string');
  return types.has(type) || (type === 'number' && Number.isInteger(value) && types.has('integer'));
}

const DEPTH = 16;
function typesOf(schema: unknown, input: ToolInput, depth = 0): ReadonlySet<string> {
  const types = new Set<string>();
  const node = resolve(schema, input);
  if (!isObject(node) || depth > DEPTH) return types;
  const declared = node['type'];
  for (const type of Array.isArray(declared) ? declared : [declared]) if (typeof type === 'string') types.add(type);
  if (types.size > 0) return types;
  const literals = [...(Array.isArray(node['enum']) ? node['enum'] : []), ...('const' in node ? [node['const']] : [])];
  for (const literal of literals) types.add(literal === null ? 'null' : Array.isArray(literal) ? 'array' : typeof literal);
  for (const keyword of ['anyOf', 'oneOf', 'allOf']) {
    const branches = node[keyword];
    if (Array.isArray(branches)) for (const branch of branches) for (const type of typesOf(branch, input, depth + 1)) types.add(type);
  }
  if (types.size === 0 && isObject(node['properties'])) types.add('object');
  return types;
}
const items = (schema: unknown, input: ToolInput): unknown => { const node = resolve(schema, input); return isObject(node) ? node['items'] : undefined; };
const property = (schema: unknown, name: string, input: ToolInput): unknown => {
  const node = resolve(schema, input);
  const properties = isObject(node) ? node['properties'] : undefined;
  return isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
};
function resolve(schema: unknown, input: ToolInput): unknown {
  let node = schema;
  for (let hop = 0; hop < DEPTH && isObject(node) && typeof node['$ref'] === 'string'; hop++) {
    const name = /^#\/\$defs\/(.+)$/.exec(node['$ref'])?.[1];
    node = name === undefined ? undefined : input.$defs?.[name.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return node;
}
const isObject = (value: unknown): value is JsonSchemaObject & Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
function parse(text: string): { readonly value: unknown } | undefined {
  try { return { value: JSON.parse(text) }; } catch { return undefined; }
}
