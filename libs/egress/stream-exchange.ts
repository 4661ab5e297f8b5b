import { OutboundFailure, type OutboundRequest, type OutboundStream } from '#libs/core/outbound.js';
import type { Dispatcher } from 'undici';

/** Bytes that may wait for their reader before the sender is held back. */
const HIGH_WATER = 256 * 1024;

export interface StreamLimits {
  readonly maxBytes: number;
  /** See `EgressOptions.firstByteMs`. */
  readonly firstByteMs: number | undefined;
  readonly asFailure: (error: Error) => OutboundFailure;
}
interface Settle { resolve(stream: OutboundStream): void; reject(failure: OutboundFailure): void }

/** One request whose answer is read while it comes. It is the answer's body itself, and ends once: at its end, by a failure, or when its reader leaves. */
export class StreamExchange implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array> {
  done = false;
  #controller: Dispatcher.DispatchController | undefined;
  #failure: OutboundFailure | undefined;
  readonly #queue: Buffer[] = [];
  #queued = 0;
  #bytes = 0;
  #paused = false;
  #wake: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #firstByte: NodeJS.Timeout | undefined;

  constructor(private readonly request: OutboundRequest, private readonly limits: StreamLimits, private readonly settle: Settle) {
    // A timer takes at most 2^31 - 1 milliseconds.
    this.#timer = setTimeout(() => { this.fail(new OutboundFailure('timeout', `No complete answer within ${request.timeoutMs} ms`)); }, Math.min(request.timeoutMs, 2_147_483_647));
    request.signal?.addEventListener('abort', this.#aborted);
    if (request.signal?.aborted) this.#aborted();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.done) { controller.abort(new OutboundFailure('aborted', 'Cancelled')); return; }
    const limit = this.limits.firstByteMs;
    if (limit !== undefined) this.#firstByte = setTimeout(() => { this.fail(new OutboundFailure('timeout', `No answer began within ${limit} ms`)); }, limit);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, given: Record<string, string | string[] | undefined>): void {
    if (status < 200) return;
    clearTimeout(this.#firstByte);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(given)) {
      if (value !== undefined && name !== '__proto__') headers[name] = typeof value === 'string' ? value : name === 'set-cookie' ? value[0] ?? '' : value.join(', ');
    }
    const coding = headers['content-encoding'];
    if (coding !== undefined && coding !== 'identity') { this.fail(new OutboundFailure('bad-encoding', 'The answer is compressed, which was not asked for')); return; }
    this.settle.resolve({ status, headers, body: this, close: () => { void this.return(); } });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.limits.maxBytes) { this.fail(new OutboundFailure('too-large', `The backend's answer is larger than ${this.limits.maxBytes} bytes`)); return; }
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued > HIGH_WATER && !this.#paused) { this.#paused = true; controller.pause(); }
    this.#wake?.();
  }

  onResponseEnd(): void { this.#end(); }
  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error instanceof OutboundFailure ? error : this.limits.asFailure(error));
  }

  [Symbol.asyncIterator](): this { return this; }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      const chunk = this.#queue.shift();
      if (chunk) {
        this.#queued -= chunk.length;
        if (this.#paused && this.#queued < HIGH_WATER / 2) { this.#paused = false; this.#controller?.resume(); }
        return { value: chunk, done: false };
      }
      if (this.done) return { value: undefined, done: true };
      await new Promise<void>((resolve) => { this.#wake = resolve; });
      this.#wake = undefined;
    }
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (!this.done) {
      this.#end();
      this.#controller?.abort(new OutboundFailure('aborted', 'The reader left'));
    }
    this.#queue.length = 0;
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Ends the exchange, once; its socket is destroyed. */
  fail(failure: OutboundFailure): void {
    if (this.done) return;
    this.#failure = failure;
    this.#end();
    this.#controller?.abort(failure);
    // Whoever has the answer already meets the failure in its body; settling twice does nothing.
    this.settle.reject(failure);
  }

  #end(): void {
    this.done = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#firstByte);
    this.request.signal?.removeEventListener('abort', this.#aborted);
    this.#wake?.();
  }

  readonly #aborted = (): void => { this.fail(new OutboundFailure('aborted', 'Cancelled')); };
}
