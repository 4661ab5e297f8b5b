/** JSON-RPC over plain HTTP, so that a test sees the bytes and the headers itself. */
export const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 'test', version: '0' }, 'io.modelcontextprotocol/clientCapabilities': {} };
export interface Reply { readonly status: number; readonly headers: Headers; readonly text: string; readonly json: RpcReply }
export interface RpcReply { readonly jsonrpc: string; readonly id?: string | number; readonly result?: Record<string, unknown>; readonly error?: { code: number; message: string; data?: Record<string, unknown> } }

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** Sends what it is given. An event stream is read to its end; `json` is then its last message. */
export async function send(url: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Reply> {
  const reply = await fetch(url, { method: 'POST', body, headers: { ...JSON_HEADERS, ...headers } });
  const text = await reply.text();
  const last = reply.headers.get('content-type')?.startsWith('text/event-stream') === true ? eventsOf(text).at(-1)?.data ?? '' : text;
  return { status: reply.status, headers: reply.headers, text, json: (last === '' ? {} : JSON.parse(last)) as RpcReply };
}

export const modernBody = (method: string, params: Record<string, unknown> = {}, id: string | number = 1): string => JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: { ...META, ...(params['_meta'] as object | undefined) } } });
export function modernHeaders(method: string, params: Record<string, unknown> = {}): Record<string, string> {
  const name = params['name'] ?? (method === 'resources/read' ? params['uri'] : undefined);
  return { 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(typeof name === 'string' ? { 'mcp-name': name } : {}) };
}
/** A request of 2026-07-28. */
export const modern = (url: string, method: string, params: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Reply> => send(url, modernBody(method, params), { ...modernHeaders(method, params), ...headers });

export interface LegacyClient { readonly session: string; readonly headers: Record<string, string>; request(method: string, params?: Record<string, unknown>): Promise<Reply> }
/** A client of a revision with sessions, after its `initialize`. */
export async function legacy(url: string, version = '2025-11-25', capabilities: object = {}, extra: Record<string, string> = {}): Promise<LegacyClient> {
  const reply = await send(url, JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: version, capabilities, clientInfo: { name: 'test', version: '0' } } }), extra);
  const session = reply.headers.get('mcp-session-id') ?? '';
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': version, ...extra };
  let id = 0;
  return { session, headers, request: (method, params = {}) => send(url, JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }), headers) };
}

export interface SseEvent { readonly event: string; readonly data: string; readonly retry: number | undefined }
export function eventsOf(text: string): SseEvent[] {
  return text.split('\n\n').map((block) => {
    const lines = block.split('\n');
    const field = (name: string): string[] => lines.filter((line) => line.startsWith(`${name}: `)).map((line) => line.slice(name.length + 2));
    return { event: field('event').at(-1) ?? 'message', data: field('data').join('\n'), retry: field('retry').map(Number).at(-1) };
  }).filter(({ data, retry }) => data !== '' || retry !== undefined);
}

/** An open event stream, read one event at a time. */
export class Listener {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly decoder = new TextDecoder();
  private text = '';
  private readonly ready: SseEvent[] = [];
  private constructor(readonly response: Response, private readonly controller: AbortController) { this.reader = response.body!.getReader(); }

  static async open(url: string, init: RequestInit): Promise<Listener> {
    const controller = new AbortController();
    return new Listener(await fetch(url, { ...init, signal: controller.signal }), controller);
  }
  static modern(url: string, notifications: object, headers: Record<string, string> = {}): Promise<Listener> {
    return Listener.open(url, { method: 'POST', body: modernBody('subscriptions/listen', { notifications }, 'sub-1'), headers: { ...JSON_HEADERS, ...modernHeaders('subscriptions/listen'), ...headers } });
  }
  static legacy(url: string, client: LegacyClient): Promise<Listener> {
    return Listener.open(url, { method: 'GET', headers: { accept: 'text/event-stream', ...client.headers } });
  }
  /** The next event that carries data; undefined at the end. */
  async next(): Promise<SseEvent | undefined> {
    for (;;) {
      const event = this.ready.shift();
      if (event) return event;
      const { value, done } = await this.reader.read();
      if (done) return undefined;
      this.text += this.decoder.decode(value, { stream: true });
      const end = this.text.lastIndexOf('\n\n');
      if (end < 0) continue;
      this.ready.push(...eventsOf(this.text.slice(0, end)).filter(({ data }) => data !== ''));
      this.text = this.text.slice(end + 2);
    }
  }
  async message(): Promise<{ method?: string; params?: Record<string, unknown>; id?: string | number; result?: Record<string, unknown> }> { return JSON.parse((await this.next())?.data ?? '{}') as object; }
  close(): void { this.controller.abort(); }
}
