import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Ending, Exchange } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { Cancellation } from '#libs/core/outbound.js';
import type { QuotaGrant } from '#libs/core/quota.js';
import { writeQuota } from '../limits.js';
import { type RpcId, rpcNotification } from './answer.js';
import { addHeader, headOf } from '../reply-head.js';
import { type EventStream, openEventStream } from './event-stream.js';
import type { McpLimits } from './options.js';

/** Syslog severities, lowest first (MCP `LoggingLevel`). */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

export interface PostSettings {
  readonly limits: McpLimits;
  readonly random: () => number;
  /** What the client takes: JSON, an event stream, or both. */
  readonly accepts: Accepts;
}
export interface Accepts { readonly json: boolean; readonly events: boolean }

/**
 * One POST and its answer: JSON, unless something has to be told before the result, or the client takes events only; then an
 * event stream that ends with the result. It is the call's `Exchange` itself.
 */
export class PostExchange implements Exchange, Cancellation {
  progress: Exchange['progress'] = undefined;
  log: Exchange['log'] = undefined;
  request: Exchange['request'] = undefined;
  inputResponses: Exchange['inputResponses'] = undefined;
  requestState: string | undefined = undefined;
  clientCapabilities: Readonly<Record<string, unknown>> = {};
  /** Of the request, once it was read. */
  rpcId: RpcId = undefined;
  supportsInputRequired = false;
  /** As it ended; the answer's head names it. */
  call: Ending['reached'] | undefined = undefined;
  readonly #reply: FastifyReply;
  readonly #settings: PostSettings;
  #stream: EventStream | undefined;
  #controller: AbortController | undefined;
  #answered = false;
  #aborted = false;
  #listeners: (() => void)[] | undefined;

  /** Monotonic milliseconds. */
  readonly startedAt = performance.now();

  constructor(readonly http: FastifyRequest, reply: FastifyReply, settings: PostSettings) {
    this.#reply = reply;
    this.#settings = settings;
  }

  get accepts(): Accepts { return this.#settings.accepts; }

  /** Made on first use: a call that never looks at it pays nothing. */
  get signal(): AbortSignal {
    if (this.#controller) return this.#controller.signal;
    const controller = (this.#controller = new AbortController());
    if (this.aborted) controller.abort();
    else this.addEventListener('abort', () => { controller.abort(); });
    return controller.signal;
  }
  /** The exchange is its own cancellation: it ends when the client goes, or takes its request back, before the answer is out. */
  get cancellation(): Cancellation { return this; }
  get aborted(): boolean {
    if (!this.#aborted && this.#reply.raw.destroyed && !this.#answered) this.#aborted = true;
    return this.#aborted;
  }
  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#listeners === undefined) {
      this.#listeners = [];
      const { raw } = this.#reply;
      raw.on('close', () => { if (!this.#answered || !raw.writableFinished) this.cancel(); });
    }
    this.#listeners.push(listener);
  }
  removeEventListener(_type: 'abort', listener: () => void): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners?.splice(at, 1);
  }
  cancel(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    for (const listener of this.#listeners?.slice() ?? []) listener();
  }

  limited(standing: QuotaGrant): void { writeQuota(this.#reply, standing); }

  /** Tell the client something while the call runs; opens the event stream. Dropped once the result is out. */
  tell(message: string): void {
    if (this.#answered || !this.#settings.accepts.events) return;
    (this.#stream ??= openEventStream(this.#reply, this.#settings)).send(message);
  }

  allowProgress(token: string | number): void {
    if (!this.#settings.accepts.events) return;
    let last = -Infinity;
    this.progress = (progress, total, message) => {
      // Values must rise (MCP progress); one that does not is not worth a broken client.
      if (!(progress > last)) return;
      last = progress;
      this.tell(rpcNotification('notifications/progress', { progressToken: token, progress, total, message }));
    };
  }
  allowLog(level: string): void {
    const least = LOG_LEVELS.indexOf(level);
    if (least < 0 || !this.#settings.accepts.events) return;
    this.log = (severity, data, logger) => {
      if (LOG_LEVELS.indexOf(severity) >= least) this.tell(rpcNotification('notifications/message', { level: severity, logger, data }));
    };
  }

  /** The one answer; `after` follows `text` as it is, so that a prepared page is neither copied nor made into a string. */
  answer(status: number, text: string, headers?: Readonly<Record<string, string>>, after?: { readonly page: Buffer; readonly end: string }): void {
    if (this.#answered) return;
    this.#answered = true;
    const whole = (): string => (after ? text + after.page.toString() + after.end : text);
    if (this.#stream) { this.#stream.end(whole()); return; }
    const { raw } = this.#reply;
    if (raw.destroyed) return;
    if (status === 200 && !this.#settings.accepts.json && this.#settings.accepts.events) {
      openEventStream(this.#reply, { ...this.#settings, ...(headers ? { headers } : {}) }).end(whole());
      return;
    }
    if (headers) for (const name in headers) addHeader(this.#reply, name, headers[name]!);
    const length = Buffer.byteLength(text);
    const head = headOf(this.#reply) ?? [];
    if (this.call?.callId !== undefined) head.push('x-stoa-call-id', this.call.callId);
    if (this.call?.replayOf !== undefined) head.push('idempotent-replayed', 'true');
    head.push('content-type', 'application/json', 'content-length', String(after ? length + after.page.length + after.end.length : length));
    this.#reply.hijack();
    raw.writeHead(status, head);
    // Head and body leave in one write; what is ASCII needs no encoding.
    if (!after) { raw.end(text, length === text.length ? 'latin1' : 'utf8'); return; }
    raw.cork();
    raw.write(text);
    raw.write(after.page);
    raw.end(after.end);
    raw.uncork();
  }
  /** 202 with no body: a notification, or an answer to a request of ours, was taken. */
  accepted(): void { this.empty(202); }
  empty(status: number): void {
    this.#answered = true;
    this.#reply.code(status).send();
  }
  /** Hands the response to a stream that lives on without this exchange, if `open` gives one. */
  openStream(open: (reply: FastifyReply) => EventStream | Denial): EventStream | Denial {
    const stream = open(this.#reply);
    if (!(stream instanceof Denial)) this.#answered = true;
    return stream;
  }
}

/**
 * What the client takes (RFC 9110 §12.5.1, without weights). A request that names nothing takes everything. Undefined: neither of the
 * two forms that we have.
 */
export function acceptsOf(accept: string | undefined): Accepts | undefined {
  if (accept === undefined || accept === BOTH) return EITHER;
  const wild = accept.includes('*/*');
  const json = wild || accept.includes('application/json') || accept.includes('application/*');
  const events = accept.includes('text/event-stream') || accept.includes('text/*');
  if (json) return events ? EITHER : JSON_ONLY;
  return events ? EVENTS_ONLY : undefined;
}
const BOTH = 'application/json, text/event-stream';
const EITHER: Accepts = { json: true, events: true };
const JSON_ONLY: Accepts = { json: true, events: false };
const EVENTS_ONLY: Accepts = { json: false, events: true };

/** The parts of a request that every method gets. */
export interface Rpc { readonly id: RpcId; readonly method: string; readonly params: Readonly<Record<string, unknown>> }
