import type { Definitions, JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import { isObject } from '#libs/tool-listing/raw.js';

/**
 * The schema together with all definitions that it leads to, under `$defs`; undefined when that is more than `maxBytes`
 * of JSON (UTF-16 units).
 */
export function selfContained(schema: JsonSchema, definitions: Definitions, maxBytes: number): JsonSchemaObject | undefined {
  const needed = new Map<string, JsonSchema>();
  let left = maxBytes - JSON.stringify(schema).length;
  const open: unknown[] = [schema];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const key of definitionsNamedIn(at)) {
      const definition = definitions[key];
      if (needed.has(key) || definition === undefined) continue;
      left -= JSON.stringify(definition).length + key.length + 4;
      if (left < 0) return undefined;
      needed.set(key, definition);
      open.push(definition);
    }
  }
  const root: JsonSchemaObject = schema === true ? {} : schema === false ? { not: {} } : schema;
  return needed.size === 0 ? root : { ...root, $defs: Object.fromEntries([...needed].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

/** Keys of `#/$defs/{key}` in any `$ref`, and in a discriminator's mapping. */
export function definitionsNamedIn(schema: unknown): ReadonlySet<string> {
  const keys = new Set<string>();
  const open: unknown[] = [schema];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (Array.isArray(at)) { for (const item of at) open.push(item ?? true); continue; }
    if (!isObject(at)) continue;
    const { $ref: ref, discriminator } = at;
    if (typeof ref === 'string') keys.add(ref.slice('#/$defs/'.length));
    if (isObject(discriminator) && isObject(discriminator['mapping'])) for (const target of Object.values(discriminator['mapping'])) if (typeof target === 'string') keys.add(target.slice('#/$defs/'.length));
    for (const [key, inner] of Object.entries(at)) if (typeof inner === 'object' && inner !== null && !VALUES.has(key)) open.push(inner);
  }
  return keys;
}
/** Keywords whose values are data, in which a member called `$ref` means nothing. */
const VALUES: ReadonlySet<string> = new Set(['default', 'const', 'enum', 'examples']);
