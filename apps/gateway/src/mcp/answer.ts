import type { Era, McpAnswer } from '../error-mapping.js';
import type { CallResult, ContentBlock } from '#libs/core/result.js';

/** A JSON-RPC id as it came; undefined: a notification. */
export type RpcId = string | number | undefined;

const idText = (id: RpcId): string => (typeof id === 'number' ? String(id) : JSON.stringify(id));

/** `{"jsonrpc":"2.0","id":…,"result":…}` around a result that is JSON text already. */
export const rpcResult = (id: RpcId, result: string): string => `{"jsonrpc":"2.0","id":${idText(id)},"result":${result}}`;

/** An error without an id is for a message whose id could not be read (MCP: the member is left out). */
export function rpcError(id: RpcId, code: number, message: string, data?: unknown): string {
  const idPart = id === undefined ? '' : `,"id":${idText(id)}`;
  return `{"jsonrpc":"2.0"${idPart},"error":{"code":${code},"message":${JSON.stringify(message)}${data === undefined ? '' : `,"data":${JSON.stringify(data)}`}}}`;
}

export const rpcNotification = (method: string, params: unknown): string => `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`;

/** Texts that end every result of an era: built once, `resultType` and the server's name in 2026-07-28, nothing before. */
export interface ResultTails {
  readonly complete: string;
  readonly inputRequired: string;
  /** `_meta` members without the braces, to be merged with a result's own. */
  readonly metaMembers: string;
}
export function resultTails(era: Era, serverInfo: object): ResultTails {
  if (era === 'legacy') return { complete: '', inputRequired: '', metaMembers: '' };
  const metaMembers = `"io.modelcontextprotocol/serverInfo":${JSON.stringify(serverInfo)}`;
  return { complete: `,"resultType":"complete","_meta":{${metaMembers}}`, inputRequired: `,"resultType":"input_required","_meta":{${metaMembers}}`, metaMembers };
}

/**
 * A call's result as JSON text. The backend's structured bytes are embedded as they are. Legacy eras know structured content only as
 * an object. `caching` holds the members that `resources/read` owes in 2026-07-28.
 */
export function resultJson(result: Exclude<CallResult, { type: 'input_required' }>, tails: ResultTails, caching = ''): string {
  if (result.type === 'resource') return `{"contents":${JSON.stringify(result.contents)}${caching}${tails.complete}}`;
  if (result.type === 'prompt') {
    const description = result.description === undefined ? '' : `"description":${JSON.stringify(result.description)},`;
    return `{${description}"messages":${JSON.stringify(result.messages)}${tails.complete}}`;
  }
  const content = result.content;
  let text = '{"content":[';
  for (let i = 0; i < content.length; i++) text += (i === 0 ? '' : ',') + block(content[i]!);
  text += ']';
  const structured = result.structuredJson;
  if (structured !== undefined && (tails.complete !== '' || isObject(structured))) text += `,"structuredContent":${structured}`;
  if (result.isError) text += ',"isError":true';
  if (result.meta === undefined && result.backendStatus === undefined) return `${text}${tails.complete}}`;
  const own = { ...result.meta, ...(result.backendStatus === undefined || !result.isError ? undefined : { backend_status: result.backendStatus }) };
  return `${text}${withMeta(own, tails)}}`;
}

/** A denial that the model may read. */
export const toolErrorJson = (answer: Extract<McpAnswer, { as: 'tool-error' }>, tails: ResultTails): string =>
  `{"content":[${block({ type: 'text', text: answer.text })}],"isError":true${withMeta({ 'dev.gostoa/error': answer.meta }, tails)}}`;

const block = (content: ContentBlock): string =>
  content.type === 'text' && content.annotations === undefined && !('_meta' in content) ? `{"type":"text","text":${JSON.stringify(content.text)}}` : JSON.stringify(content);

function withMeta(own: Readonly<Record<string, unknown>>, tails: ResultTails): string {
  const members = JSON.stringify(own).slice(1, -1);
  if (members === '') return tails.complete;
  const type = tails.complete === '' ? '' : ',"resultType":"complete"';
  return `${type},"_meta":{${members}${tails.metaMembers === '' ? '' : `,${tails.metaMembers}`}}`;
}

const isObject = (json: string): boolean => json.trimStart().startsWith('{');
