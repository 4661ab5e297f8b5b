import { createHash } from 'node:crypto';
import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { Found, References } from '#libs/openapi/references.js';
import { isObject, listOf, member } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';

export type Direction = 'request' | 'response';

/** What translating a schema finds out beside the schema. */
export interface SchemaScope {
  readonly direction: Direction;
  readonly reasons: VerdictReason[];
  readonly notes: VerdictReason[];
  /** Keys of the definitions referred to. */
  readonly uses: Set<string>;
}

export interface PoolEntry extends SchemaScope { readonly key: string; readonly pointer: string; schema: JsonSchema }

interface Reach { readonly refs: readonly string[]; directional: boolean }

function newScope(direction: Direction): SchemaScope {
  return { direction, reasons: [], notes: [], uses: new Set() };
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/**
 * The definitions that all tools of a document share: one entry for each schema that something refers to, and two
 * (request and response) where `readOnly` or `writeOnly` make it differ by direction.
 */
export class SchemaPool {
  readonly entries = new Map<string, PoolEntry>();
  readonly #references: References;
  readonly #keys = new Map<string, string>();
  readonly #reach = new Map<string, Reach>();
  readonly #open: { entry: PoolEntry; target: Found }[] = [];

  constructor(references: References) {
    this.#references = references;
  }

  /** The key under which the schema at `target` is, or will be, defined. */
  keyOf(target: Found, direction: Direction): string {
    const wire: Direction = direction === 'response' && !this.#differs(target) ? 'request' : direction;
    const id = `${wire} ${target.pointer}`;
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    let key = keyName(target.pointer) + (wire === 'response' ? '.response' : '');
    if (this.entries.has(key)) key = `${key}_${shortHash(id)}`;
    this.#keys.set(id, key);
    const entry: PoolEntry = { key, pointer: target.pointer, schema: true, ...newScope(wire) };
    this.entries.set(key, entry);
    this.#open.push({ entry, target });
    return key;
  }

  /** The next entry that has a key but no schema yet. */
  nextOpen(): { entry: PoolEntry; target: Found } | undefined {
    return this.#open.pop();
  }

  #differs(target: Found): boolean {
    if (!this.#reach.has(target.pointer)) this.#explore(target);
    return this.#reach.get(target.pointer)?.directional ?? false;
  }

  /** Marks every schema from which a required `readOnly` or `writeOnly` property can be reached. */
  #explore(start: Found): void {
    const fresh: string[] = [];
    const callers = new Map<string, string[]>();
    const open: Found[] = [start];
    const marked: string[] = [];
    for (let at = open.pop(); at; at = open.pop()) {
      if (this.#reach.has(at.pointer)) continue;
      const local = lookInside(at.value, this.#references);
      const refs: string[] = [];
      for (const found of local.refs) {
        refs.push(found.pointer);
        const known = callers.get(found.pointer);
        if (known) known.push(at.pointer); else callers.set(found.pointer, [at.pointer]);
        open.push(found);
      }
      this.#reach.set(at.pointer, { refs, directional: local.directional });
      fresh.push(at.pointer);
    }
    for (const pointer of fresh) {
      const reach = this.#reach.get(pointer);
      if (reach && !reach.directional) reach.directional = reach.refs.some((ref) => this.#reach.get(ref)?.directional === true);
      if (reach?.directional) marked.push(pointer);
    }
    for (let at = marked.pop(); at !== undefined; at = marked.pop()) {
      for (const caller of callers.get(at) ?? []) {
        const reach = this.#reach.get(caller);
        if (reach && !reach.directional) { reach.directional = true; marked.push(caller); }
      }
    }
  }
}

/** `#/components/schemas/Pet` becomes `Pet`; what is not legal in a name is replaced and told apart by a hash. */
function keyName(pointer: string): string {
  const parts = pointer.split('/').slice(1);
  const isComponent = (parts.length === 3 && parts[0] === 'components') || (parts.length === 2 && (parts[0] === 'definitions' || parts[0] === '$defs'));
  const last = parts.at(-1) ?? 'root';
  const name = last.replace(/[^A-Za-z0-9_.-]+/g, '_').slice(0, 80);
  return isComponent && name === last && name !== '__proto__' ? name : `${name}_${shortHash(pointer)}`;
}

/** References of one schema, and whether a required property of it exists in one direction only. Walks without recursion. */
function lookInside(schema: unknown, references: References): { refs: Found[]; directional: boolean } {
  const refs: Found[] = [];
  let directional = false;
  const open: unknown[] = [schema];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (Array.isArray(at)) { for (const item of at) open.push(item ?? null); continue; }
    if (!isObject(at)) continue;
    const ref = member(at, '$ref');
    if (typeof ref === 'string') {
      const found = references.resolve(ref);
      if (found.found) refs.push(found);
    }
    if (!directional) directional = requiresOneWay(at, references);
    for (const [key, inner] of Object.entries(at)) if (typeof inner === 'object' && inner !== null && !NOT_SCHEMAS.has(key)) open.push(inner);
  }
  return { refs, directional };
}

function requiresOneWay(schema: RawObject, references: References): boolean {
  const required = listOf(member(schema, 'required'));
  const composed = listOf(member(schema, 'allOf')).length > 0;
  if (required.length === 0 && !composed) return false;
  const names = oneWayNames(schema, references);
  return names.size > 0 && (composed || required.some((name) => typeof name === 'string' && names.has(name)));
}
const NOT_SCHEMAS: ReadonlySet<string> = new Set(['example', 'examples', 'default', 'enum', 'const', 'discriminator', 'xml', 'externalDocs']);

/** Names of properties, own or of inline `allOf` members, that are `readOnly` or `writeOnly`. */
export function oneWayNames(schema: unknown, references: References): ReadonlyMap<string, 'readOnly' | 'writeOnly'> {
  const names = new Map<string, 'readOnly' | 'writeOnly'>();
  const open: { node: unknown; hops: number }[] = [{ node: schema, hops: 0 }];
  for (let at = open.pop(); at; at = open.pop()) {
    const { hops } = at;
    const target = references.follow(at.node, '');
    if (!target.found || !isObject(target.value)) continue;
    const node = target.value;
    const properties = member(node, 'properties');
    if (isObject(properties)) {
      for (const [name, property] of Object.entries(properties)) {
        const found = references.follow(property, '');
        const resolved = isObject(property) && (member(property, 'readOnly') === true || member(property, 'writeOnly') === true) ? property : found.found ? found.value : undefined;
        if (!isObject(resolved)) continue;
        if (member(resolved, 'readOnly') === true) names.set(name, 'readOnly');
        else if (member(resolved, 'writeOnly') === true) names.set(name, 'writeOnly');
      }
    }
    if (hops < 4) for (const part of listOf(member(node, 'allOf'))) open.push({ node: part, hops: hops + 1 });
  }
  return names;
}
