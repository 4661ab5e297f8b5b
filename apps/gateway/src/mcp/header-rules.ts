import type { IncomingHttpHeaders } from 'node:http';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { Target } from '#libs/core/target.js';

/** Where `Mcp-Name` mirrors the body (MCP 2026-07-28, Streamable HTTP, Standard Request Headers). */
export const NAMED_METHODS: Readonly<Record<string, 'name' | 'uri'>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' };

const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;
const VISIBLE = /^[\t\x20-\x7e]*$/;

/** A mirrored header's value with `=?base64?…?=` decoded; undefined when it is not a legal value. */
function decodeMirrored(value: string): string | undefined {
  if (!VISIBLE.test(value)) return undefined;
  if (!value.startsWith('=?base64?')) return value;
  const encoded = SENTINEL.exec(value)?.[1];
  if (encoded === undefined) return value.endsWith('?=') ? undefined : value;
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) && bytes.toString('base64') === encoded ? text : undefined;
}

/** What is wrong between a header and the body's value, as a sentence; undefined: they agree. */
export function mismatch(header: string, value: string | string[] | undefined, body: string, plain: boolean): string | undefined {
  if (typeof value !== 'string') return `Header mismatch: ${header} is required.`;
  if (value === body && !(!plain && value.startsWith('=?base64?'))) return undefined;
  const decoded = plain ? value : decodeMirrored(value);
  if (decoded === undefined) return `Header mismatch: ${header} has characters or an encoding that is not allowed.`;
  return decoded === body ? undefined : `Header mismatch: ${header} does not match the body.`;
}

interface MirroredParameter { readonly header: string; readonly path: readonly string[]; readonly integer: boolean }
const NONE: readonly MirroredParameter[] = [];
const mirrored = new WeakMap<Target, readonly MirroredParameter[]>();

/** Parameters that the tool's schema asks clients to mirror in `Mcp-Param-*` headers (`x-mcp-header`). Kept with the target. */
function parametersOf(target: Target): readonly MirroredParameter[] {
  let found = mirrored.get(target);
  if (!found) {
    found = target.listed.includes('"x-mcp-header"') ? collect(target.inputSchema, [], []) : NONE;
    mirrored.set(target, found);
  }
  return found;
}

function collect(schema: JsonSchema | undefined, path: readonly string[], into: MirroredParameter[]): readonly MirroredParameter[] {
  const properties = typeof schema === 'object' ? (schema['properties'] as Readonly<Record<string, JsonSchema>> | undefined) : undefined;
  for (const [name, property] of Object.entries(properties ?? {})) {
    if (typeof property !== 'object') continue;
    const header = property['x-mcp-header'];
    if (typeof header === 'string') into.push({ header: `mcp-param-${header.toLowerCase()}`, path: [...path, name], integer: property['type'] === 'integer' });
    else collect(property, [...path, name], into);
  }
  return into;
}

/** What is wrong between `Mcp-Param-*` headers and the call's arguments; undefined: they agree, or the tool mirrors nothing. */
export function parameterMismatch(target: Target, args: unknown, headers: IncomingHttpHeaders): string | undefined {
  for (const { header, path, integer } of parametersOf(target)) {
    const value = path.reduce<unknown>((at, name) => (typeof at === 'object' && at !== null && Object.hasOwn(at, name) ? (at as Record<string, unknown>)[name] : undefined), args);
    const given = headers[header];
    if (value === undefined || value === null) {
      if (given !== undefined) return `Header mismatch: ${header} is set but the body has no value at /${path.join('/')}.`;
      continue;
    }
    if (integer && typeof value === 'number' && typeof given === 'string' && /^-?\d+(\.0+)?$/.test(given) && Number(given) === value) continue;
    const fault = mismatch(header, given, typeof value === 'string' ? value : JSON.stringify(value), false);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
