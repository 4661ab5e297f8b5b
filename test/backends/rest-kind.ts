import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { type Kind, MAX_BYTES } from './kind.js';
import { json, type Reply, type Shop } from './shop.js';

const ITEM = { type: 'object', required: ['id', 'name', 'tags', 'count'], properties: { id: { type: 'string' }, name: { type: 'string' }, note: { type: ['string', 'null'] }, tags: { type: 'array', items: { type: 'string' } }, count: { type: 'integer' } } };
const answers = (schema: unknown): object => ({ responses: { 200: { description: 'ok', content: { 'application/json': { schema } } } } });
const parameter = (name: string, place: 'path' | 'query', type: string, required = true): object => ({ name, in: place, required, schema: { type } });
const object = (properties: object): object => ({ type: 'object', properties, required: Object.keys(properties) });

const DOCUMENT = {
  openapi: '3.1.0', info: { title: 'Shop', version: '1' }, servers: [{ url: 'http://127.0.0.1:1' }],
  paths: {
    '/items/{id}': {
      get: { operationId: 'getItem', parameters: [parameter('id', 'path', 'string')], ...answers({ $ref: '#/components/schemas/Item' }) },
      delete: { operationId: 'deleteItem', parameters: [parameter('id', 'path', 'string')], ...answers(object({ done: { type: 'boolean' } })) },
    },
    '/items': {
      get: { operationId: 'listItems', parameters: [parameter('limit', 'query', 'integer'), parameter('after', 'query', 'string', false)], ...answers({ type: 'object', required: ['items'], properties: { items: { type: 'array', items: { $ref: '#/components/schemas/Item' } }, next: { type: ['string', 'null'] } } }) },
      post: {
        operationId: 'addItem', ...answers({ $ref: '#/components/schemas/Item' }),
        requestBody: { required: true, content: { 'application/json': { schema: { type: 'object', additionalProperties: false, properties: { name: { type: 'string' }, note: { type: ['string', 'null'] }, tags: { type: 'array', items: { type: 'string' } }, count: { type: 'integer' } } } } } },
      },
    },
    '/act': { post: { operationId: 'act', parameters: [parameter('how', 'query', 'string')], ...answers(object({ text: { type: 'string' } })) } },
  },
  components: { schemas: { Item: ITEM } },
};

const OPERATIONS: readonly (readonly [method: string, path: RegExp, operation: string])[] = [
  ['GET', /^\/items\/(.+)$/, 'getItem'], ['DELETE', /^\/items\/(.+)$/, 'deleteItem'], ['GET', /^\/items$/, 'listItems'], ['POST', /^\/items$/, 'addItem'], ['POST', /^\/act$/, 'act'],
];
const STATUS = { error: 500, missing: 404, wrong: 200, hang: 0, unproved: 401 } as const;

/** Header values by lower-case name, as text. */
export const headersOf = (request: IncomingMessage): Record<string, string> => Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
export const bodyOf = async (request: IncomingMessage): Promise<string> => { const chunks: Buffer[] = []; for await (const chunk of request) chunks.push(chunk as Buffer); return Buffer.concat(chunks).toString(); };
/** A server on a free port of this machine; it counts who gives up waiting. */
export async function listen(shop: Shop, answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    response.on('close', () => { if (!response.writableFinished) shop.aborted += 1; });
    void answer(request, response);
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { port: (server.address() as AddressInfo).port, close: () => new Promise((resolve) => { server.close(() => { resolve(); }); server.closeAllConnections(); }) };
}

function send(response: ServerResponse, reply: Reply): void {
  if ('fault' in reply && reply.fault === 'hang') return;
  const status = 'fault' in reply ? STATUS[reply.fault] : 200;
  const body = 'value' in reply ? json(reply.value) : reply.fault === 'wrong' ? '{"text":5}' : JSON.stringify({ message: reply.message });
  response.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

const at = (host: string, port: number): string => `http://${host}:${port}`;

export const restKind: Kind = {
  kind: 'rest',
  async start(shop) {
    const document = await convertDocument(Buffer.from(JSON.stringify(DOCUMENT)), {});
    const server = await listen(shop, async (request, response) => {
      const url = new URL(request.url ?? '', 'http://h');
      const [, pattern = /^$/, operation = ''] = OPERATIONS.find(([method, path]) => method === request.method && path.test(url.pathname)) ?? [];
      const id = pattern.exec(url.pathname)?.[1];
      const query = Object.fromEntries(url.searchParams);
      const body = await bodyOf(request);
      const args = { ...query, ...(id === undefined ? {} : { id: decodeURIComponent(id) }), ...(body === '' ? {} : JSON.parse(body) as object) };
      send(response, shop.ask({ operation, args, headers: headersOf(request), query }));
    });
    return {
      document, at, baseUrl: at('127.0.0.1', server.port), http: true, close: server.close,
      backend: (given) => new RestBackend({ ...given, version: '1', maxResponseBytes: MAX_BYTES }),
      args: (operation, plain) => (operation === 'addItem' ? { body: plain } : plain),
      plain: (_operation, structured) => structured,
    };
  },
};
