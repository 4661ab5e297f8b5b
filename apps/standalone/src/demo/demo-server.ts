import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';

export interface DemoRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly cookies: ReadonlyMap<string, string>;
  readonly body: Buffer<ArrayBuffer>;
}
type DemoAnswer = { readonly status: number; readonly json: unknown } | { readonly status: number; readonly type: string; readonly bytes: Uint8Array } | { readonly status: 204 };
export type DemoRoutes = Readonly<Record<`${string} /${string}`, (request: DemoRequest) => DemoAnswer | Promise<DemoAnswer>>>;

/** A refusal as the service says it: `{error}` with this status. */
export class DemoRefusal extends Error {
  override get name(): string { return 'DemoRefusal'; }
  constructor(readonly status: number, message: string) { super(message); }
}

export interface DemoServer {
  /** Without a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** State as one JSON file, written whole before each answer, so that it survives the process however it ends. */
export class DemoState<State extends object> {
  private constructor(private readonly file: string, readonly value: State, public port: number) {}

  /** Reads the file, or begins with `seed`. A damaged file is an error that names it. */
  static open<S extends object>(file: string, seed: () => S): DemoState<S> {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return new DemoState<S>(file, seed(), 0);
    }
    try {
      const { port, value } = JSON.parse(text) as { port: number; value: S };
      return new DemoState<S>(file, value, port);
    } catch (error) {
      throw new Error(`${file} is damaged (${(error as Error).message}); delete it to begin with fresh demo data`, { cause: error });
    }
  }
  save(): void {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.new`, JSON.stringify({ port: this.port, value: this.value }));
    renameSync(`${this.file}.new`, this.file);
  }
}

const BODY_LIMIT = 4 * 1024 * 1024;

/** Serves the routes and the document (`/openapi.yaml`) on loopback, or on the address `host`: on `preferredPort` where it is free, else on any. */
export async function startDemoServer(routes: DemoRoutes, document: Uint8Array, preferredPort: number, host = '127.0.0.1'): Promise<DemoServer & { readonly port: number }> {
  const table = Object.entries(routes).map(([key, handle]) => {
    const [method = '', path = ''] = key.split(' ');
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
    return { method, names, pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`), handle };
  });
  const answer = async (request: IncomingMessage): Promise<DemoAnswer> => {
    const url = new URL(request.url ?? '/', 'http://demo');
    if (url.pathname === '/openapi.yaml' && request.method === 'GET') return { status: 200, type: 'application/yaml', bytes: document };
    const here = table.filter(({ pattern }) => pattern.test(url.pathname));
    const route = here.find(({ method }) => method === request.method);
    if (!route) throw new DemoRefusal(here.length > 0 ? 405 : 404, here.length > 0 ? `${request.method} is not allowed here` : `Nothing at ${url.pathname}`);
    const values = route.pattern.exec(url.pathname) ?? [];
    return route.handle({
      params: Object.fromEntries(route.names.map((name, index) => [name, decodeURIComponent(values[index + 1] ?? '')])),
      query: url.searchParams, headers: request.headers, cookies: cookiesOf(request.headers.cookie), body: await readBody(request),
    });
  };
  const server = createServer((request, response) => {
    void (async () => { send(response, await answer(request).catch(refused)); })();
  });
  const listen = (port: number): Promise<void> => new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => { server.off('error', reject); resolve(); });
  });
  await listen(preferredPort).catch(async (error: unknown) => {
    if (preferredPort === 0 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    await listen(0);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port, url: `http://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => { server.close(() => { resolve(); }); server.closeAllConnections(); }),
  };
}

const refused = (error: unknown): DemoAnswer => (error instanceof DemoRefusal
  ? { status: error.status, json: { error: error.message } } : { status: 500, json: { error: 'The demo service failed.' } });

function send(response: ServerResponse, answer: DemoAnswer): void {
  if ('json' in answer) response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.json));
  else if ('bytes' in answer) response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.bytes);
  else response.writeHead(answer.status).end();
}

async function readBody(request: IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > BODY_LIMIT) throw new DemoRefusal(413, `The body is over ${BODY_LIMIT} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function cookiesOf(header: string | undefined): ReadonlyMap<string, string> {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim()).filter((pair) => pair.includes('='));
  return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), decodeURIComponent(pair.slice(pair.indexOf('=') + 1))]));
}

/** The JSON body as an object, or a 400 or 415 that says what was wrong. */
export function jsonBody(request: DemoRequest): Record<string, unknown> {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) throw new DemoRefusal(415, 'Send application/json');
  let value: unknown;
  try { value = JSON.parse(request.body.toString('utf8')); } catch { throw new DemoRefusal(400, 'The body is not JSON'); }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new DemoRefusal(400, 'The body must be an object');
  return value as Record<string, unknown>;
}
