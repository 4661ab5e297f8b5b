import { hash } from 'node:crypto';
import { type Outbound, OutboundFailure, type OutboundGuard, type OutboundRequest, type OutboundResponse, type OutboundStream, type OutboundStreams } from '#libs/core/outbound.js';
import { Agent, type Dispatcher } from 'undici';
import { type AllowList, parseAllowList } from './allow-list.js';
import { admitted, canonicalHost, guardedConnector, refusedByName, type Resolve, systemResolve } from './connector.js';
import { ACCEPT_ENCODING, contentCoding, decompress } from './decode.js';
import { StreamExchange } from './stream-exchange.js';

export interface EgressOptions {
  /** `EGRESS_ALLOW`: CIDR or host, optional `:port`. What is not listed must be public and https. */
  readonly allow: readonly string[];
  /** DNS, TCP and TLS together, in milliseconds. Default 2,000. */
  readonly connectMs?: number;
  /** From sending to the first byte of the answer, in milliseconds. Unset: only the request's own timeout counts. */
  readonly firstByteMs?: number;
  /** Body bytes of an answer, compressed and decompressed alike, when the request does not say. Default 8 MiB. */
  readonly maxBytes?: number;
  /** Sockets per origin. Default 128. */
  readonly connections?: number;
  /** PEM of certificate authorities to trust instead of the system's. */
  readonly ca?: string;
  /** Stands in for the system's resolver. */
  readonly resolve?: Resolve;
}

/** The product's only way out over HTTP. */
export interface Egress extends Outbound, OutboundStreams, OutboundGuard {
  /** Answers why a URL may not be called as far as its text tells, before any name is resolved; undefined when nothing is wrong so far. */
  check(url: string): OutboundFailure | undefined;
  /** Closes idle connections and waits for running requests. */
  close(): Promise<void>;
}

/** Framing and routing belong to the connection, not to a caller of ours (RFC 9110 §7.6.1, RFC 9112 §6). */
const FRAMING_HEADERS = new Set(['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive', 'te', 'trailer', 'upgrade', 'expect', 'proxy-connection', 'proxy-authorization']);
const METHOD = /^[A-Z][A-Z-]{0,31}$/;
const ORIGIN = /^https?:\/\/[^/?#\\@\s]+$/i;
const MAX_KNOWN = 4_096;

interface Origin { readonly origin: string; readonly refused: OutboundFailure | undefined }

/**
 * Make the egress. Every connection's addresses are checked where it is opened, against the ranges of `addresses.ts`; redirects are answers like
 * any other. Throws `InvalidAllowEntry`.
 */
export function createEgress(options: EgressOptions): Egress {
  const allow = parseAllowList(options.allow);
  const agentWith = (clientCertificate?: string): Agent => new Agent({
    connections: options.connections ?? 128,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: guardedConnector({ allow, resolve: options.resolve ?? systemResolve, connectMs: options.connectMs ?? 2_000, ...(options.ca === undefined ? {} : { ca: options.ca }), ...(clientCertificate === undefined ? {} : { clientCertificate }) }),
  });
  const agent = agentWith();
  const certified = new CertifiedAgents(agentWith);
  const agentFor = ({ clientCertificate }: OutboundRequest): Agent => (clientCertificate === undefined ? agent : certified.of(clientCertificate));
  const origins = new Map<string, Origin>();
  const originOf = (prefix: string): Origin => {
    const known = origins.get(prefix);
    if (known) return known;
    if (origins.size >= MAX_KNOWN) origins.clear();
    const made = parseOrigin(prefix, allow);
    origins.set(prefix, made);
    return made;
  };
  const defaults = { maxBytes: options.maxBytes ?? 8 << 20, firstByteMs: options.firstByteMs };
  return {
    check: (url) => originOf(url.slice(0, endOfOrigin(url))).refused,
    request: (request) => new Promise<OutboundResponse>((resolve, reject) => {
      const end = endOfOrigin(request.url);
      const { origin, refused } = originOf(request.url.slice(0, end));
      const rest = request.url.slice(end);
      const wrong = refused ?? wrongRequest(request, rest);
      if (wrong) return reject(wrong);
      const exchange = new Exchange(request, defaults, { resolve, reject });
      if (exchange.done) return undefined;
      try {
        agentFor(request).dispatch({
          origin,
          path: rest.startsWith('/') ? rest : `/${rest}`,
          method: request.method,
          headers: flat(request.headers),
          ...(request.body === undefined ? {} : { body: request.body }),
        }, exchange);
      } catch (cause) {
        exchange.fail(new OutboundFailure('invalid-request', 'The request cannot be sent', { cause }));
      }
      return undefined;
    }),
    open: (request) => new Promise<OutboundStream>((resolve, reject) => {
      const end = endOfOrigin(request.url);
      const { origin, refused } = originOf(request.url.slice(0, end));
      const rest = request.url.slice(end);
      const wrong = refused ?? wrongRequest(request, rest);
      if (wrong) return reject(wrong);
      const exchange = new StreamExchange(request, { maxBytes: request.maxBytes ?? defaults.maxBytes, firstByteMs: defaults.firstByteMs, asFailure }, { resolve, reject });
      if (exchange.done) return undefined;
      try {
        // What is read while it comes is not compressed: a decompressor holds events back.
        agentFor(request).dispatch({ origin, path: rest.startsWith('/') ? rest : `/${rest}`, method: request.method, headers: flat([...request.headers, ['accept-encoding', 'identity']]), ...(request.body === undefined ? {} : { body: request.body }) }, exchange);
      } catch (cause) {
        exchange.fail(new OutboundFailure('invalid-request', 'The request cannot be sent', { cause }));
      }
      return undefined;
    }),
    admit: (host, port, secure) => admitted({ allow, resolve: options.resolve ?? systemResolve }, { host: canonicalHost(host), port, secure }),
    close: async () => { await Promise.all([agent.close(), certified.close()]); },
  };
}

/** Certificates in use at the same time; the one that was not used for longest gives way. */
const MAX_CERTIFICATES = 256;

/** One pool of connections for each client certificate. A rotated certificate is another one; the old one's connections end with their requests. */
class CertifiedAgents {
  readonly #agents = new Map<string, Agent>();
  constructor(private readonly make: (clientCertificate: string) => Agent) {}

  of(clientCertificate: string): Agent {
    const digest = hash('sha256', clientCertificate, 'base64');
    const agent = this.#agents.get(digest) ?? this.make(clientCertificate);
    this.#agents.delete(digest);
    this.#agents.set(digest, agent);
    const [oldest] = this.#agents;
    if (this.#agents.size > MAX_CERTIFICATES && oldest) {
      this.#agents.delete(oldest[0]);
      void oldest[1].close();
    }
    return agent;
  }
  async close(): Promise<void> { await Promise.all([...this.#agents.values()].map((agent) => agent.close())); }
}

function endOfOrigin(url: string): number {
  const start = url.indexOf('://') + 3;
  for (let i = start; i < url.length; i++) {
    const c = url.charCodeAt(i);
    if (c === 0x2f || c === 0x3f || c === 0x23 || c === 0x5c) return i; // / ? # \
  }
  return url.length;
}

const invalid = (message: string): Origin => ({ origin: '', refused: new OutboundFailure('invalid-request', message) });
function parseOrigin(prefix: string, allow: AllowList): Origin {
  if (!ORIGIN.test(prefix)) return invalid('The URL must be absolute, http or https, and without user information');
  let url: URL;
  try {
    url = new URL(prefix);
  } catch {
    return invalid('The URL has no valid host and port');
  }
  const secure = url.protocol === 'https:';
  if (url.hostname === '' || url.hostname === '.') return invalid('The URL has no host');
  const to = { secure, host: canonicalHost(url.hostname), port: url.port === '' ? (secure ? 443 : 80) : Number(url.port) };
  return { origin: url.origin, refused: refusedByName(allow, to) };
}

/** What a header is to us, by its name as it is written: few are, so they are remembered. */
const kinds = new Map<string, 'framing' | 'encoding' | 'other'>();
function kindOf(name: string): 'framing' | 'encoding' | 'other' {
  let kind = kinds.get(name);
  if (kind === undefined) {
    const lower = name.toLowerCase();
    kind = FRAMING_HEADERS.has(lower) ? 'framing' : lower === 'accept-encoding' ? 'encoding' : 'other';
    if (kinds.size >= MAX_KNOWN) kinds.clear();
    kinds.set(name, kind);
  }
  return kind;
}

function wrongRequest(request: OutboundRequest, rest: string): OutboundFailure | undefined {
  if (!METHOD.test(request.method) || request.method === 'CONNECT') return new OutboundFailure('invalid-request', 'The method cannot be sent');
  if (rest.includes('#') || rest.startsWith('\\')) return new OutboundFailure('invalid-request', 'The URL has a fragment or a backslash');
  for (const [name] of request.headers) if (kindOf(name) === 'framing') return new OutboundFailure('invalid-request', `The header ${name} cannot be set`);
  return undefined;
}

function flat(headers: OutboundRequest['headers']): string[] {
  const list: string[] = [];
  let encoding = false;
  for (const [name, value] of headers) {
    list.push(name, value);
    if (kindOf(name) === 'encoding') encoding = true;
  }
  if (!encoding) list.push('accept-encoding', ACCEPT_ENCODING);
  return list;
}

interface Settle { resolve(response: OutboundResponse): void; reject(failure: OutboundFailure): void }

/** One request and its answer, collected without streams: bodies are small, and capped. */
class Exchange implements Dispatcher.DispatchHandler {
  done = false;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: Record<string, string> = {};
  #coding: string | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #maxBytes: number;
  /** One each: a table of deadlines on a common timer is old memory that keeps finished exchanges alive, and collections took twice as long. */
  readonly #timer: NodeJS.Timeout;
  #firstByte: NodeJS.Timeout | undefined;
  readonly #firstByteMs: number | undefined;

  constructor(private readonly request: OutboundRequest, defaults: { maxBytes: number; firstByteMs: number | undefined }, private readonly settle: Settle) {
    this.#maxBytes = request.maxBytes ?? defaults.maxBytes;
    this.#firstByteMs = defaults.firstByteMs;
    this.#timer = setTimeout(() => this.fail(new OutboundFailure('timeout', `No complete answer within ${request.timeoutMs} ms`)), request.timeoutMs);
    request.signal?.addEventListener('abort', this.#aborted);
    if (request.signal?.aborted) this.#aborted();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.done) { controller.abort(new OutboundFailure('aborted', 'Cancelled')); return; }
    const limit = this.#firstByteMs;
    if (limit !== undefined) this.#firstByte = setTimeout(() => this.fail(new OutboundFailure('timeout', `No answer began within ${limit} ms`)), limit);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    if (status < 200) return;
    clearTimeout(this.#firstByte);
    this.#status = status;
    for (const name of Object.keys(headers)) {
      const value = headers[name];
      if (value === undefined || name === '__proto__') continue;
      this.#headers[name] = typeof value === 'string' ? value : name === 'set-cookie' ? value[0] ?? '' : value.join(', ');
    }
    try {
      this.#coding = contentCoding(this.#headers['content-encoding']);
    } catch (failure) {
      this.fail(failure as OutboundFailure);
      return;
    }
    // A length that is too large is refused before its first byte is read.
    if (this.request.method !== 'HEAD' && Number(this.#headers['content-length']) > this.#maxBytes) this.#tooLarge();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) this.#tooLarge();
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.done) return;
    const [first] = this.#chunks;
    const body = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks, this.#bytes);
    if (this.#coding === undefined || body.length === 0) { this.#finish(body); return; }
    decompress(this.#coding, body, this.#maxBytes).then((plain) => this.#finish(plain), (failure: OutboundFailure) => this.fail(failure));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.done) return;
    this.fail(error instanceof OutboundFailure ? error : asFailure(error, this.#status !== 0));
  }

  /** Ends the exchange, once; the socket of a request that was under way is destroyed. */
  fail(failure: OutboundFailure): void {
    if (this.done) return;
    this.#end();
    this.#controller?.abort(failure);
    this.settle.reject(failure);
  }

  #finish(body: Buffer): void {
    if (this.done) return;
    this.#end();
    this.settle.resolve({ status: this.#status, headers: this.#headers, body });
  }

  #end(): void {
    this.done = true;
    this.#chunks = [];
    clearTimeout(this.#timer);
    clearTimeout(this.#firstByte);
    this.request.signal?.removeEventListener('abort', this.#aborted);
  }

  #tooLarge(): void { this.fail(new OutboundFailure('too-large', `The backend's answer is larger than ${this.#maxBytes} bytes`)); }
  readonly #aborted = (): void => { this.fail(new OutboundFailure('aborted', 'Cancelled')); };
}

function asFailure(error: Error & { code?: string }, answered = true): OutboundFailure {
  const code = error.code ?? '';
  if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return new OutboundFailure('invalid-request', 'The request cannot be sent as HTTP', { cause: error });
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return new OutboundFailure('too-large', "The headers of the backend's answer are too large", { cause: error });
  if (code.startsWith('HPE_')) return new OutboundFailure('unreachable', "The backend's answer is not valid HTTP", { cause: error, answered: true });
  return new OutboundFailure('unreachable', 'The connection to the backend broke', { cause: error, answered });
}
