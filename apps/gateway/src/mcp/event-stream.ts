import type { FastifyReply } from 'fastify';
import { releaseHead } from '../reply-head.js';
import type { McpLimits } from './options.js';

/** Server-sent events on one response, with a bounded queue (HTML Living Standard §9.2). */
export interface EventStream {
  /** Queue one JSON-RPC message. False: the stream is over. */
  send(message: string): boolean;
  /** Queue a last message, if given, and end the response when all is written. */
  end(message?: string): void;
  /** Calls back once, when the response is over for whatever reason. */
  onClose(listener: () => void): void;
}

/**
 * Takes the response over and sends its head. What the client does not read waits here, at most `queueBytes` and `queueEvents`; past that the
 * oldest waiting events are dropped, the client is told so by an `error` event with a `retry:` hint, and the stream ends. A reader that
 * takes nothing for `streamIdleMs` is cut off. `retry:` carries 20 to 40 % of jitter so that clients do not come back all at once.
 */
export function openEventStream(reply: FastifyReply, on: { limits: McpLimits; random: () => number; headers?: Readonly<Record<string, string>>; retryHint?: boolean }): EventStream {
  const { limits } = on;
  releaseHead(reply);
  reply.hijack();
  const raw = reply.raw;
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>), ...on.headers,
    'content-type': 'text/event-stream', 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no',
  });
  const retry = (): string => `retry: ${Math.round(limits.retryMs * (1.2 + 0.2 * on.random()))}\n`;
  const waiting: string[] = [];
  let waitingBytes = 0;
  let stalled = false;
  let ending = false;
  let dropped = 0;
  let quietBeats = 0;

  const flush = (): void => {
    while (!stalled && waiting.length > 0) {
      const event = waiting.shift()!;
      waitingBytes -= event.length;
      stalled = !raw.write(event);
    }
    if (!stalled && waiting.length === 0 && ending && !raw.writableEnded) raw.end();
  };
  const queue = (event: string): void => { waiting.push(event); waitingBytes += event.length; };
  const heartbeat = setInterval(() => {
    if (!stalled) { raw.write(':\n\n'); quietBeats = 0; return; }
    if (++quietBeats * limits.heartbeatMs >= limits.streamIdleMs) raw.destroy();
  }, limits.heartbeatMs);
  heartbeat.unref();
  raw.on('drain', () => { stalled = false; quietBeats = 0; flush(); });
  // A write that crosses the client's leaving is an error on the response; the `close` that follows says all there is to say.
  raw.on('error', () => undefined);
  raw.once('close', () => { clearInterval(heartbeat); ending = true; waiting.length = 0; });
  if (on.retryHint === true) raw.write(`${retry()}\n`);
  else raw.flushHeaders();

  return {
    send(message) {
      if (ending) return false;
      queue(eventOf(message));
      flush();
      if (waiting.length <= limits.queueEvents && waitingBytes <= limits.queueBytes) return true;
      while (waiting.length > limits.queueEvents || waitingBytes > limits.queueBytes) { waitingBytes -= waiting.shift()!.length; dropped++; }
      queue(`event: error\n${retry()}data: ${JSON.stringify({ code: 'STREAM_OVERFLOW', message: `The client read too slowly: ${dropped} events were dropped. Open the stream again and list anew.`, dropped })}\n\n`);
      ending = true;
      return false;
    },
    end(message) {
      if (ending) return;
      if (message !== undefined) queue(eventOf(message));
      ending = true;
      flush();
    },
    onClose(listener) { if (raw.closed) listener(); else raw.once('close', listener); },
  };
}

/** JSON text may hold line breaks between its tokens (a backend's own bytes); each line is its own `data:` field. */
const eventOf = (message: string): string => `event: message\ndata: ${/[\r\n]/.test(message) ? message.split(/\r\n|\r|\n/).join('\ndata: ') : message}\n\n`;
