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

/**
 * What is wrong with a schema's `x-mcp-header`s; undefined: nothing. Each is a header token, unique whatever its case, and on a text, an integer or a boolean that is
 * reached through `properties` alone: clients must refuse the tool otherwise.
 */
export function headerFault(schema: unknown): string | undefined {
  const seen = new Set<string>();
  const visit = (value: unknown, reachable: boolean): string | undefined => {
    if (Array.isArray(value)) return value.map((item) => visit(item, false)).find((fault) => fault !== undefined);
    if (typeof value !== 'object' || value === null) return undefined;
    const record = value as Readonly<Record<string, unknown>>;
    if ('x-mcp-header' in record) {
      const header = record['x-mcp-header'];
      if (typeof header !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/.test(header)) return 'is no header token';
      if (!reachable) return `${header} is not reached through properties alone`;
      if (record['type'] !== 'string' && record['type'] !== 'integer' && record['type'] !== 'boolean') return `${header} is on no text, integer or boolean`;
      if (seen.has(header.toLowerCase())) return `${header} is there twice`;
      seen.add(header.toLowerCase());
    }
    for (const [keyword, member] of Object.entries(record)) {
      const named = keyword === 'properties' && typeof member === 'object' && member !== null ? Object.values(member) : undefined;
      const fault = named ? named.map((one) => visit(one, reachable)).find((one) => one !== undefined) : keyword === 'enum' || keyword === 'const' || keyword === 'default' || keyword === 'examples' ? undefined : visit(member, false);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
  // The root itself is no parameter.
  return typeof schema === 'object' && schema !== null && 'x-mcp-header' in schema ? 'the whole of the arguments cannot be a header' : visit(schema, true);
}
