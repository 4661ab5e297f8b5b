import type { JsonSchema } from '#libs/core/json-schema.js';
import type { Target } from '#libs/core/target.js';

interface Mirrored { readonly header: string; readonly path: readonly string[] }
const NONE: readonly Mirrored[] = [];
const known = new WeakMap<Target, readonly Mirrored[]>();

/** The headers `Mcp-Param-*` that a tool's schema wants beside its arguments (`x-mcp-header`, MCP 2026-07-28). */
export function mirroredHeaders(target: Target, args: Readonly<Record<string, unknown>>): readonly (readonly [string, string])[] {
  let wanted = known.get(target);
  if (!wanted) known.set(target, wanted = collect(target.inputSchema, [], []));
  if (wanted.length === 0) return [];
  return wanted.flatMap(({ header, path }) => {
    const value = path.reduce<unknown>((at, name) => (typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined), args);
    return value === undefined || value === null ? [] : [[header, typeof value === 'string' ? value : JSON.stringify(value)] as const];
  });
}

function collect(schema: JsonSchema | undefined, path: readonly string[], into: Mirrored[]): readonly Mirrored[] {
  const properties = typeof schema === 'object' ? schema['properties'] as Readonly<Record<string, JsonSchema>> | undefined : undefined;
  for (const [name, property] of Object.entries(properties ?? {})) {
    if (typeof property !== 'object') continue;
    const header = property['x-mcp-header'];
    if (typeof header === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/.test(header)) into.push({ header: `mcp-param-${header.toLowerCase()}`, path: [...path, name] });
    else if (header === undefined) collect(property, [...path, name], into);
  }
  return into.length === 0 ? NONE : into;
}
