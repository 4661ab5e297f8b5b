import { OutboundFailure, type OutboundStreams } from '#libs/core/outbound.js';
import { type AppliedCredential, applyCredentials } from '#libs/backends/http/credentials.js';
import type { Channel, ChannelEvents } from '#libs/backends/mcp/channel-upstream.js';
import { serverSentEvents } from '#libs/backends/mcp/lines.js';
import { UpstreamFault } from '#libs/backends/mcp/rpc.js';

export interface SseChannelOptions {
  readonly streams: OutboundStreams;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: readonly AppliedCredential[];
  readonly version: string;
  /** Bytes of one message. */
  readonly maxBytes: number;
}

const CONNECT_MS = 10_000;
const LIFE_MS = 24 * 3_600_000;

/**
 * The transport of 2024-11-05 (HTTP+SSE): a stream that first names where messages are posted, then carries every answer. The address must be of the same origin,
 * as the specification has it: a server cannot send the gateway's credential elsewhere.
 */
export async function openSse({ streams, url, headers: fixed, credentials, version, maxBytes }: SseChannelOptions, events: ChannelEvents): Promise<Channel> {
  const stopping = new AbortController();
  const slow = setTimeout(() => { stopping.abort(); }, CONNECT_MS);
  const headersFor = (target: string, own: readonly (readonly [string, string])[]): { readonly url: string; readonly headers: readonly (readonly [string, string])[] } => {
    const headers = [...own, ['user-agent', `stoa/${version}`] as const, ...Object.entries(fixed)];
    return { url: applyCredentials(target, headers, credentials), headers };
  };
  const stream = await streams.open({ ...headersFor(url, [['accept', 'text/event-stream']]), method: 'GET', timeoutMs: LIFE_MS, maxBytes: Number.MAX_SAFE_INTEGER, signal: stopping.signal }).catch((failure: unknown) => { clearTimeout(slow); throw failure; });
  if (stream.status !== 200 || !(stream.headers['content-type'] ?? '').startsWith('text/event-stream')) {
    clearTimeout(slow);
    stream.close();
    throw new UpstreamFault(`The MCP server answered ${stream.status} and no event stream`, { status: stream.status });
  }
  const endpoint = Promise.withResolvers<string>();
  const over = Promise.withResolvers<undefined>();
  void (async () => {
    let reason: Error = new OutboundFailure('unreachable', 'The MCP server ended its event stream');
    try {
      for await (const { event, data } of serverSentEvents(stream.body, maxBytes)) {
        if (event === 'endpoint') endpoint.resolve(data);
        else if (event === 'message') events.message(data);
      }
    } catch (failure) { reason = failure as Error; }
    endpoint.reject(reason);
    over.resolve(undefined);
    events.closed(reason);
  })();
  try {
    const named = await endpoint.promise;
    const target = URL.canParse(named, url) ? new URL(named, url) : undefined;
    if (target?.origin !== new URL(url).origin) throw new UpstreamFault('The MCP server named an endpoint of another origin');
    return {
      send: (message) => {
        void (async () => {
          try {
            const answer = await streams.open({ ...headersFor(target.href, [['content-type', 'application/json']]), method: 'POST', body: message, timeoutMs: CONNECT_MS, maxBytes });
            answer.close();
            if (answer.status > 299) stopping.abort();
          } catch { stopping.abort(); }
        })();
      },
      close: () => { stopping.abort(); return over.promise; },
    };
  } catch (failure) {
    stopping.abort();
    throw failure;
  } finally { clearTimeout(slow); }
}
