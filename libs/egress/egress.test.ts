import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { OutboundFailure, type OutboundRequest, type OutboundResponse } from '#libs/core/outbound.js';
import { createEgress, type Egress, type EgressOptions } from './egress.js';

const closers: (() => unknown)[] = [];
afterEach(async () => { for (const close of closers.splice(0).toReversed()) await close(); });

const loopback = async (): Promise<{ address: string; family: number }[]> => [{ address: '127.0.0.1', family: 4 }];

interface Canary { port: number; hits: IncomingMessage[]; sockets: Socket[] }
async function serve(listener: RequestListener, host = '127.0.0.1'): Promise<Canary> {
  const canary: Canary = { port: 0, hits: [], sockets: [] };
  const server = createServer((request, response) => { canary.hits.push(request); listener(request, response); });
  return listening(server, canary, host);
}
async function serveRaw(onSocket: (socket: Socket) => void): Promise<Canary> {
  const server = createTcpServer((socket) => { socket.on('error', () => undefined); onSocket(socket); });
  return listening(server, { port: 0, hits: [], sockets: [] }, '127.0.0.1');
}
async function listening(server: Server | TcpServer, canary: Canary, host: string): Promise<Canary> {
  server.on('connection', (socket: Socket) => canary.sockets.push(socket));
  await new Promise<void>((resolve) => { server.listen(0, host, resolve); });
  closers.push(() => { for (const socket of canary.sockets) socket.destroy(); server.close(); });
  canary.port = (server.address() as AddressInfo).port;
  return canary;
}
function egress(options: Partial<EgressOptions> = {}): Egress {
  const made = createEgress({ allow: ['127.0.0.1'], ...options });
  closers.push(async () => made.close());
  return made;
}
const get = (url: string, more: Partial<OutboundRequest> = {}): OutboundRequest => ({ url, method: 'GET', headers: [], timeoutMs: 5_000, ...more });
async function failure(answer: Promise<OutboundResponse>): Promise<OutboundFailure> {
  const ended = await answer.catch((error: unknown) => error);
  if (!(ended instanceof OutboundFailure)) throw new Error(`not a failure: ${JSON.stringify(ended)}`);
  return ended;
}
const text = (response: OutboundResponse): string => Buffer.from(response.body).toString();

/** Ways to write this machine, its network, its cloud, and addresses that carry one of them. */
const FORBIDDEN_HOSTS = [
  '127.0.0.1', '127.1', '127.0.1', '127.255.255.254', '2130706433', '0x7f000001', '0x7f.1', '0x7f.0x0.0x0.0x1', '0177.0.0.1', '0177.1', '017700000001', '127.0.0.1.', '0', '0.0.0.0', '0x0',
  '①②⑦.0.0.1', '１２７.０.０.１', '127。0。0。1', '127．0．0．1', '%31%32%37.0.0.1', '127.0.0.%31',
  'localhost', 'LOCALHOST', 'localhost.', 'LocalHost.', 'foo.localhost', 'a.b.localhost.', 'ｌｏｃａｌｈｏｓｔ', 'ⓛocalhost', 'metadata.google.internal', 'METADATA.google.internal.', 'metadata', 'instance-data',
  '10.0.0.1', '10.255.255.255', '172.16.0.1', '172.31.255.255', '192.168.0.1', '192.168.255.255', '100.64.0.1', '100.127.255.255', '100.100.100.200', '169.254.169.254', '169.254.0.1', '0xa9fea9fe', '2852039166', '168.63.129.16',
  '192.0.0.192', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255', '192.88.99.1',
  '[::1]', '[::]', '[0:0:0:0:0:0:0:1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::ffff:10.0.0.1]', '[::127.0.0.1]', '[::7f00:1]', '[64:ff9b::7f00:1]', '[64:ff9b::127.0.0.1]', '[64:ff9b:1::7f00:1]', '[2002:7f00:1::]', '[2002:a00:1::1]',
  '[2001::1]', '[2001:0:7f00:1::]', '[2001:db8::1]', '[3fff::1]', '[fc00::1]', '[fd00:ec2::254]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '[100::1]', '[5f00::1]',
] as const;

describe('addresses that are not public', () => {
  it.each([...FORBIDDEN_HOSTS])('never reaches %s', async (host) => {
    const canary = await serve((_request, response) => { response.end('reached'); });
    const six = await serve((_request, response) => { response.end('reached'); }, '::1');
    const out = egress({ allow: [], resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
    for (const scheme of ['http', 'https']) {
      for (const port of [canary.port, six.port]) {
        const ended = await failure(out.request(get(`${scheme}://${host}:${port}/`)));
        expect(['refused-address', 'invalid-request']).toContain(ended.kind);
        expect(ended.message).not.toContain('undefined');
      }
    }
    expect([canary.sockets.length, six.sockets.length]).toEqual([0, 0]);
  });

  it('is asked about at least 60 spellings', () => { expect(new Set(FORBIDDEN_HOSTS).size).toBeGreaterThanOrEqual(60); });

  it('refuses a name that resolves to this machine through a zone of its own, and says how the operator can permit it', async () => {
    const canary = await serve((_request, response) => { response.end(); });
    const out = egress({ allow: [], resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
    const ended = await failure(out.request(get(`https://127.0.0.1.zone.example:${canary.port}/`)));
    expect(ended.kind).toBe('refused-address');
    expect(ended.message).toContain(`EGRESS_ALLOW=127.0.0.1.zone.example:${canary.port}`);
    expect(canary.sockets).toHaveLength(0);
  });

  it('refuses a name of which one address among public ones is private', async () => {
    const out = egress({ allow: [], resolve: async () => [{ address: '93.184.215.14', family: 4 }, { address: '10.0.0.7', family: 4 }] });
    expect((await failure(out.request(get('https://mixed.example/')))).kind).toBe('refused-address');
  });

  it('tells no address that DNS gave', async () => {
    const out = egress({ allow: [], resolve: async () => [{ address: '10.9.8.7', family: 4 }] });
    expect((await failure(out.request(get('https://inside.example/')))).message).not.toContain('10.9.8.7');
  });

  it('refuses plain http to a public host unless the operator lists it', async () => {
    const out = egress({ allow: [], resolve: async () => [{ address: '93.184.215.14', family: 4 }] });
    const ended = await failure(out.request(get('http://public.example/')));
    expect(ended).toMatchObject({ kind: 'refused-address', message: expect.stringContaining('EGRESS_ALLOW=public.example:80') as string });
  });

  it('connects only to addresses it checked, when a name answers differently each time', async () => {
    const canary = await serve((_request, response) => { response.end('reached'); });
    let asked = 0;
    // The public answer is TEST-NET in all but name: nothing listens there, and the connection is never waited for.
    const out = egress({ allow: ['192.0.2.0/24'], connectMs: 1, resolve: async () => [{ address: asked++ % 2 === 0 ? '192.0.2.1' : '127.0.0.1', family: 4 }] });
    const kinds = new Set<string>();
    for (let i = 0; i < 1_000; i += 50) {
      const round = Array.from({ length: 50 }, async (_, j) => failure(out.request(get(`http://rebind-${i + j}.example:${canary.port}/`, { timeoutMs: 1_000 }))));
      for (const ended of await Promise.all(round)) kinds.add(ended.kind);
    }
    expect(asked).toBe(1_000);
    expect([...kinds].toSorted()).toEqual(['refused-address', 'unreachable']);
    expect(canary.sockets).toHaveLength(0);
  });

  it('checks again at every connection of one and the same name', async () => {
    const canary = await serve((_request, response) => { response.setHeader('connection', 'close').end('first'); });
    const answers = ['127.0.0.2', '127.0.0.1'];
    const out = egress({ allow: ['127.0.0.2/32'], resolve: async () => [{ address: answers.shift() ?? '127.0.0.1', family: 4 }] });
    await failure(out.request(get(`http://turn.example:${canary.port}/`)));
    expect((await failure(out.request(get(`http://turn.example:${canary.port}/`)))).kind).toBe('refused-address');
    expect(canary.hits).toHaveLength(0);
  });
});

describe('what the operator lists', () => {
  it('is reachable by address, network and name, and by nothing else', async () => {
    const canary = await serve((_request, response) => { response.end('here'); });
    for (const allow of ['127.0.0.1', '127.0.0.0/8', `127.0.0.1:${canary.port}`, '127.0.0.0/8']) {
      expect(text(await egress({ allow: [allow], resolve: loopback }).request(get(`http://127.0.0.1:${canary.port}/`)))).toBe('here');
    }
    for (const allow of ['orders.internal', `orders.internal:${canary.port}`, '127.0.0.1']) {
      expect(text(await egress({ allow: [allow], resolve: loopback }).request(get(`http://orders.internal:${canary.port}/`)))).toBe('here');
    }
    for (const allow of ['127.0.0.1:1', '127.0.0.2', 'orders.internal:1', 'internal', 'x.orders.internal', '[::1]']) {
      expect((await failure(egress({ allow: [allow], resolve: loopback }).request(get(`http://orders.internal:${canary.port}/`)))).kind).toBe('refused-address');
    }
  });

  it.each(['http://x/', '10.0.0.0/33', '::/129', 'a b', '', '10.0.0.1:0', '10.0.0.1:65536', '1.2.3', '0x7f.1', 'host/8', '[::1', '*', 'a..b', '::1:8080:x'])('refuses the entry %j, quoting it', (entry) => {
    expect(() => createEgress({ allow: [entry] })).toThrow(JSON.stringify(entry));
  });
});

describe('redirects', () => {
  it.each([301, 302, 303, 307, 308])('are answers, not followed (%i)', async (status) => {
    const canary = await serve((_request, response) => { response.end('reached'); });
    const server = await serve((_request, response) => { response.writeHead(status, { location: `http://127.0.0.1:${canary.port}/` }).end(); });
    const response = await egress().request(get(`http://127.0.0.1:${server.port}/`, { headers: [['authorization', 'Bearer s3cret']] }));
    expect(response.status).toBe(status);
    expect(canary.sockets).toHaveLength(0);
  });
});

describe('limits on an answer', () => {
  const MIB = 1 << 20;
  it.each([
    { coding: 'gzip', pack: gzipSync }, { coding: 'x-gzip', pack: gzipSync }, { coding: 'br', pack: brotliCompressSync }, { coding: 'zstd', pack: zstdCompressSync },
    { coding: 'deflate', pack: deflateSync }, { coding: 'Deflate', pack: deflateRawSync }, { coding: 'identity', pack: (bytes: Buffer) => bytes },
  ])('decodes $coding', async ({ coding, pack }) => {
    const server = await serve((_request, response) => { response.setHeader('content-encoding', coding).end(pack(Buffer.from('hello hello hello'))); });
    expect(text(await egress().request(get(`http://127.0.0.1:${server.port}/`)))).toBe('hello hello hello');
  });

  it.each([
    { name: 'a gzip bomb by its ratio', body: gzipSync(Buffer.alloc(64 * MIB)), maxBytes: 1024 * MIB },
    { name: 'a brotli bomb by its ratio', body: brotliCompressSync(Buffer.alloc(64 * MIB), { params: {} }), coding: 'br', maxBytes: 1024 * MIB },
    { name: 'more than the limit decompressed', body: gzipSync(Buffer.from(Array.from({ length: 40_000 }, (_, i) => `${i * 7919}`).join())), maxBytes: 100_000 },
    { name: 'more than the limit as it comes', body: Buffer.alloc(200_001), coding: 'identity', maxBytes: 200_000 },
  ])('refuses $name', async ({ body, coding = 'gzip', maxBytes }) => {
    const server = await serve((_request, response) => { response.setHeader('content-encoding', coding).end(body); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`, { maxBytes })))).kind).toBe('too-large');
  });

  it('takes exactly the limit', async () => {
    const server = await serve((_request, response) => { response.end(Buffer.alloc(200_000)); });
    expect((await egress().request(get(`http://127.0.0.1:${server.port}/`, { maxBytes: 200_000 }))).body.byteLength).toBe(200_000);
  });

  it('refuses a declared length beyond the limit before reading, and hangs up', async () => {
    const gone = Promise.withResolvers<void>();
    const server = await serveRaw((socket) => { socket.on('close', () => gone.resolve()); socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n')); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`)))).kind).toBe('too-large');
    await gone.promise;
  });

  it.each([['gzip, gzip'], ['br,gzip'], [Array.from({ length: 1_000 }, () => 'gzip').join(',')], ['compress'], ['constructor']])('refuses the content coding %s', async (coding) => {
    const server = await serve((_request, response) => { response.setHeader('content-encoding', coding).end(gzipSync(gzipSync('x'))); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`)))).kind).toBe('bad-encoding');
  });

  it('says so when a body is not what its coding claims', async () => {
    const server = await serve((_request, response) => { response.setHeader('content-encoding', 'gzip').end(gzipSync('cut short').subarray(0, 12)); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`)))).kind).toBe('bad-encoding');
  });

  it('cuts an endless chunked answer and destroys the socket', async () => {
    const gone = Promise.withResolvers<void>();
    const server = await serveRaw((socket) => {
      socket.on('close', () => gone.resolve());
      socket.on('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        const more = (): void => { while (!socket.destroyed && socket.write(`10000\r\n${'x'.repeat(65_536)}\r\n`)); if (!socket.destroyed) socket.once('drain', more); };
        more();
      });
    });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`)))).kind).toBe('too-large');
    await gone.promise;
  });

  it.each([
    { name: 'an answer that drips', first: 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n' },
    { name: 'headers that drip', first: 'HTTP/1.1 200 OK\r\nx: ' },
    { name: 'no answer', first: '' },
  ])('ends $name at the deadline and destroys the socket', async ({ first }) => {
    const gone = Promise.withResolvers<void>();
    const server = await serveRaw((socket) => {
      const drip = setInterval(() => socket.write('x'), 10);
      socket.on('close', () => { clearInterval(drip); gone.resolve(); });
      if (first === '') clearInterval(drip);
      socket.once('data', () => socket.write(first));
    });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`, { timeoutMs: 150 })))).kind).toBe('timeout');
    await gone.promise;
  });

  it('ends a wait for the first byte by its own limit', async () => {
    const server = await serveRaw(() => undefined);
    expect((await failure(egress({ firstByteMs: 50 }).request(get(`http://127.0.0.1:${server.port}/`))))).toMatchObject({ kind: 'timeout', message: 'No answer began within 50 ms' });
  });

  it('gives up a connection whose name does not resolve in time', async () => {
    const out = egress({ connectMs: 30, resolve: async () => new Promise(() => undefined) });
    expect((await failure(out.request(get('https://never.example/')))).kind).toBe('unreachable');
  });

  it('refuses headers beyond the limit and answers that are not HTTP', async () => {
    const big = await serveRaw((socket) => { socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(200_000)}\r\n\r\n`)); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${big.port}/`)))).kind).toBe('too-large');
    const garbage = await serveRaw((socket) => { socket.on('data', () => socket.write('SSH-2.0-OpenSSH_9.9\r\n')); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${garbage.port}/`)))).kind).toBe('unreachable');
  });
});

describe('a request', () => {
  it('reuses connections: 100 calls one after the other take one socket', async () => {
    const server = await serve((_request, response) => { response.end('ok'); });
    const out = egress();
    for (let i = 0; i < 100; i++) await out.request(get(`http://127.0.0.1:${server.port}/${i}`));
    expect(server.hits).toHaveLength(100);
    expect(server.sockets.length).toBeLessThanOrEqual(2);
  });

  it('opens no more sockets per origin than it may', async () => {
    const server = await serve((_request, response) => { setImmediate(() => response.end('ok')); });
    const out = egress({ connections: 3 });
    await Promise.all(Array.from({ length: 60 }, async () => out.request(get(`http://127.0.0.1:${server.port}/`))));
    expect(server.sockets.length).toBeLessThanOrEqual(3);
  });

  it('is cancelled on its socket when the signal aborts', async () => {
    const arrived = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const server = await serve((request) => { request.socket.on('close', () => gone.resolve()); arrived.resolve(); });
    const abort = new AbortController();
    const ended = failure(egress().request(get(`http://127.0.0.1:${server.port}/`, { signal: abort.signal })));
    await arrived.promise;
    abort.abort();
    expect((await ended).kind).toBe('aborted');
    await gone.promise;
  });

  it('is never sent when the signal has aborted before', async () => {
    const server = await serve((_request, response) => { response.end(); });
    expect((await failure(egress().request(get(`http://127.0.0.1:${server.port}/`, { signal: AbortSignal.abort() })))).kind).toBe('aborted');
    expect(server.sockets).toHaveLength(0);
  });

  it.each([
    { name: 'another scheme', url: 'ftp://example.com/' }, { name: 'a file', url: 'file:///etc/passwd' }, { name: 'no scheme', url: '//example.com/' }, { name: 'a relative URL', url: '/x' },
    { name: 'user information', url: 'https://user:pw@example.com/' }, { name: 'a backslash before the host ends', url: 'https://example.com\\@127.0.0.1/' },
    { name: 'a fragment', url: 'https://example.com/#x' }, { name: 'an empty host', url: 'https:///x' }, { name: 'a bad port', url: 'https://example.com:99999/' },
    { name: 'a line end in the path', url: 'https://example.com/a\r\nHost: b' }, { name: 'a space in the path', url: 'https://example.com/a b' },
    { name: 'a header that frames', headers: [['Transfer-Encoding', 'chunked']] as const }, { name: 'another host header', headers: [['HOST', 'x']] as const },
    { name: 'a line end in a header', headers: [['x-a', 'b\r\nx-c: d']] as const }, { name: 'a header name that is none', headers: [['x a', 'b']] as const },
    { name: 'CONNECT', method: 'CONNECT' }, { name: 'a method that is none', method: 'GET / HTTP/1.1\r\nx:' },
  ])('is refused with $name, and nothing is sent', async ({ url, headers, method }) => {
    const server = await serve((_request, response) => { response.end(); });
    const request = get(url ?? `http://127.0.0.1:${server.port}/`, { ...(headers ? { headers } : {}), ...(method === undefined ? {} : { method }) });
    expect((await failure(egress({ resolve: loopback, allow: ['127.0.0.1', 'example.com'] }).request(request))).kind).toBe('invalid-request');
    expect(server.hits).toHaveLength(0);
  });

  it('gives repeated headers joined, the first cookie, and skips interim answers', async () => {
    const server = await serveRaw((socket) => { socket.on('data', () => socket.write('HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok')); });
    const response = await egress().request(get(`http://127.0.0.1:${server.port}/`));
    expect(response).toMatchObject({ status: 200, headers: { 'x-a': '1, 2', 'set-cookie': 'a=1' } });
    expect(text(response)).toBe('ok');
  });

  it('reads no body of an answer to HEAD, whatever length it declares', async () => {
    const server = await serve((_request, response) => { response.writeHead(200, { 'content-length': 999_999_999, 'content-encoding': 'gzip' }).end(); });
    expect((await egress().request(get(`http://127.0.0.1:${server.port}/`, { method: 'HEAD' }))).body.byteLength).toBe(0);
  });

  it('says unreachable when nothing listens or the connection breaks', async () => {
    const server = await serveRaw((socket) => { socket.on('data', () => socket.destroy()); });
    expect(await failure(egress().request(get(`http://127.0.0.1:${server.port}/`)))).toMatchObject({ kind: 'unreachable' });
    expect(await failure(egress().request(get('http://127.0.0.1:1/')))).toMatchObject({ kind: 'unreachable', message: 'No connection to 127.0.0.1:1: connection refused' });
  });
});

const answers = (...addresses: readonly string[]) => async (): Promise<readonly { address: string; family: number }[]> => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
describe('addresses for those who open their own sockets', () => {
  it.each([['private', ['10.0.0.1']], ['one private among public ones', ['93.184.216.34', '169.254.169.254']], ['of this machine', ['::1']]])('are refused whole where a name resolves to addresses that are %s', async (_name, addresses) => {
    await expect(createEgress({ allow: [], resolve: answers(...addresses) }).admit('backend.example', 443, true)).rejects.toMatchObject({ kind: 'refused-address' });
  });
  it('are all that the name has, where each is public', async () => {
    expect(await createEgress({ allow: [], resolve: answers('93.184.216.34', '93.184.216.35') }).admit('backend.example', 443, true)).toEqual(['93.184.216.34', '93.184.216.35']);
  });
});
