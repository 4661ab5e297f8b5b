import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeRequest { readonly method: string; readonly headers: IncomingMessage['headers']; readonly body: Record<string, unknown> | undefined }
export type FakeAnswer = (request: FakeRequest, response: ServerResponse) => void;
export interface FakeServer { readonly url: string; readonly seen: FakeRequest[]; answer: FakeAnswer; close(): Promise<void> }

/** An HTTP server that says what a test wants said, and remembers what it was told. */
export async function startFake(answer: FakeAnswer): Promise<FakeServer> {
  const seen: FakeRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => { chunks.push(chunk); });
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const heard = { method: request.method ?? '', headers: request.headers, body: text === '' ? undefined : JSON.parse(text) as Record<string, unknown> };
      seen.push(heard);
      fake.answer(heard, response);
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const fake: FakeServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`, seen, answer,
    close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(() => { resolve(); }); }),
  };
  return fake;
}

export const json = (response: ServerResponse, body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): void => { response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body)); };

/** A server of 2026-07-28 whose tools answer what `call` says. */
export const modern = (lists: Readonly<Record<string, unknown>>, call: FakeAnswer): FakeAnswer => (request, response) => {
  const { id, method } = request.body ?? {};
  const result = (value: object): void => { json(response, { jsonrpc: '2.0', id, result: { resultType: 'complete', ...value } }); };
  if (method === 'server/discover') return result({ supportedVersions: ['2026-07-28'], capabilities: {}, ttlMs: 0, cacheScope: 'private', _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'fake', version: '1' } } });
  if (typeof method === 'string' && method.endsWith('/list')) {
    const list = lists[method];
    return list === undefined ? json(response, { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } }, 404) : result(list as object);
  }
  return call(request, response);
};
