import { type OutgoingHttpHeaders, request as plain } from 'node:http';
import { request as secure } from 'node:https';

export interface Answer { readonly status: number; readonly challenge: string | undefined; readonly body: string; readonly headers: Readonly<Record<string, string | readonly string[] | undefined>> }
/** How a request proves who asks: header lines of `Authorization`, each sent as it is, and a query string. */
export interface Credential { readonly authorization?: readonly string[]; readonly query?: string; readonly headers?: Readonly<Record<string, string>> }

/** One way into the server, with a harmless question that every caller with a valid token may ask. */
export interface Door {
  readonly name: string;
  /** A valid token is answered 200. */
  ask(credential: Credential): Promise<Answer>;
  /** Asks for a thing of one tenant by name: a tool, or at the admin API the tenant itself. */
  reach(credential: Credential, name: string): Promise<Answer>;
  /** The names that `reach` knows, as this caller is shown them. */
  names(credential: Credential): Promise<readonly string[]>;
  /** What may be reached only with more than a reader's scopes. */
  execute(credential: Credential, name: string): Promise<Answer>;
}

export const bearer = (token: string): Credential => ({ authorization: [`Bearer ${token}`] });

interface Sent { readonly method: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
function send(url: string, { method, headers = {}, body }: Sent, { authorization, query, headers: more }: Credential): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const target = new URL(query === undefined ? url : `${url}?${query}`);
    const asked = (target.protocol === 'https:' ? secure : plain)(target, {
      method, timeout: 15_000,
      headers: { accept: 'application/json, text/event-stream', ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }), ...headers, ...more, ...(authorization ? { authorization: authorization as string[] } : {}) } as OutgoingHttpHeaders,
    }, (response) => {
      let said = '';
      response.setEncoding('utf8').on('data', (chunk: string) => { said += chunk; }).on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, challenge: response.headers['www-authenticate'], body: said, headers: response.headers });
      });
    });
    asked.on('error', reject).on('timeout', () => { asked.destroy(new Error(`${url} did not answer in 15 s`)); });
    asked.end(text);
  });
}

const toolNames = (body: string): readonly string[] => [...body.matchAll(/"name":\s*"([^"]+)"/g)].map(([, name = '']) => name);
const MODERN = '2026-07-28', LEGACY = '2025-11-25';

/** MCP 2026-07-28: every request carries all that it needs. */
export function modernDoor(url: string): Door {
  const post = (credential: Credential, method: string, params: Readonly<Record<string, unknown>> = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    send(url, {
      method: 'POST', headers: { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...headers },
      body: { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': { name: 'token-suite', version: '1' } } } },
    }, credential);
  const call: Door['reach'] = (credential, name) => post(credential, 'tools/call', { name, arguments: {} }, { 'mcp-name': name });
  return { name: `mcp ${MODERN}`, ask: (credential) => post(credential, 'tools/list'), names: async (credential) => toolNames((await post(credential, 'tools/list')).body), reach: call, execute: call };
}

/** MCP 2025-11-25: a session, and each of its requests proved anew. */
export function legacyDoor(url: string): Door {
  const begin = (credential: Credential): Promise<Answer> => send(url, { method: 'POST', body: { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: LEGACY, capabilities: {}, clientInfo: { name: 'token-suite', version: '1' } } } }, credential);
  const post = async (credential: Credential, method: string, params: Readonly<Record<string, unknown>>): Promise<Answer> => {
    const started = await begin(credential);
    if (started.status !== 200) return started;
    const session = started.headers['mcp-session-id'];
    const headers = { 'mcp-protocol-version': LEGACY, ...(typeof session === 'string' ? { 'mcp-session-id': session } : {}) };
    await send(url, { method: 'POST', headers, body: { jsonrpc: '2.0', method: 'notifications/initialized' } }, credential);
    const answer = await send(url, { method: 'POST', headers, body: { jsonrpc: '2.0', id: 1, method, params } }, credential);
    if (typeof session === 'string') await send(url, { method: 'DELETE', headers }, credential);
    return answer;
  };
  const call: Door['reach'] = (credential, name) => post(credential, 'tools/call', { name, arguments: {} });
  return { name: `mcp ${LEGACY}`, ask: begin, names: async (credential) => toolNames((await post(credential, 'tools/list', {})).body), reach: call, execute: call };
}

export function restDoor(base: string): Door {
  const list = (credential: Credential): Promise<Answer> => send(`${base}/mcp/v1/tools`, { method: 'GET' }, credential);
  const call: Door['reach'] = (credential, name) => send(`${base}/mcp/v1/tools/${encodeURIComponent(name)}/invoke`, { method: 'POST', body: { arguments: {} } }, credential);
  return { name: 'rest /mcp/v1', ask: list, names: async (credential) => toolNames((await list(credential)).body), reach: call, execute: call };
}

/** The admin API. Its things are tenants; who may change one is decided by roles. */
export function adminDoor(base: string): Door {
  const list = (credential: Credential): Promise<Answer> => send(`${base}/admin/v1/tenants`, { method: 'GET' }, credential);
  return {
    name: 'admin /admin/v1', ask: list,
    names: async (credential) => [...(await list(credential)).body.matchAll(/"slug":\s*"([^"]+)"/g)].map(([, slug = '']) => slug),
    reach: (credential, name) => send(`${base}/admin/v1/tenants/${encodeURIComponent(name)}/tools`, { method: 'GET' }, credential),
    // Changes nothing: an empty patch.
    execute: (credential, name) => send(`${base}/admin/v1/tenants/${encodeURIComponent(name)}`, { method: 'PATCH', body: {} }, credential),
  };
}
