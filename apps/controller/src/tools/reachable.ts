import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';

const PREFIX = '#/$defs/';

/** The definitions that some schemas lead to, directly or through others, in the order met. A recursive one occurs once. */
export function reachable(schemas: readonly (JsonSchema | undefined)[], definitions: Definitions): Definitions {
  const found = new Map<string, JsonSchema>();
  const waiting: unknown[] = [...schemas];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, inner] of Object.entries(value)) {
      const name = key === '$ref' && typeof inner === 'string' && inner.startsWith(PREFIX) ? inner.slice(PREFIX.length) : undefined;
      const definition = name !== undefined && Object.hasOwn(definitions, name) ? definitions[name] : undefined;
      if (name !== undefined && definition !== undefined && !found.has(name)) {
        found.set(name, definition);
        waiting.push(definition);
      }
      waiting.push(inner);
    }
  }
  return Object.fromEntries(found);
}
