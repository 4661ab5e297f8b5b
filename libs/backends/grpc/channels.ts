import { hash } from 'node:crypto';
import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js';
import type { OutboundGuard } from '#libs/core/outbound.js';

/** A channel is looked at again after this many milliseconds: its name may lead elsewhere by then. */
const LOOK_AGAIN_MS = 30_000;
const MAX_CHANNELS = 1024;

interface Open { readonly client: Client; readonly addresses: string; lookedAt: number }
export interface ChannelOptions {
  readonly guard: OutboundGuard;
  /** Bytes of one message that comes. */
  readonly maxMessageBytes: number;
  readonly userAgent: string;
  /** PEM of certificate authorities instead of the system's. */
  readonly ca?: string;
}

/** One channel for each server, opened to addresses that the egress policy admitted and to no others. */
export class Channels {
  readonly #open = new Map<string, Open>();
  constructor(private readonly options: ChannelOptions) {}

  /** Rejects with `OutboundFailure`. */
  async to(address: string, tls: boolean, clientCertificate?: string): Promise<Client> {
    const key = `${tls ? 'tls' : 'plain'} ${address}${clientCertificate === undefined ? '' : ` ${hash('sha256', clientCertificate, 'base64')}`}`;
    const known = this.#open.get(key);
    if (known !== undefined && performance.now() - known.lookedAt < LOOK_AGAIN_MS) return known.client;
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replaceAll(/[[\]]/g, '');
    const port = Number(address.slice(colon + 1));
    const admitted = await this.options.guard.admit(host, port, tls);
    const addresses = targetOf(admitted, port);
    if (known?.addresses === addresses) { known.lookedAt = performance.now(); return known.client; }
    // Calls that run on the channel before end on it.
    known?.client.close();
    if (this.#open.size >= MAX_CHANNELS) this.#closeOldest();
    const client = new Client(addresses, this.#credentials(tls, clientCertificate), {
      'grpc.default_authority': address, ...(tls ? { 'grpc.ssl_target_name_override': host } : {}), 'grpc.primary_user_agent': this.options.userAgent,
      'grpc.max_receive_message_length': this.options.maxMessageBytes, 'grpc.keepalive_time_ms': 60_000, 'grpc.keepalive_timeout_ms': 10_000, 'grpc.enable_http_proxy': 0, 'grpc.service_config_disable_resolution': 1,
      'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 2000,
    });
    this.#open.set(key, { client, addresses, lookedAt: performance.now() });
    return client;
  }

  close(): void {
    for (const { client } of this.#open.values()) client.close();
    this.#open.clear();
  }

  /** `clientCertificate`: PEM of a chain and its key. */
  #credentials(tls: boolean, clientCertificate: string | undefined): ChannelCredentials {
    if (!tls) return credentials.createInsecure();
    const own = clientCertificate === undefined ? null : Buffer.from(clientCertificate);
    return credentials.createSsl(this.options.ca === undefined ? null : Buffer.from(this.options.ca), own, own);
  }

  #closeOldest(): void {
    const [oldest] = this.#open;
    if (oldest === undefined) return;
    oldest[1].client.close();
    this.#open.delete(oldest[0]);
  }
}

/** gRPC naming: `ipv4:1.2.3.4:50051,5.6.7.8:50051`. Families do not mix in one target; the first one's is taken. */
function targetOf(addresses: readonly string[], port: number): string {
  const v6 = addresses[0]?.includes(':') === true;
  return `${v6 ? 'ipv6' : 'ipv4'}:${addresses.filter((address) => address.includes(':') === v6).map((address) => (v6 ? `[${address}]:${port}` : `${address}:${port}`)).join(',')}`;
}
