import type { CallResult, ContentBlock, PromptResult, ResourceContents, ToolResult } from '#libs/core/result.js';
import { isObject, type JsonObject, UpstreamFault } from '#libs/backends/mcp/rpc.js';

/** Of a result's blocks: text that is no content of MCP would be shown as it is. */
const BLOCKS: Readonly<Record<string, (block: JsonObject) => boolean>> = {
  text: ({ text }) => typeof text === 'string',
  image: ({ data, mimeType }) => typeof data === 'string' && typeof mimeType === 'string',
  audio: ({ data, mimeType }) => typeof data === 'string' && typeof mimeType === 'string',
  resource: ({ resource }) => isContents(resource),
  resource_link: ({ uri, name }) => typeof uri === 'string' && typeof name === 'string',
};
const isContents = (value: unknown): value is ResourceContents & JsonObject => isObject(value) && typeof value['uri'] === 'string' && (typeof value['text'] === 'string' || typeof value['blob'] === 'string');
const isBlock = (value: unknown): value is ContentBlock & JsonObject => isObject(value) && typeof value['type'] === 'string' && Object.hasOwn(BLOCKS, value['type']) && BLOCKS[value['type']]!(value);

/** The server's result as ours, checked block by block. Throws `UpstreamFault` naming what does not belong there. */
export function resultOf(kind: 'tool' | 'resource' | 'prompt', result: JsonObject, structuredJson: string | undefined): CallResult {
  if (kind === 'tool') return toolOf(result, structuredJson);
  if (kind === 'resource') return { type: 'resource', contents: list(result, 'contents', isContents) };
  const { description } = result;
  const messages = list(result, 'messages', (message): message is PromptResult['messages'][number] & JsonObject => isObject(message) && (message['role'] === 'user' || message['role'] === 'assistant') && isBlock(message['content']));
  return { type: 'prompt', ...(typeof description === 'string' ? { description } : {}), messages };
}

function toolOf(result: JsonObject, structuredJson: string | undefined): ToolResult {
  // Servers of 2024-11-05 may leave the list out where there is structured content only.
  const content = result['content'] === undefined && structuredJson !== undefined ? [{ type: 'text' as const, text: structuredJson }] : list(result, 'content', isBlock);
  return { type: 'tool', content, isError: result['isError'] === true, ...(structuredJson === undefined ? {} : { structuredJson }) };
}

function list<T>(result: JsonObject, member: string, is: (item: unknown) => item is T): readonly T[] {
  const items = result[member];
  if (!Array.isArray(items)) throw new UpstreamFault(`The MCP server's result has no ${member}`);
  const wrong = items.findIndex((item) => !is(item));
  if (wrong >= 0) throw new UpstreamFault(`The MCP server's result has at /${member}/${wrong} what MCP does not know`);
  return items as readonly T[];
}
