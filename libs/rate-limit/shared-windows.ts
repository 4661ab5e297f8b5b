import { randomUUID } from 'node:crypto';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { LimitKey } from './keys.js';
import { type Count, heldCounts, monotonic } from './memory-windows.js';
import type { Redis } from './redis-connection.js';
import type { Standing, Taken, Window, WindowStore } from './windows.js';

export interface SharedWindowsOptions {
  readonly redis: Redis;
  /** How many replicas share the limits; while Redis is away, each admits its part of what was left. ≥ 1. */
  readonly replicas: number;
  readonly keyPrefix?: string;
  /** Told when Redis goes and when it is back. Must not throw. */
  readonly onAway?: (away: boolean) => void;
  readonly now?: () => number;
}

/** What this replica knows of a window that it shares; `used` is the common count when it was last seen. */
interface Shadow extends Count {
  /** Admitted here and counted by Redis. */
  own: number;
  /** Admitted here since, unknown to Redis. */
  owed: number;
}
interface Added extends Standing { readonly passes: boolean; /** Redis knows. */ readonly shared: boolean }

/**
 * The library's script with milliseconds for seconds, and one more care: giving back what has ended by now must not
 * begin a window below zero. Answers the count and the milliseconds that are left.
 */
const SCRIPT = `
if tonumber(ARGV[1]) < 0 and redis.call('exists', KEYS[1]) == 0 then return {0, 0} end
redis.call('set', KEYS[1], 0, 'PX', ARGV[2], 'NX')
return {redis.call('incrby', KEYS[1], ARGV[1]), redis.call('pttl', KEYS[1])}`;
/** After an error, how long Redis is left alone, in milliseconds: a hung one would cost each call its timeout. */
const REST_MS = 1000;
/** Windows told at once after a return. */
const BATCH = 500;

/**
 * Windows that replicas share through Redis or Valkey, in one round trip each. While it cannot be reached, each replica
 * admits its part (`1/replicas`, at least one) of what was left when it last saw the count. Before it uses Redis again it
 * tells what it admitted meanwhile and, where Redis lost its memory, all that it had told before, so that neither the
 * return nor the loss opens a window anew. What one window admits and another refuses is given back.
 */
export function sharedWindows(options: SharedWindowsOptions): WindowStore {
  const { redis, replicas, now = monotonic } = options;
  // The library counts; which count is too much is decided here, since one key's limit follows its caller's role.
  const keyPrefix = options.keyPrefix ?? 'stoa:limit';
  const counter = new RateLimiterRedis({ storeClient: redis, points: 1, duration: 60, keyPrefix, rejectIfRedisNotReady: true, customIncrTtlLuaScript: SCRIPT });
  const shadows = heldCounts<Shadow>(200_000);
  /** A random word that Redis keeps as long as its memory; undefined before the first connection. */
  let memory: string | undefined;
  let told = false;
  let telling = false;
  let restUntil = 0;
  let away = false;

  const setAway = (is: boolean): void => { if (away !== is) { away = is; options.onAway?.(is); } };
  const reachable = (): boolean => {
    if (redis.status === 'ready' && told && now() >= restUntil) return true;
    setAway(true);
    if (redis.status === 'ready' && !told && now() >= restUntil) void tell();
    return false;
  };
  const failed = (): void => { restUntil = now() + REST_MS; setAway(true); };
  const tell = async (): Promise<void> => {
    if (telling) return;
    telling = true;
    try {
      const marker = `${keyPrefix}:memory`;
      const [, word] = await Promise.all([redis.set(marker, randomUUID(), 'NX'), redis.get(marker)]);
      if (memory !== undefined && word !== memory) for (const [, shadow] of shadows.entries()) { shadow.owed += shadow.own; shadow.own = 0; }
      memory = word ?? undefined;
      const owing = [...shadows.entries()].filter(([, shadow]) => shadow.owed > 0 && shadow.endsAt > now());
      for (let at = 0; at < owing.length; at += BATCH) await Promise.all(owing.slice(at, at + BATCH).map(([key, shadow]) => pay(key, shadow, 0, shadow.endsAt - now())));
      told = true;
      setAway(false);
    } catch { failed(); } finally { telling = false; }
  };
  const lost = (): void => { told = false; setAway(true); };
  redis.on('ready', () => { restUntil = 0; void tell(); }).on('close', lost);
  if (redis.status === 'ready') void tell();
  const step = (key: LimitKey, points: number, ms: number) => counter.penalty(key, points, { customDuration: Math.max(1, Math.ceil(ms)) });

  /** Tells Redis of `n` more and of what is owed. Rejects when it did not say that it knows. */
  const pay = async (key: LimitKey, shadow: Shadow, n: number, ms: number): Promise<{ readonly used: number; readonly ms: number }> => {
    const { owed } = shadow;
    shadow.owed = 0;
    try {
      const { consumedPoints: used, msBeforeNext } = await step(key, n + owed, ms);
      const left = Math.max(1, msBeforeNext);
      shadow.own += n + owed;
      shadow.used = used;
      shadow.endsAt = now() + left;
      setAway(false);
      return { used, ms: left };
    } catch (failure) {
      shadow.owed += owed;
      throw failure;
    }
  };

  const shadowOf = (window: Window): Shadow => {
    const at = now();
    return shadows.get(window.key, at) ?? shadows.begin(window.key, { used: 0, own: 0, owed: 0, endsAt: at + window.ms }, at);
  };
  /** Of the part of this replica, while nobody else can be asked. */
  const shareLeft = (window: Window, shadow: Shadow): number => {
    const left = window.limit - shadow.used;
    return left <= 0 ? 0 : Math.max(1, Math.floor(left / replicas)) - shadow.owed;
  };

  const addShared = async (window: Window, n: number): Promise<Added> => {
    const shadow = shadowOf(window);
    try {
      const { used, ms } = await pay(window.key, shadow, n, window.ms);
      return { window, remaining: Math.max(0, window.limit - used), ms, passes: used <= window.limit, shared: true };
    } catch {
      failed();
      return addLocal(window, n);
    }
  };
  const addLocal = (window: Window, n: number): Added => {
    const shadow = shadowOf(window);
    const passes = shareLeft(window, shadow) >= n;
    shadow.owed += n;
    return { window, remaining: Math.max(0, shareLeft(window, shadow)), ms: shadow.endsAt - now(), passes, shared: false };
  };

  const takeLocal = (windows: readonly Window[]): Taken => {
    const spent = windows.filter((window) => shareLeft(window, shadowOf(window)) < 1).map((window) => peek(window));
    if (spent.length > 0) return { spent, tightest: spent[0] };
    return { spent, tightest: tightestOf(windows.map((window) => addLocal(window, 1))) };
  };
  const takeShared = async (windows: readonly Window[]): Promise<Taken> => {
    const added = await Promise.all(windows.map((window) => addShared(window, 1)));
    const spent = added.filter(({ passes }) => !passes);
    if (spent.length === 0) return { spent, tightest: tightestOf(added) };
    for (const { window } of added) giveBack(window);
    return { spent, tightest: spent[0] };
  };
  const giveBack = (window: Window): void => {
    if (!reachable()) { shadowOf(window).owed -= 1; return; }
    const shadow = shadowOf(window);
    step(window.key, -1, window.ms).then(() => shadow.own -= 1, () => { failed(); shadow.owed -= 1; });
  };
  const peek = (window: Window): Standing => {
    const shadow = shadows.get(window.key, now());
    if (!shadow) return { window, remaining: window.limit, ms: window.ms };
    return { window, remaining: Math.max(0, away ? shareLeft(window, shadow) : window.limit - shadow.used - shadow.owed), ms: shadow.endsAt - now() };
  };

  return {
    take: (windows) => (reachable() ? takeShared(windows) : takeLocal(windows)),
    add(window, n) {
      if (reachable()) return addShared(window, n).then(({ shared }) => shared);
      return addLocal(window, n).shared;
    },
    peek,
  };
}

function tightestOf(standings: readonly Standing[]): Standing | undefined {
  let tightest = standings[0];
  for (const standing of standings) if (tightest === undefined || standing.remaining < tightest.remaining) tightest = standing;
  return tightest;
}
