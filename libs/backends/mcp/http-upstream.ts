import { OutboundFailure, type OutboundStream, type OutboundStreams } from '#libs/core/outbound.js';
import { type AppliedCredential, applyCredentials, certificateOf } from '#libs/backends/http/credentials.js';
import { serverSentEvents } from '#libs/backends/mcp/lines.js';
import { answerFor, type Caller, isObject, type JsonObject, LEGACY, MODERN, modernMeta, type Question, readMessage, type Reply, tell, type Upstream, UpstreamFault } from '#libs/backends/mcp/rpc.js';

export interface HttpUpstreamOptions {
  readonly streams: OutboundStreams;
  readonly url: string;
  /** Of the definition; no secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: readonly AppliedCredential[];
  /** Of this gateway, as the server is told. */
  readonly version: string;
  /** Undefined: what the server serves, the caller's era first. */
  readonly era?: 'modern' | 'legacy' | undefined;
  /** Bytes of one answer. */
  readonly maxBytes: number;
}

/** Sessions kept with one server; the one that was idle longest gives way. */
const MAX_SESSIONS = 256;
const HANDSHAKE_MS = 10_000;
/** MCP 2026-07-28, `UnsupportedProtocolVersionError`. */
const UNSUPPORTED_VERSION = -32022;
interface Session { readonly id: string | undefined; readonly version: string; usedAt: number }

/**
 * An MCP server over Streamable HTTP, of 2026-07-28 (no sessions: every request stands alone) and of the revisions before (a session for each caller and what it
 * can be asked for). Each call has its own exchange, so what the server tells or asks belongs to that call beyond doubt.
 */
export class HttpUpstream implements Upstream {
  #modern: boolean | undefined;
  /** It refused to begin a session. */
  #sessionless = false;
  #probing: Promise<boolean> | undefined;
  readonly #sessions = new Map<string, Promise<Session>>();
  #ids = 0;
  #about: JsonObject | undefined;

  constructor(private readonly options: HttpUpstreamOptions) {}

  async ask(question: Question, caller: Caller): Promise<Reply> {
    const { era } = this.options;
    if (era === 'modern' || (era === undefined && await this.#speaksModern(caller))) {
      // Where the server has both, an older caller is served as it is used to; what only a session can do stays possible.
      if (era === undefined && caller.era === 'legacy' && !this.#sessionless) {
        const session = await this.#session(caller).catch((failure: unknown) => { if (failure instanceof UpstreamFault) return undefined; throw failure; });
        if (session) return this.#legacy(question, caller);
        this.#sessionless = true;
      }
      return this.#modernCall(question, caller);
    }
    return this.#legacy(question, caller);
  }

  about(): JsonObject | undefined { return this.#about; }

  async close(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.allSettled(sessions.map(async (opening) => { await this.#end(await opening); }));
  }

  async #speaksModern(caller: Caller): Promise<boolean> {
    if (this.#modern !== undefined) return this.#modern;
    this.#probing ??= this.#probe(caller).then((served) => (this.#modern = served)).finally(() => { this.#probing = undefined; });
    return this.#probing;
  }

  /** `server/discover` is what every server of 2026-07-28 has, and none before. */
  async #probe(caller: Caller): Promise<boolean> {
    try {
      const { result, error } = await this.#modernCall({ method: 'server/discover', params: {} }, handshake(caller));
      // A refusal that names the revision as supported is of one request, not of the revision.
      if (error?.code === UNSUPPORTED_VERSION) return isObject(error.data) && Array.isArray(error.data['supported']) && error.data['supported'].includes(MODERN);
      this.#about ??= result;
      return Array.isArray(result?.['supportedVersions']) && result['supportedVersions'].includes(MODERN);
    } catch (failure) {
      if (failure instanceof UpstreamFault && failure.status !== 401 && failure.status !== 403 && (failure.status ?? 400) < 500) return false;
      throw failure;
    }
  }

  #modernCall({ method, params, name, mirrored = [] }: Question, caller: Caller): Promise<Reply> {
    const id = ++this.#ids;
    const headers: (readonly [string, string])[] = [['mcp-protocol-version', MODERN], ['mcp-method', method]];
    if (name !== undefined) headers.push(['mcp-name', mirror(name)]);
    for (const [header, value] of mirrored) headers.push([header, mirror(value)]);
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: modernMeta(this.options.version, caller, id) } });
    return this.#exchange({ id, headers, body, era: 'modern' }, caller);
  }

  async #legacy(question: Question, caller: Caller): Promise<Reply> {
    const session = await this.#session(caller);
    try {
      return await this.#inSession(question, caller, session);
    } catch (failure) {
      // 404 is how a server says that it forgot the session; nothing was done then.
      if (!(failure instanceof UpstreamFault) || failure.status !== 404 || session.id === undefined) throw failure;
      this.#sessions.delete(sessionKey(caller));
      return this.#inSession(question, caller, await this.#session(caller));
    }
  }

  async #inSession({ method, params }: Question, caller: Caller, session: Session): Promise<Reply> {
    session.usedAt = performance.now();
    const id = ++this.#ids;
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: caller.progress ? { ...params, _meta: { progressToken: id } } : params });
    try {
      return await this.#exchange({ id, headers: sessionHeaders(session), body, era: 'legacy' }, caller, session);
    } catch (failure) {
      if (failure instanceof OutboundFailure && (failure.kind === 'aborted' || failure.kind === 'timeout')) {
        void this.#send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason: failure.kind === 'aborted' ? 'the caller cancelled' : 'the deadline passed' } }), session);
      }
      throw failure;
    }
  }

  #session(caller: Caller): Promise<Session> {
    const key = sessionKey(caller);
    let opening = this.#sessions.get(key);
    if (!opening) {
      opening = this.#initialize(caller);
      this.#sessions.set(key, opening);
      opening.catch(() => { if (this.#sessions.get(key) === opening) this.#sessions.delete(key); });
      if (this.#sessions.size > MAX_SESSIONS) void this.#evict();
    } else {
      // The map's order is the order of use.
      this.#sessions.delete(key);
      this.#sessions.set(key, opening);
    }
    return opening;
  }

  async #evict(): Promise<void> {
    const [oldest] = this.#sessions;
    if (!oldest) return;
    this.#sessions.delete(oldest[0]);
    try { await this.#end(await oldest[1]); } catch { /* it never opened */ }
  }

  async #initialize(given: Caller): Promise<Session> {
    const caller = handshake(given);
    const id = ++this.#ids;
    const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'initialize', params: { protocolVersion: LEGACY[0], capabilities: given.capabilities, clientInfo: { name: 'stoa', version: this.options.version } } });
    let sessionId: string | undefined;
    const { result, error } = await this.#exchange({ id, headers: [], body, era: 'legacy', head: ({ headers }) => { sessionId = headers['mcp-session-id']; } }, caller);
    this.#about = result ?? this.#about;
    const version = result?.['protocolVersion'];
    if (error || typeof version !== 'string') throw new UpstreamFault(`The MCP server refused to begin a session: ${error?.message.slice(0, 200) ?? 'no protocolVersion in its answer'}`);
    if (!(LEGACY as readonly string[]).includes(version)) throw new UpstreamFault(`The MCP server speaks ${version.slice(0, 32)}, which is none of ${MODERN}, ${LEGACY.join(', ')}`);
    if (sessionId !== undefined && !/^[\x21-\x7e]{1,1024}$/.test(sessionId)) throw new UpstreamFault('The MCP server gave a session id that is not visible ASCII');
    const session: Session = { id: sessionId, version, usedAt: performance.now() };
    await this.#send('{"jsonrpc":"2.0","method":"notifications/initialized"}', session);
    if (given.log && isLogging(result)) await this.#exchange({ id: ++this.#ids, headers: sessionHeaders(session), body: JSON.stringify({ jsonrpc: '2.0', id: this.#ids, method: 'logging/setLevel', params: { level: 'debug' } }), era: 'legacy' }, caller).catch(() => undefined);
    return session;
  }

  /** A notification, or an answer of ours: nothing comes back. Never rejects. */
  async #send(body: string, session: Session): Promise<void> {
    try {
      const stream = await this.#open(sessionHeaders(session), { body, timeoutMs: HANDSHAKE_MS });
      stream.close();
    } catch { /* the call that it belongs to tells */ }
  }

  async #end(session: Session): Promise<void> {
    if (session.id === undefined) return;
    try { (await this.#open(sessionHeaders(session), { timeoutMs: 2_000 })).close(); } catch { /* it ends by itself */ }
  }

  /** A POST; without a body a DELETE. */
  #open(own: readonly (readonly [string, string])[], { body, timeoutMs, signal }: { readonly body?: string; readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<OutboundStream> {
    const { url, headers: fixed, credentials, version, maxBytes, streams } = this.options;
    const headers: (readonly [string, string])[] = [...(body === undefined ? [] : [['content-type', 'application/json'] as const]), ['accept', 'application/json, text/event-stream'], ['user-agent', `stoa/${version}`], ...Object.entries(fixed), ...own];
    const target = applyCredentials(url, headers, credentials);
    const clientCertificate = certificateOf(credentials);
    return streams.open({ url: target, method: body === undefined ? 'DELETE' : 'POST', headers, ...(body === undefined ? {} : { body }), timeoutMs, maxBytes, ...(signal ? { signal } : {}), ...(clientCertificate === undefined ? {} : { clientCertificate }) });
  }

  async #exchange({ id, headers, body, era, head }: { readonly id: number; readonly headers: readonly (readonly [string, string])[]; readonly body: string; readonly era: Reply['era']; readonly head?: (stream: OutboundStream) => void }, caller: Caller, session?: Session): Promise<Reply> {
    const stream = await this.#open([...headers, ...caller.correlation ?? []], { body, timeoutMs: caller.timeoutMs, signal: caller.signal });
    head?.(stream);
    const { status } = stream;
    const type = stream.headers['content-type'] ?? '';
    if (status === 200 && type.startsWith('text/event-stream')) return this.#fromEvents(id, stream, caller, { era, session });
    const text = await collect(stream);
    const refused = (): UpstreamFault => new UpstreamFault(status === 401 || status === 403
      ? `The MCP server answered ${status}: it does not take the credential that this API has for it`
      : `The MCP server answered ${status}${text === '' ? '' : ` with ${JSON.stringify(text.slice(0, 200))}`}`, { status });
    if (status < 200 || status > 299) {
      // 2026-07-28 says what is wrong in JSON-RPC, whatever the status.
      if (!type.startsWith('application/json') || status === 401 || status === 403 || status >= 500 || (era === 'legacy' && status === 404)) throw refused();
      let message: ReturnType<typeof readMessage>;
      try { message = readMessage(text); } catch { throw refused(); }
      if (message.kind !== 'response' || message.error === undefined) throw refused();
      return { error: message.error, text, bytes: Buffer.byteLength(text), era };
    }
    const message = readMessage(text);
    if (message.kind !== 'response' || message.id !== id) throw new UpstreamFault('The MCP server answered a question that was not asked');
    return replyOf(message, Buffer.byteLength(text), era);
  }

  async #fromEvents(id: number, stream: OutboundStream, caller: Caller, { era, session }: { readonly era: Reply['era']; readonly session: Session | undefined }): Promise<Reply> {
    let bytes = 0;
    for await (const { data } of serverSentEvents(stream.body, this.options.maxBytes)) {
      bytes += data.length;
      // Servers that can be polled send an empty event first (2025-11-25, priming).
      if (data === '') continue;
      const message = readMessage(data);
      if (message.kind === 'response') {
        if (message.id !== id) throw new UpstreamFault('The MCP server answered a question that was not asked');
        return replyOf(message, bytes, era);
      }
      if (message.kind === 'notification') tell(caller, message.method, message.params);
      else if (session) void answerFor(caller, message).then((answer) => this.#send(answer, session));
      else throw new UpstreamFault(`The MCP server sent the request ${message.method.slice(0, 64)}, which ${MODERN} has no place for`);
    }
    throw new OutboundFailure('unreachable', 'The MCP server ended its answer before the result');
  }
}

const replyOf = ({ result, error, text }: Extract<ReturnType<typeof readMessage>, { kind: 'response' }>, bytes: number, era: Reply['era']): Reply => ({ ...(result ? { result } : {}), ...(error ? { error } : {}), text, bytes, era });

async function collect({ body }: OutboundStream): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** What opens the way is nobody's call: it is not told of and cannot be cancelled by one of those that wait for it. */
const handshake = ({ era, session, timeoutMs }: Caller): Caller => ({ era, session, capabilities: {}, signal: new AbortController().signal, timeoutMs: Math.min(timeoutMs, HANDSHAKE_MS) });
const sessionKey = ({ session, capabilities, log }: Caller): string => JSON.stringify([session, capabilities, log !== undefined]);
const sessionHeaders = ({ id, version }: Session): readonly (readonly [string, string])[] => [...(id === undefined ? [] : [['mcp-session-id', id] as const]), ...(version === '2024-11-05' || version === '2025-03-26' ? [] : [['mcp-protocol-version', version] as const])];
const isLogging = (result: JsonObject | undefined): boolean => typeof result?.['capabilities'] === 'object' && result['capabilities'] !== null && 'logging' in result['capabilities'];
/** A header's value as MCP 2026-07-28 mirrors it: what is not plain visible ASCII is base64 in a mark. */
const mirror = (value: string): string => (/^(?!=\?base64\?)[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) ? value : `=?base64?${Buffer.from(value).toString('base64')}?=`);
