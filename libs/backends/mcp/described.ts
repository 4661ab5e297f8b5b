import { canonicalJson } from '#libs/core/canonical-json.js';
import { isObject, type JsonObject } from '#libs/backends/mcp/rpc.js';

/** What an MCP server says of itself, in an order of its own: the document of an MCP API. */
export interface DescribedServer {
  readonly mcp: 1;
  readonly server: { readonly name: string; readonly title?: string; readonly version: string };
  /** Found by asking, where the connection does not say. */
  readonly transport?: 'streamable' | 'sse';
  readonly instructions?: string;
  readonly tools: readonly JsonObject[];
  readonly prompts: readonly JsonObject[];
  readonly resources: readonly JsonObject[];
  readonly resourceTemplates: readonly JsonObject[];
}
export type Listed = Pick<DescribedServer, 'tools' | 'prompts' | 'resources' | 'resourceTemplates'>;

/** Members that say what a thing is. Others change by themselves (sizes, times) or are none of a caller's business (`_meta`). */
const KEPT: Readonly<Record<keyof Listed, { readonly id: string; readonly members: readonly string[] }>> = {
  tools: { id: 'name', members: ['name', 'title', 'description', 'inputSchema', 'outputSchema', 'annotations'] },
  prompts: { id: 'name', members: ['name', 'title', 'description', 'arguments'] },
  resources: { id: 'uri', members: ['uri', 'name', 'title', 'description', 'mimeType', 'annotations'] },
  resourceTemplates: { id: 'uriTemplate', members: ['uriTemplate', 'name', 'title', 'description', 'mimeType', 'annotations'] },
};

/** Each thing once, by its id, in the order of ids; of several with one id the first. What has no id is left out. */
export function tidy(kind: keyof Listed, items: readonly unknown[]): JsonObject[] {
  const { id, members } = KEPT[kind];
  const known = new Map<string, JsonObject>();
  for (const item of items) {
    if (!isObject(item) || typeof item[id] !== 'string' || item[id] === '' || known.has(item[id])) continue;
    known.set(item[id], Object.fromEntries(members.flatMap((name) => (item[name] === undefined ? [] : [[name, item[name]]]))));
  }
  return [...known].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}

/** Bytes that are equal as long as the server says the same. */
export const bytesOf = (server: DescribedServer): Uint8Array => Buffer.from(canonicalJson(server));
