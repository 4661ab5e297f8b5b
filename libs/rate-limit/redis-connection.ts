import { Redis } from 'ioredis';

export type { Redis };

/** Times in milliseconds. A command that Redis does not answer in time counts as Redis being away. */
export interface RedisConnectionOptions { readonly commandTimeoutMs?: number; readonly connectTimeoutMs?: number; readonly failed?: (error: Error) => void }

/**
 * A connection that never makes a call wait for Redis' return: nothing is queued while it is away, nothing is sent
 * twice, and it is sought again at most once a second. Commands of one turn of the event loop leave together.
 * `url`: `redis://` or `rediss://`, with user and password where Redis asks for them.
 */
export function connectRedis(url: string, { commandTimeoutMs = 250, connectTimeoutMs = 2_000, failed }: RedisConnectionOptions = {}): Redis {
  const redis = new Redis(url, {
    enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, enableAutoPipelining: true,
    commandTimeout: commandTimeoutMs, connectTimeout: connectTimeoutMs, retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
  // Without a listener ioredis writes to the console.
  redis.on('error', (error: Error) => failed?.(error));
  return redis;
}
