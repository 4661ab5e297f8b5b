import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import { Denial } from '#libs/core/errors.js';
import { createEgress } from '#libs/egress/egress.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { as } from '../fake-gateway.js';
import { callOf, type Gateway, gatewayWith, published } from './gateway.js';

/** Backends; one of them is sick at a time. */
const BACKENDS = 20;
/** Calls of each healthy backend while one is sick, and of the sick one. */
const CALLS = 40;
const SICK_CALLS = 120;
const MIB = 1 << 20;
const MAX_BYTES = MIB;
const DOCUMENT = (at: number): object => ({
  openapi: '3.1.0', info: { title: 'T', version: '1' }, servers: [{ url: 'http://127.0.0.1:1' }],
  paths: { '/work': { get: { operationId: `work${at}`, responses: { 200: { description: 'ok', content: { 'application/json': { schema: { type: 'object', required: ['from'], properties: { from: { type: 'integer' } } } } } } } } } },
});
const BOMB = gzipSync(Buffer.alloc(64 * MIB));

/** Accepts connections to its TLS port and never says a word there. */
const NO_HANDSHAKE = 'never ends its TLS handshake';
type Sickness = (request: IncomingMessage, response: ServerResponse) => void;
const SICKNESSES: Readonly<Record<string, Sickness>> = {
  'hangs': () => undefined,
  [NO_HANDSHAKE]: () => undefined,
  'drips one byte a second': (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => { response.write(' '); }, 1000);
    response.on('close', () => { clearInterval(timer); });
  },
  'resets connections': (request) => { request.socket.resetAndDestroy(); },
  'breaks off in its answer': (request, response) => { response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }); response.write('{"from"', () => { request.socket.destroy(); }); },
  'answers 503 to everything': (_request, response) => { response.writeHead(503).end('away'); },
  'says that it will send 100 MB': (_request, response) => { response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(100 * MIB) }); response.write('{'); },
  'sends 100 MB without saying so': (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const chunk = Buffer.alloc(64 * 1024, 32);
    let left = (100 * MIB) / chunk.length;
    const more = (): void => { while (left > 0 && !response.destroyed) { left -= 1; if (!response.write(chunk)) { response.once('drain', more); return; } } response.end(); };
    more();
  },
  'sends a gzip bomb': (_request, response) => { response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(BOMB); },
  'answers with what is not HTTP': (request) => { request.socket.end('\u0000\u0001 hello\r\n\r\n'); },
  'answers with what is not JSON': (_request, response) => { response.writeHead(200, { 'content-type': 'application/json' }).end('{"from": '); },
};

const urlOf = (server: { address(): unknown }, scheme: string): string => `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;

describe('one sick backend among twenty', () => {
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const servers: Server[] = [];
  const silent = createTcpServer(() => undefined);
  let sick: { readonly at: number; readonly how: Sickness } | undefined;
  let gateway: Gateway;

  beforeAll(async () => {
    await new Promise<void>((resolve) => { silent.listen(0, '127.0.0.1', resolve); });
    for (let at = 0; at < BACKENDS; at += 1) {
      const server = createServer((request, response) => {
        response.on('error', () => undefined);
        if (sick?.at === at) sick.how(request, response); else response.writeHead(200, { 'content-type': 'application/json' }).end(`{"from":${at}}`);
      });
      servers.push(server);
      await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    }
    gateway = await gatewayWith('rest', (validator) => new RestBackend({ outbound: egress, credentials: { resolve: () => '' }, version: '1', maxResponseBytes: MAX_BYTES, checkOutput: (target, value) => validator.checkOutput(target, value) }), {
      bulkheads: { concurrency: 10, queue: 10, queueMs: 500, failures: 5, restMs: 600_000 },
    });
  });
  afterAll(async () => { silent.close(); for (const server of servers) { server.closeAllConnections(); server.close(); } await gateway.app.close(); await egress.close(); });

  /** A catalogue in which each backend has another name than before, so that no circuit is open yet. */
  let generation = 0;
  async function offer(sickAt: number, name = ''): Promise<void> {
    generation += 1;
    const all = await Promise.all(servers.map(async (server, at) => published({ document: await convertDocument(Buffer.from(JSON.stringify(DOCUMENT(at))), {}), name: `g${generation}-${at}`, baseUrl: at === sickAt && name === NO_HANDSHAKE ? urlOf(silent, 'https') : urlOf(server, 'http'), timeoutMs: at === sickAt ? 400 : 10_000 })));
    gateway.fake.catalogue.put('acme', all.flatMap(({ targets }) => targets), all.map(({ api }) => api));
    gateway.forget();
  }
  const call = async (at: number): Promise<string> => {
    const result = await gateway.runCall(callOf(`work${at}`, {}));
    if (result instanceof Denial) return result.code === 'UNAVAILABLE' ? 'resting' : result.code === 'RATE_LIMITED' ? 'busy' : `failed: ${result.message}`;
    return result.type === 'tool' && !result.isError ? 'well' : `failed: ${JSON.stringify(result)}`;
  };

  it.each(Object.entries(SICKNESSES))('that %s leaves the other nineteen alone, is refused what it cannot do, and costs no memory', async (name, how) => {
    const at = Object.keys(SICKNESSES).indexOf(name);
    await offer(at, name);
    sick = { at, how };
    const before = process.memoryUsage().rss;
    let peak = before;
    const others = servers.map((_server, other) => other).filter((other) => other !== at);
    const healthy: string[] = [];
    const lists: number[] = [];
    const ill: Promise<string>[] = Array.from({ length: SICK_CALLS }, () => call(at));
    for (let round = 0; round < CALLS; round += 1) {
      healthy.push(...await Promise.all(others.map(call)));
      // Lists never wait for a backend.
      if (round % 10 === 0) lists.push((await gateway.app.inject({ url: '/mcp/v1/tools', headers: as('acme-viewer') })).statusCode);
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    expect([healthy.length, healthy.filter((ended) => ended !== 'well')]).toEqual([CALLS * (BACKENDS - 1), []]);
    expect(lists).toEqual([200, 200, 200, 200]);
    const ended = await Promise.all(ill);
    expect(ended).not.toContain('well');
    // No more than its places and its queue were ever in it at a time.
    expect(ended.filter((one) => !one.startsWith('failed')).length).toBeGreaterThanOrEqual(SICK_CALLS - 20);
    peak = Math.max(peak, process.memoryUsage().rss);
    // Ten places of at most 1 MiB each, compressed and not, with what the collector has not taken yet.
    expect(peak - before).toBeLessThan(192 * MIB);
    sick = undefined;
  });

  it.each(['hangs', 'resets connections', 'answers 503 to everything', 'answers with what is not HTTP'])('that %s is soon not asked at all, and its tenant can see that', async (name) => {
    await offer(0, name);
    let asked = 0;
    sick = { at: 0, how: (request, response) => { asked += 1; SICKNESSES[name]?.(request, response); } };
    while (await call(0) !== 'resting') expect(asked).toBeLessThan(20);
    const until = asked;
    const ended = await Promise.all(Array.from({ length: 200 }, () => call(0)));
    expect([new Set(ended), asked]).toEqual([new Set(['resting']), until]);
    expect((await gateway.app.inject('/metrics')).body).toMatch(/backend_circuits_open [1-9]/);
    const health = await gateway.runCall(callOf('stoa_platform_health', {}));
    expect(JSON.stringify(health)).toContain(`api:g${generation}-0`);
    // What no backend saw is on record as that.
    expect(gateway.records().filter(({ outcome }) => outcome === 'unavailable').every(({ invoked, code }) => invoked === false && code === 'UNAVAILABLE')).toBe(true);
    sick = undefined;
  });
});
