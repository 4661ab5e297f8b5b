import { Redis } from 'ioredis';
import { Unavailable } from '#libs/core/errors.js';
import type { TenantKey } from '#libs/core/tenant.js';
import type { Marks } from './marks.js';

/** Milliseconds: between two looks at what was revoked, after which a look that did not succeed makes this replica refuse, and of a command. 1,500 + 250 < 2,000. */
const POLL_MS = 400;
const STALE_MS = 1_500;
const COMMAND_MS = 250;

export interface RedisMarksOptions {
  /** `redis://` or `rediss://`. */
  readonly url: string;
  /** Before every key. */
  readonly keyPrefix?: string;
  /** Told when Redis stops or begins answering. */
  readonly onAway?: (away: boolean) => void;
}

const answered = async <T>(ask: Promise<T>): Promise<T> => {
  try { return await ask; } catch (cause) { throw new Unavailable('redis', { cause }); }
};

/**
 * For several replicas. A one-time token is spent by one command (`SET NX PXAT`), so that one asker alone is the first. What is revoked is read back
 * by every replica each 0.4 s; one that could not read it for 1.5 s proves no capability token until it can. Redis 6.2 or later; Valkey.
 */
export function redisMarks({ url, keyPrefix = 'stoa', onAway }: RedisMarksOptions): Marks {
  const redis = new Redis(url, {
    enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_MS, connectTimeout: 2_000, retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
  // Without a listener ioredis writes to the console.
  redis.on('error', () => undefined);
  const all = `${keyPrefix}:capability:revoked`;
  const spentKey = (token: TenantKey): string => `${keyPrefix}:capability:spent:${token}`;
  let revoked: ReadonlySet<string> = new Set();
  let freshAt = -Infinity;
  let away: boolean | undefined;

  const look = async (): Promise<void> => {
    const began = performance.now();
    try {
      revoked = new Set(await redis.zrange(all, `(${Date.now()}`, '+inf', 'BYSCORE'));
      freshAt = began;
      if (away !== false) onAway?.(away = false);
    } catch { if (away !== true) onAway?.(away = true); }
  };
  redis.on('ready', () => { void look(); });
  const timer = setInterval(() => { void look(); }, POLL_MS);
  timer.unref();

  return {
    replay: {
      spend: async (token, until) => (await answered(redis.set(spentKey(token), '1', 'PXAT', until, 'NX'))) === 'OK',
      isSpent: async (token) => (await answered(redis.exists(spentKey(token)))) === 1,
    },
    revocations: {
      async revoke(token, until) {
        await answered(redis.zremrangebyscore(all, '-inf', Date.now()));
        await answered(redis.zadd(all, until, token));
        await look();
      },
      isRevoked(tokens) {
        if (performance.now() - freshAt > STALE_MS) throw new Unavailable('redis');
        return tokens.some((token) => revoked.has(token));
      },
    },
    close() { clearInterval(timer); redis.disconnect(); },
  };
}
