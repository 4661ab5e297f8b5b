import type { FastifyReply } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route writes the head of its answers in one go (`headOf`), because a call there must be cheap. */
    ownHead?: boolean;
  }
}

/** What every answer of the gateway carries beside its request id. */
const FIXED_HEADERS = [
  'x-content-type-options', 'nosniff',
  'content-security-policy', "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy', 'no-referrer',
  'cache-control', 'no-store',
] as const;

interface WithHead { ownHead?: string[] | undefined }

/** First in every request: the headers that its answer will carry whatever happens. */
export function beginHead(reply: FastifyReply, requestId: string, own: boolean): void {
  const head = ['x-request-id', requestId, ...FIXED_HEADERS];
  if (own) (reply as WithHead).ownHead = head;
  else writeAll(reply, head);
}

/**
 * Adds a header to the answer of this request, from any hook or stage, until the answer is written; for a name that was
 * given before, the later value counts. Never call `reply.raw.setHeader` for that: on the hot route each such call costs
 * more than the stage that makes it.
 */
export function addHeader(reply: FastifyReply, name: string, value: string): void {
  const head = (reply as WithHead).ownHead;
  if (head === undefined) { reply.raw.setHeader(name, value); return; }
  for (let at = 0; at < head.length; at += 2) if (head[at] === name) { head[at + 1] = value; return; }
  head.push(name, value);
}

/** The collected headers as names and values in turn, to be completed and written by the route; undefined where Fastify writes the head. */
export const headOf = (reply: FastifyReply): string[] | undefined => (reply as WithHead).ownHead;

/** Hands the collected headers to Fastify, for an answer of a hot route that is not written in one go: a refusal of a hook, a stream. */
export function releaseHead(reply: FastifyReply): void {
  const head = (reply as WithHead).ownHead;
  if (head === undefined) return;
  (reply as WithHead).ownHead = undefined;
  writeAll(reply, head);
}

function writeAll({ raw }: FastifyReply, head: readonly string[]): void {
  for (let at = 0; at < head.length; at += 2) raw.setHeader(head[at] ?? '', head[at + 1] ?? '');
}
