import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AuthenticatedCall, Ending } from '#libs/core/call.js';
import type { Target } from '#libs/core/target.js';
import { validTraceparent } from '#libs/observability/tracing.js';
import { agreement } from '../confirmation.js';
import { writeQuota } from '../limits.js';
import { principalOf } from '../tokens.js';

/** The authenticated call behind a facade request. Its signal aborts when the client leaves before the answer. */
export function restCall(request: FastifyRequest, reply: FastifyReply, asked: { readonly kind: Target['kind']; readonly name: string; readonly arguments: unknown; /** That came back with the call. */ readonly confirmToken?: string | undefined }): AuthenticatedCall {
  const gone = new AbortController();
  reply.raw.once('close', () => { if (!reply.raw.writableFinished) gone.abort(); });
  const { traceparent, tracestate } = request.headers;
  const consumer = request.headers['x-consumer-id'];
  const key = request.headers['idempotency-key'];
  const parent = validTraceparent(traceparent);
  const { confirmToken, ...what } = asked;
  return {
    requestId: request.id, door: 'rest', principal: principalOf(request), ...what,
    exchange: { signal: gone.signal, clientCapabilities: {}, supportsInputRequired: false, limited: (standing) => { writeQuota(reply, standing); }, ...(confirmToken === undefined ? {} : agreement(confirmToken)) },
    traceparent: parent, tracestate: parent !== undefined && typeof tracestate === 'string' ? tracestate.slice(0, 512) : undefined,
    consumer: typeof consumer === 'string' && consumer !== '' ? consumer.slice(0, 128) : 'unknown',
    ...(typeof key === 'string' && key !== '' ? { idempotencyKey: key.slice(0, 256) } : {}),
    startedAt: performance.now(),
  };
}

/** What an answer tells of its call: the id that records, explanations and the backend know it by, and whether it was made before. */
export function tellOfCall(reply: FastifyReply, call: AuthenticatedCall): void {
  const { callId, replayOf } = reached(call);
  if (callId !== undefined) void reply.header('x-stoa-call-id', callId);
  if (replayOf !== undefined) void reply.header('idempotent-replayed', 'true');
}

/** What the stages have added to the call by now: a call is one object, from its door to its ending. */
export const reached = (call: AuthenticatedCall): Ending['reached'] => call;
