import type { ConcurrencyLimiter, RateLimiter, ReadinessCheck } from '#libs/core/ports.js';
import { type ClientIp, clientIp } from './client-ip.js';
import { type ConcurrencyOptions, concurrencyLimiter } from './concurrency.js';
import { type DoorLimits, doorLimits } from './door-limits.js';
import { type LimitSettings, readLimits } from './limits.js';
import { memoryWindows } from './memory-windows.js';
import { rateLimiter, type RateLimiterOptions } from './rate-limiter.js';
import { connectRedis } from './redis-connection.js';
import { sharedWindows } from './shared-windows.js';
import { type StreamLimiter, streamLimiter } from './stream-limiter.js';

/** The slice of a process's configuration. */
export interface RateLimitOptions extends Pick<RateLimiterOptions, 'now'>, Pick<ConcurrencyOptions, 'tenantLimits'> {
  readonly limits: LimitSettings;
  /** Redis or Valkey that several replicas share; undefined: this process is the only one. */
  readonly shared?: {
    /** `redis://` or `rediss://`. */
    readonly url: string;
    /** How many replicas there are, 1 to 10,000: each admits its part while Redis is away. */
    readonly replicas: number;
    readonly keyPrefix?: string;
    readonly commandTimeoutMs?: number;
  };
  /** Told when Redis goes and when it is back. Must not throw. */
  readonly onAway?: (away: boolean) => void;
}

/** Every limit of one process. The same objects stand behind all doors. */
export interface RateLimits {
  readonly limiter: RateLimiter;
  readonly concurrency: ConcurrencyLimiter;
  readonly streams: StreamLimiter;
  readonly door: DoorLimits;
  readonly clientIp: ClientIp;
  /** Always well: without Redis the limits are tighter, and calls go on. Its reason says so. */
  readonly check: ReadinessCheck;
  close(): Promise<void>;
}

/** Throws `LimitsRefused` naming each wrong limit, before anything is opened. */
export function createRateLimits({ limits: settings, shared, onAway, ...options }: RateLimitOptions): RateLimits {
  const limits = readLimits(settings);
  if (shared && !(Number.isInteger(shared.replicas) && shared.replicas >= 1 && shared.replicas <= 10_000)) throw new TypeError(`replicas: ${shared.replicas} is not a whole number from 1 to 10000`);
  let away = false;
  const redis = shared && connectRedis(shared.url, shared.commandTimeoutMs === undefined ? {} : { commandTimeoutMs: shared.commandTimeoutMs });
  // Two stores, so that a flood of addresses cannot push out what principals have used.
  const store = (prefix: string) => (redis && shared ? sharedWindows({
    redis, replicas: shared.replicas, keyPrefix: `${shared.keyPrefix ?? 'stoa'}:${prefix}`,
    onAway: (is) => { if (is !== away) { away = is; onAway?.(is); } },
  }) : memoryWindows());
  return {
    limiter: rateLimiter({ limits, store: store('limit'), ...options }),
    concurrency: concurrencyLimiter({ limits, ...options }),
    streams: streamLimiter({ limits: limits.streams, ...(options.tenantLimits ? { tenantLimits: options.tenantLimits } : {}) }),
    door: doorLimits(limits, store('door')),
    clientIp: clientIp(limits.trustedProxies),
    check: {
      name: 'rate-limits',
      check: async () => (redis && redis.status !== 'ready' ? { ok: true, reason: 'Redis is away: each replica admits its share' } : { ok: true }),
    },
    close: async () => { redis?.disconnect(); },
  };
}
