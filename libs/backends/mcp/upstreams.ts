import { createHash } from 'node:crypto';
import type { McpEndpoint } from '#libs/core/mcp-binding.js';
import type { OutboundStreams } from '#libs/core/outbound.js';
import { tenantKey, type TenantKey, type TenantSlug } from '#libs/core/tenant.js';
import type { AppliedCredential } from '#libs/backends/http/credentials.js';
import { ChannelUpstream, type OpenChannel } from '#libs/backends/mcp/channel-upstream.js';
import { HttpUpstream } from '#libs/backends/mcp/http-upstream.js';
import { allowedServer, allowedSocket, type OperatorList } from '#libs/backends/mcp/operator-list.js';
import type { Upstream } from '#libs/backends/mcp/rpc.js';
import { openSocket } from '#libs/backends/mcp/socket-channel.js';
import { openSse } from '#libs/backends/mcp/sse-channel.js';
import { openProcess } from '#libs/backends/mcp/stdio-channel.js';

export interface UpstreamsOptions {
  readonly streams: OutboundStreams;
  readonly list: OperatorList;
  readonly version: string;
  /** Bytes of one message of a server. Default 8 MiB. */
  readonly maxBytes?: number;
  /** Idle milliseconds after which a server is let go. Default 10 minutes. */
  readonly idleMs?: number;
}
/** Which server, and as whom. */
export interface UpstreamAddress {
  readonly tenant: TenantSlug;
  /** Servers of two APIs are never one, though they have one address. */
  readonly api: string;
  readonly endpoint: McpEndpoint;
  readonly era?: 'modern' | 'legacy' | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly credentials: readonly AppliedCredential[];
}

const MAX_BYTES = 8 * 1024 * 1024;
const IDLE_MS = 600_000;
const MAX_UPSTREAMS = 1_000;

interface Held { readonly upstream: Upstream; usedAt: number; running: number }

/** Every MCP server that this process speaks with: one for each API and credential, opened when it is asked, let go when nobody asks. */
export class Upstreams {
  readonly #held = new Map<TenantKey, Held>();
  #sweeper: NodeJS.Timeout | undefined;
  #closed = false;
  constructor(private readonly options: UpstreamsOptions) {}

  get size(): number { return this.#held.size; }

  /** Rejects as `work` does. */
  async use<T>(address: UpstreamAddress, work: (upstream: Upstream) => Promise<T>): Promise<T> {
    const { tenant, api, endpoint, era, headers, credentials } = address;
    const key = tenantKey(tenant, 'mcp', api, createHash('sha256').update(JSON.stringify([endpoint, era, headers, credentials])).digest('base64url'));
    let held = this.#held.get(key);
    if (!held) {
      if (this.#closed) throw new Error('the connections to MCP servers are closed');
      if (this.#held.size >= MAX_UPSTREAMS) this.#sweep(0);
      this.#held.set(key, held = { upstream: this.open(address), usedAt: 0, running: 0 });
      this.#sweeper ??= setInterval(() => { this.#sweep(this.options.idleMs ?? IDLE_MS); }, 30_000).unref();
    }
    held.running += 1;
    held.usedAt = performance.now();
    try { return await work(held.upstream); } finally { held.running -= 1; held.usedAt = performance.now(); }
  }

  /** One of its own, for whoever closes it. */
  open({ tenant, endpoint, era, headers, credentials }: UpstreamAddress): Upstream {
    const { streams, version, list, maxBytes = MAX_BYTES } = this.options;
    if ('url' in endpoint && endpoint.transport !== 'sse') return new HttpUpstream({ streams, url: endpoint.url, headers, credentials, version, era, maxBytes });
    const open: OpenChannel = 'url' in endpoint
      ? (events) => openSse({ streams, url: endpoint.url, headers, credentials, version, maxBytes }, events)
      : 'stdio' in endpoint
        ? async (events) => openProcess(allowedServer(list, endpoint.stdio, tenant), maxBytes, events)
        : async (events) => openSocket(await allowedSocket(list, endpoint.unix), maxBytes, events);
    return new ChannelUpstream({ open, version, era: 'url' in endpoint ? 'legacy' : era });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    const all = [...this.#held.values()];
    this.#held.clear();
    await Promise.allSettled(all.map(({ upstream }) => upstream.close()));
  }

  #sweep(idleMs: number): void {
    const before = performance.now() - idleMs;
    for (const [key, held] of this.#held) {
      if (held.running > 0 || held.usedAt > before) continue;
      this.#held.delete(key);
      void held.upstream.close();
    }
  }
}
