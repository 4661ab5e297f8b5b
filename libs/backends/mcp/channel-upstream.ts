import { OutboundFailure } from '#libs/core/outbound.js';
import { answerFor, type Caller, type Incoming, type JsonObject, LEGACY, MODERN, modernMeta, type Question, readMessage, type Reply, type RpcId, tell, type Upstream, UpstreamFault } from '#libs/backends/mcp/rpc.js';

/** A duplex of JSON-RPC messages: a process, a socket, or the two halves of HTTP+SSE. */
export interface Channel {
  send(message: string): void;
  /** Ends it; settles when nothing of it is left. */
  close(): Promise<void>;
}
export interface ChannelEvents {
  message(text: string): void;
  /** Once, however it ended; `reason` is fit for the caller. */
  closed(reason: Error): void;
}
export type OpenChannel = (events: ChannelEvents) => Promise<Channel>;

export interface ChannelUpstreamOptions {
  readonly open: OpenChannel;
  readonly version: string;
  readonly era?: 'modern' | 'legacy' | undefined;
  /** Milliseconds; in tests. */
  readonly now?: () => number;
}

const HANDSHAKE_MS = 20_000;
/** Servers of the years before that say nothing to a question they do not know; then the older greeting follows. */
const PROBE_MS = 3_000;
const MAX_IN_FLIGHT = 1_000;
const BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;

interface Pending { readonly caller: Caller; readonly resolve: (reply: Omit<Reply, 'era'>) => void; readonly reject: (failure: Error) => void; bytes: number }
interface Line { readonly channel: Channel; readonly era: Reply['era'] }

/**
 * An MCP server on one duplex that many calls share. It opens at the first call and again after it broke, at ever longer intervals while it keeps breaking; calls
 * in between fail at once. What the server tells is told to the call whose progress token it names; what it asks, or logs, to the only call in hand, else to nobody.
 */
export class ChannelUpstream implements Upstream {
  #line: Promise<Line> | undefined;
  #channel: Channel | undefined;
  readonly #pending = new Map<RpcId, Pending>();
  #ids = 0;
  #about: JsonObject | undefined;
  #failures = 0;
  #notBefore = 0;
  #upSince: number | undefined;
  #lastReason = '';
  #closed = false;
  readonly #now: () => number;

  constructor(private readonly options: ChannelUpstreamOptions) { this.#now = options.now ?? (() => performance.now()); }

  async ask(question: Question, caller: Caller): Promise<Reply> {
    if (this.#pending.size >= MAX_IN_FLIGHT) throw new OutboundFailure('unreachable', `The MCP server has ${MAX_IN_FLIGHT} calls in hand already`);
    const { channel, era } = await within(this.#opened(), caller);
    return { ...await this.#request(channel, question, { caller, era }), era };
  }

  about(): JsonObject | undefined { return this.#about; }

  async close(): Promise<void> {
    this.#closed = true;
    const line = this.#line;
    this.#line = undefined;
    this.#failAll(new OutboundFailure('unreachable', 'The connection to the MCP server was closed'));
    await this.#channel?.close();
    await line?.then(({ channel }) => channel.close(), () => undefined);
  }

  #opened(): Promise<Line> {
    if (this.#line) return this.#line;
    if (this.#closed) return Promise.reject(new OutboundFailure('unreachable', 'The connection to the MCP server was closed'));
    const wait = this.#notBefore - this.#now();
    if (wait > 0) return Promise.reject(new OutboundFailure('unreachable', `The MCP server keeps failing (${this.#lastReason}); it is tried again in ${Math.ceil(wait / 1000)} s`));
    const line = this.#connect();
    this.#line = line;
    line.catch((failure: unknown) => { if (this.#line === line) this.#broke(failure instanceof Error ? failure : new Error(String(failure))); });
    return line;
  }

  async #connect(): Promise<Line> {
    let broken: Error | undefined;
    let opened: Channel | undefined;
    const channel = await this.options.open({
      message: (text) => { if (!broken && opened) this.#hear(opened, text); },
      closed: (reason) => { broken = reason; if (this.#channel === opened) this.#broke(reason); },
    });
    opened = channel;
    this.#channel = channel;
    if (this.#closed) { await channel.close(); throw new OutboundFailure('unreachable', 'The connection to the MCP server was closed'); }
    if (broken) throw broken;
    try {
      const era = await this.#greet(channel);
      this.#upSince = this.#now();
      return { channel, era };
    } catch (failure) {
      if (this.#channel === channel) this.#channel = undefined;
      await channel.close();
      throw failure;
    }
  }

  async #greet(channel: Channel): Promise<Reply['era']> {
    const { era, version } = this.options;
    const caller: Caller = { era: 'modern', session: '', capabilities: {}, signal: new AbortController().signal, timeoutMs: HANDSHAKE_MS };
    if (era !== 'legacy') {
      const discovered = await this.#request(channel, { method: 'server/discover', params: {} }, { caller: { ...caller, timeoutMs: PROBE_MS }, era: 'modern' }).catch((failure: unknown) => {
        if (failure instanceof OutboundFailure && failure.kind === 'timeout') return undefined;
        throw failure;
      });
      this.#about = discovered?.result;
      const versions = discovered?.result?.['supportedVersions'];
      if (Array.isArray(versions) && versions.includes(MODERN)) return 'modern';
      if (era === 'modern') throw new UpstreamFault(`The MCP server does not speak ${MODERN}`);
    }
    const params = { protocolVersion: LEGACY[0], capabilities: { sampling: {}, elicitation: {}, roots: {} }, clientInfo: { name: 'stoa', version } };
    const { result, error } = await this.#request(channel, { method: 'initialize', params }, { caller, era: 'legacy' });
    this.#about = result;
    const spoken = result?.['protocolVersion'];
    if (error || typeof spoken !== 'string') throw new UpstreamFault(`The MCP server refused to begin a session: ${error?.message.slice(0, 200) ?? 'no protocolVersion in its answer'}`);
    if (!(LEGACY as readonly string[]).includes(spoken)) throw new UpstreamFault(`The MCP server speaks ${spoken.slice(0, 32)}, which is none of ${MODERN}, ${LEGACY.join(', ')}`);
    channel.send('{"jsonrpc":"2.0","method":"notifications/initialized"}');
    return 'legacy';
  }

  #request(channel: Channel, { method, params }: Question, { caller, era }: { readonly caller: Caller; readonly era: Reply['era'] }): Promise<Omit<Reply, 'era'>> {
    const id = ++this.#ids;
    const meta: JsonObject | undefined = era === 'modern' ? modernMeta(this.options.version, caller, id) : caller.progress ? { progressToken: id } : undefined;
    const message = JSON.stringify({ jsonrpc: '2.0', id, method, params: meta ? { ...params, _meta: meta } : params });
    return new Promise((resolve, reject) => {
      const settle = (): void => { clearTimeout(timer); caller.signal.removeEventListener('abort', aborted); this.#pending.delete(id); };
      const giveUp = (failure: OutboundFailure): void => {
        settle();
        // 2026-07-28 and the revisions before agree on how a duplex takes a request back; the greeting alone cannot be taken back.
        if (method !== 'initialize') channel.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason: failure.kind === 'aborted' ? 'the caller cancelled' : 'the deadline passed' } }));
        reject(failure);
      };
      const aborted = (): void => { giveUp(new OutboundFailure('aborted', 'Cancelled')); };
      const timer = setTimeout(() => { giveUp(new OutboundFailure('timeout', `No complete answer within ${caller.timeoutMs} ms`)); }, caller.timeoutMs);
      this.#pending.set(id, { caller, bytes: 0, resolve: (reply) => { settle(); resolve(reply); }, reject: (failure) => { settle(); reject(failure); } });
      caller.signal.addEventListener('abort', aborted, { once: true });
      if (caller.signal.aborted) { aborted(); return; }
      channel.send(message);
    });
  }

  #hear(channel: Channel, text: string): void {
    if (text.trim() === '') return;
    let message: Incoming;
    // One line that is no message says nothing about the others: many servers print a word on the way up.
    try { message = readMessage(text); } catch (failure) { this.#garbage(channel, failure as UpstreamFault); return; }
    if (message.kind === 'response') {
      const pending = message.id === undefined ? undefined : this.#pending.get(message.id);
      const { result, error } = message;
      pending?.resolve({ ...(result ? { result } : {}), ...(error ? { error } : {}), text: message.text, bytes: pending.bytes + Buffer.byteLength(text) });
    } else if (message.kind === 'notification') {
      const token = message.params['progressToken'];
      const pending = message.method === 'notifications/progress' ? (typeof token === 'number' ? this.#pending.get(token) : undefined) : this.#only();
      if (!pending) return;
      pending.bytes += text.length;
      tell(pending.caller, message.method, message.params);
    } else {
      void (async () => { channel.send(await answerFor(this.#only()?.caller, message)); })();
    }
  }

  #garbageLines = 0;
  /** A few are let pass; who sends nothing else is cut off. */
  #garbage(channel: Channel, failure: UpstreamFault): void {
    if (++this.#garbageLines < 100) return;
    this.#garbageLines = 0;
    void channel.close();
    this.#broke(failure);
  }

  #only(): Pending | undefined {
    const [only] = this.#pending.values();
    return this.#pending.size === 1 ? only : undefined;
  }

  #broke(reason: Error): void {
    this.#line = undefined;
    this.#channel = undefined;
    // Who stayed for a while begins anew; who greets and falls over does not.
    this.#failures = this.#upSince !== undefined && this.#now() - this.#upSince > MAX_BACKOFF_MS ? 1 : this.#failures + 1;
    this.#upSince = undefined;
    this.#lastReason = reason.message.slice(0, 300);
    this.#notBefore = this.#now() + Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** Math.min(this.#failures - 1, 10));
    this.#failAll(reason);
  }

  #failAll(reason: Error): void { for (const pending of this.#pending.values()) pending.reject(reason); }
}

/** The promise, or the caller's own end, whichever comes first. */
function within<T>(promise: Promise<T>, { signal, timeoutMs }: Caller): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (): void => { clearTimeout(timer); signal.removeEventListener('abort', aborted); };
    const aborted = (): void => { settle(); reject(new OutboundFailure('aborted', 'Cancelled')); };
    const timer = setTimeout(() => { settle(); reject(new OutboundFailure('timeout', `The MCP server was not there within ${timeoutMs} ms`)); }, timeoutMs);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    void (async () => {
      try { resolve(await promise); } catch (failure) { reject(failure instanceof Error ? failure : new Error(String(failure))); } finally { settle(); }
    })();
  });
}
