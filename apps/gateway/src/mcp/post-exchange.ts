import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Exchange } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { QuotaGrant } from '#libs/core/quota.js';
import { writeQuota } from '../limits.js';
import { type RpcId, rpcNotification } from './answer.js';
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
export class PostExchange implements Exchange {
  progress: Exchange['progress'] = undefined;
  log: Exchange['log'] = undefined;
  request: Exchange['request'] = undefined;
  inputResponses: Exchange['inputResponses'] = undefined;
  requestState: string | undefined = undefined;
  clientCapabilities: Readonly<Record<string, unknown>> = {};
  /** Of the request, once it was read. */
  rpcId: RpcId = undefined;
  supportsInputRequired = false;
  readonly #reply: FastifyReply;
  readonly #settings: PostSettings;
  #stream: EventStream | undefined;
  #controller: AbortController | undefined;
  #answered = false;

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
    const raw = this.#reply.raw;
    if (raw.destroyed) controller.abort();
    else raw.once('close', () => { if (!this.#answered || !raw.writableFinished) controller.abort(); });
    return controller.signal;
  }
  cancel(): void { void this.signal; this.#controller?.abort(); }

  limited(standing: QuotaGrant): void { writeQuota(this.#reply.raw, standing); }

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

  /** The one answer. `tail` is appended to `text` as bytes, so that a prepared page is not made into a string. */
  answer(status: number, text: string | Buffer, headers?: Readonly<Record<string, string>>): void {
    if (this.#answered) return;
    this.#answered = true;
    if (this.#stream) { this.#stream.end(String(text)); return; }
    if (this.#reply.raw.destroyed) return;
    if (status === 200 && !this.#settings.accepts.json && this.#settings.accepts.events) {
      openEventStream(this.#reply, { ...this.#settings, ...(headers ? { headers } : {}) }).end(String(text));
      return;
    }
    if (headers) for (const name in headers) this.#reply.header(name, headers[name]);
    this.#reply.code(status).header('content-type', 'application/json').send(text);
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
