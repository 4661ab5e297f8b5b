import { Redis } from 'ioredis';
import { Unavailable } from '#libs/core/errors.js';
import type { TenantKey } from '#libs/core/tenant.js';
import type { Held, KeptAnswers } from './kept-answers.js';

/** Of a command, in milliseconds. */
const COMMAND_MS = 500;

export interface RedisAnswersOptions {
  /** `redis://` or `rediss://`. */
  readonly url: string;
  /** Before every key. */
  readonly keyPrefix?: string;
}

// A value is a line with who holds the key, empty where nobody does any more, and JSON: scripts need not read that.
const stored = (owner: string, held: Held): string => `${owner}\n${JSON.stringify(held)}`;
const heldOf = (value: string): Held => JSON.parse(value.slice(value.indexOf('\n') + 1)) as Held;

const TAKE = `local v = redis.call('GET', KEYS[1]) if v then return v end redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return false`;
/** Gives a key back only to whom it belongs: compare and delete, in one step. */
const FREE = `local v = redis.call('GET', KEYS[1]) if v and string.sub(v, 1, #ARGV[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

const answered = async <T>(ask: Promise<T>): Promise<T> => {
  try { return await ask; } catch (cause) { throw new Unavailable('redis', { cause }); }
};

/** For several replicas: one script takes a key, so that one replica alone does. Redis 6.2 or later; Valkey. */
export function redisAnswers({ url, keyPrefix = 'stoa' }: RedisAnswersOptions): KeptAnswers {
  const redis = new Redis(url, {
    enableOfflineQueue: false, autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_MS, connectTimeout: 2_000, retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
  });
  // Without a listener ioredis writes to the console.
  redis.on('error', () => undefined);
  const place = (key: TenantKey): string => `${keyPrefix}:idempotency:${key}`;
  return {
    async take(key, owner, digest, holdMs) {
      const before = await answered(redis.eval(TAKE, 1, place(key), stored(owner, { digest }), String(Math.ceil(holdMs))) as Promise<string | null>);
      return before === null ? undefined : heldOf(before);
    },
    keep: async (key, held, keepMs) => { await answered(redis.set(place(key), stored('', held), 'PX', Math.ceil(keepMs))); },
    free: async (key, owner) => { await answered(redis.eval(FREE, 1, place(key), `${owner}\n`)); },
    close: () => { redis.disconnect(); },
  };
}
