import fc from 'fast-check';
import type { Definitions, JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';

/** Small, quick and repeatable (mulberry32). */
export class Random {
  #state: number;
  constructor(seed: number) { this.#state = seed >>> 0; }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }
  int(below: number): number { return Math.floor(this.next() * below); }
  pick<T>(list: readonly T[]): T { return list[this.int(list.length)] as T; }
}

/** `lean`: what is required, plainest values. `full`: everything, text with reserved characters. `mixed`: a half, falsy values, longer lists. */
export type Mode = 'lean' | 'full' | 'mixed';

const TEXTS = {
  lean: ['a', 'value'],
  full: ['a b', 'x&y=z', 'ümläut/日本', 'semi;colon,comma', "it's (a) *test*!", '100%', 'a+b', 'q?#[x]@y:z$', 'tab|pipe', '"quoted"', '<xml/>'],
  header: ['a b', 'x=1; y, z', "it's (a) *test*!", 'q?#[x]@y:z$/', '"quoted"', '100%'],
  mixed: ['', 'plain', '~tilde_-', 'e\u0301', '%41', '{brace}', '😀'],
} as const;
const FORMATS: Readonly<Record<string, readonly string[]>> = {
  'date-time': ['2020-01-02T03:04:05Z', '2020-01-02T03:04:05.678+01:00'], date: ['2020-01-02'], time: ['03:04:05Z'], uuid: ['123e4567-e89b-12d3-a456-426614174000'], email: ['a+b@example.com'],
  ipv4: ['192.0.2.1'], ipv6: ['2001:db8::1'], uri: ['https://example.com/a?b=c#d'], url: ['https://example.com/a'], hostname: ['example.com'], byte: ['AP8='],
};
const MAX_DEPTH = 5;
/** Values in one argument set, beyond which only what is required is made: types of one document may all refer to each other. */
const MAX_VALUES = 400;

/** A value of the schema: mostly valid, always of the schema's shape. `undefined` when the schema allows nothing. */
export class Values {
  #place: string | undefined;
  #made = 0;
  /** `places`: where each top-level argument goes; a header takes ASCII only, a path nothing empty. */
  constructor(private readonly definitions: Definitions, private readonly random: Random, private readonly mode: Mode, private readonly places: ReadonlyMap<string, string> = new Map()) {}

  of(schema: JsonSchema | undefined, depth = 0): unknown {
    this.#made += 1;
    const node = this.#flat(schema, 0);
    if (node === undefined) return this.#text({});
    if (Object.hasOwn(node, 'const')) return node['const'];
    // Documents put the values of an array's members beside its type; such an `enum` allows no array at all.
    const allowed = Array.isArray(node['enum']) ? (node['enum'] as unknown[]).filter((value) => node['type'] !== 'array' || Array.isArray(value)) : [];
    if (allowed.length > 0) return this.random.pick(allowed);
    switch (this.#type(node)) {
      case 'object': return this.#object(node, depth);
      case 'array': return this.#array(node, depth);
      case 'integer': return this.#number(node, true);
      case 'number': return this.#number(node, false);
      case 'boolean': return this.mode === 'lean' ? true : this.random.next() < 0.5;
      case 'null': return null;
      default: return this.#text(node);
    }
  }

  /** References followed, `allOf` merged, one alternative taken. */
  #flat(schema: JsonSchema | undefined, hops: number): JsonSchemaObject | undefined {
    if (schema === undefined || typeof schema === 'boolean' || hops > 12) return undefined;
    let node: JsonSchemaObject = schema;
    const add = (part: unknown): void => {
      const flat = this.#flat(part as JsonSchema, hops + 1);
      if (flat) node = merge(node, flat);
    };
    const reference = node['$ref'];
    if (typeof reference === 'string') {
      const { $ref: _, ...rest } = node;
      node = rest;
      add(this.definitions[decodeURIComponent(reference.slice('#/$defs/'.length)).replaceAll('~1', '/').replaceAll('~0', '~')]);
    }
    for (const keyword of ['allOf', 'oneOf', 'anyOf'] as const) {
      const parts = node[keyword];
      if (!Array.isArray(parts) || parts.length === 0) continue;
      const { [keyword]: _, ...rest } = node;
      node = rest;
      if (keyword === 'allOf') for (const part of parts) add(part);
      else add(this.mode === 'lean' ? parts[0] : this.random.pick(parts));
    }
    return node;
  }

  #type(node: JsonSchemaObject): string {
    const type = node['type'];
    if (Array.isArray(type)) return this.random.pick(type.filter((t) => t !== 'null').concat(type.every((t) => t === 'null') ? ['null'] : []) as string[]);
    if (typeof type === 'string') return type;
    if (node['properties'] || node['additionalProperties'] || node['required']) return 'object';
    return node['items'] ? 'array' : 'string';
  }

  #object(node: JsonSchemaObject, depth: number): Record<string, unknown> {
    const properties = (typeof node['properties'] === 'object' ? node['properties'] : {}) as Record<string, JsonSchema>;
    const required = new Set(Array.isArray(node['required']) ? (node['required'] as string[]) : []);
    const made: Record<string, unknown> = {};
    for (const [name, property] of Object.entries(properties)) {
      const wanted = required.has(name) || (this.#made < MAX_VALUES && depth < MAX_DEPTH && (this.mode === 'full' ? depth < 3 : this.mode === 'mixed' && this.random.next() < 0.5));
      if (!wanted || name === '__proto__') continue;
      if (depth > MAX_DEPTH + 3) continue;
      if (depth === 0) this.#place = this.places.get(name);
      made[name] = this.of(property, depth + 1);
    }
    for (const name of required) if (!Object.hasOwn(made, name) && !Object.hasOwn(properties, name)) made[name] = 'x';
    const extra = node['additionalProperties'];
    if (Object.keys(properties).length === 0 && extra !== false && this.mode !== 'lean' && depth < MAX_DEPTH) made[`${this.mode === 'full' ? 'k e&y' : 'key'}${this.#made}`] = this.of(typeof extra === 'object' && extra !== null ? (extra as JsonSchema) : undefined, depth + 1);
    return made;
  }

  #array(node: JsonSchemaObject, depth: number): unknown[] {
    const least = Number(node['minItems'] ?? 0);
    const wanted = depth > MAX_DEPTH || this.#made > MAX_VALUES ? least : Math.max(least, this.mode === 'lean' ? 1 : this.mode === 'full' ? 2 : 3);
    const least1 = this.#place === 'path' ? 1 : 0;
    const length = Math.min(Math.max(wanted, least1), Number(node['maxItems'] ?? 10), 20);
    const list = Array.from({ length }, () => this.of(node['items'] as JsonSchema, depth + 1));
    return node['uniqueItems'] === true ? [...new Map(list.map((member) => [JSON.stringify(member), member])).values()] : list;
  }

  #number(node: JsonSchemaObject, whole: boolean): number {
    const low = Number(node['minimum'] ?? (typeof node['exclusiveMinimum'] === 'number' ? node['exclusiveMinimum'] + 1 : Number.NEGATIVE_INFINITY));
    const high = Number(node['maximum'] ?? (typeof node['exclusiveMaximum'] === 'number' ? node['exclusiveMaximum'] - 1 : Number.POSITIVE_INFINITY));
    const wished = this.mode === 'mixed' ? 0 : this.mode === 'full' ? (whole ? 42 : 1.5) : 1;
    const step = Number(node['multipleOf'] ?? 0);
    const value = Math.min(Math.max(wished, low), high);
    return step > 0 ? Math.ceil(value / step) * step : value;
  }

  #text(node: JsonSchemaObject): string {
    if (node['contentEncoding'] === 'base64') return this.mode === 'lean' ? 'YQ==' : 'AP9oaQ==';
    const format = typeof node['format'] === 'string' ? FORMATS[node['format']] : undefined;
    if (typeof node['pattern'] === 'string') {
      const both = format?.find((text) => matches(node['pattern'] as string, text));
      if (both !== undefined) return both;
      const matching = fromPattern(node['pattern'], this.random.int(1_000), { least: Number(node['minLength'] ?? 0), most: Number(node['maxLength'] ?? 5_000) });
      if (matching !== undefined) return matching;
    }
    if (format) return this.random.pick(format);
    const set = this.mode !== 'lean' && this.#place === 'header' ? 'header' : this.mode;
    let text: string = this.random.pick(TEXTS[set]);
    if (text === '' && this.#place === 'path') text = 'plain';
    const least = Math.min(Number(node['minLength'] ?? 0), 5_000);
    while (text.length < least) text += this.mode === 'full' ? ' x' : 'x';
    const most = Number(node['maxLength'] ?? Number.POSITIVE_INFINITY);
    const characters = Array.from(text);
    return characters.length > most ? characters.slice(0, most).join('') : text;
  }
}

function merge(a: JsonSchemaObject, b: JsonSchemaObject): JsonSchemaObject {
  const joined: Record<string, unknown> = { ...b, ...a };
  if (a['properties'] && b['properties']) joined['properties'] = { ...(b['properties']), ...(a['properties']) };
  if (Array.isArray(a['required']) && Array.isArray(b['required'])) joined['required'] = [...new Set([...(a['required'] as string[]), ...(b['required'] as string[])])];
  return joined;
}

function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return false;
  }
}

const patterns = new Map<string, fc.Arbitrary<string> | undefined>();
function fromPattern(pattern: string, seed: number, length: { least: number; most: number }): string | undefined {
  if (!patterns.has(pattern)) {
    let arbitrary: fc.Arbitrary<string> | undefined;
    try {
      arbitrary = pattern.length > 300 ? undefined : fc.stringMatching(new RegExp(pattern));
    } catch {
      // Not a pattern that can be generated from: any text will do for the wire.
    }
    patterns.set(pattern, arbitrary);
  }
  try {
    const arbitrary = patterns.get(pattern);
    const samples = arbitrary ? fc.sample(arbitrary, { numRuns: length.least > 1 ? 30 : 3, seed }) : [];
    return samples.find((text) => text.length >= length.least && text.length <= length.most) ?? samples[0];
  } catch {
    return undefined;
  }
}
