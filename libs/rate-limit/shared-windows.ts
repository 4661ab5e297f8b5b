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

/** What this replica knows of a window that it shares. */
interface Shadow extends Count {
  /** `used` is the common count when it was last seen; these were admitted here since, unknown to Redis. */
  owed: number;
  /** The connection on which `used` was last told to Redis, which may have lost its memory in between. */
  connection: number;
}

interface Added extends Standing { readonly passes: boolean; /** Redis knows. */ readonly shared: boolean }

/** From here on a number of points is not a step but a floor: "at least so many", for a Redis that forgot. */
const FLOOR = 2 ** 40;
/**
 * The library's script with milliseconds for seconds, floors, and one more care: giving back what has ended by now must
 * not begin a window below zero. Answers the count and the milliseconds that are left.
 */
const SCRIPT = `
local points, ms = tonumber(ARGV[1]), ARGV[2]
if points < 0 and redis.call('exists', KEYS[1]) == 0 then return {0, 0} end
redis.call('set', KEYS[1], 0, 'PX', ms, 'NX')
if points >= ${FLOOR} then points = math.max(0, points - ${FLOOR} - tonumber(redis.call('get', KEYS[1]))) end
return {redis.call('incrby', KEYS[1], string.format('%.0f', points)), redis.call('pttl', KEYS[1])}`;
/** After an error, how long Redis is left alone, in milliseconds: a hung one would cost each call its timeout. */
const REST_MS = 1000;
/** A window that ends this soon is not restored: it may have ended at Redis already. */
const TOO_LATE_MS = 1000;

/**
 * Windows that replicas share through Redis or Valkey, in one round trip each. While it cannot be reached, each replica
 * admits its part (`1/replicas`, at least one) of what was left when it last saw the count; afterwards it tells what it
 * admitted and, on a new connection, what it had last seen, so that neither the return nor a lost memory opens a
 * window anew. What one window admits and another refuses is given back.
 */
export function sharedWindows(options: SharedWindowsOptions): WindowStore {
  const { redis, replicas, now = monotonic } = options;
  // The library counts; which count is too much is decided here, since one key's limit follows its caller's role.
  const counter = new RateLimiterRedis({
    storeClient: redis, points: 1, duration: 60, keyPrefix: options.keyPrefix ?? 'stoa:limit', rejectIfRedisNotReady: true, customIncrTtlLuaScript: SCRIPT,
  });
  const shadows = heldCounts<Shadow>(200_000);
  let connection = 0;
  let restUntil = 0;
  let away = false;
  redis.on('ready', () => { connection += 1; restUntil = 0; });

  const setAway = (is: boolean): void => { if (away !== is) { away = is; options.onAway?.(is); } };
  const reachable = (): boolean => {
    const yes = redis.status === 'ready' && now() >= restUntil;
    if (!yes) setAway(true);
    return yes;
  };
  const failed = (): void => { restUntil = now() + REST_MS; setAway(true); };
  const step = (key: LimitKey, points: number, ms: number) => counter.penalty(key, points, { customDuration: Math.max(1, Math.ceil(ms)) });

  const shadowOf = (window: Window): Shadow => {
    const at = now();
    return shadows.get(window.key, at) ?? shadows.begin(window.key, { used: 0, owed: 0, connection, endsAt: at + window.ms }, at);
  };
  /** Of the part of this replica, while nobody else can be asked. */
  const shareLeft = (window: Window, shadow: Shadow): number => {
    const left = window.limit - shadow.used;
    return left <= 0 ? 0 : Math.max(1, Math.floor(left / replicas)) - shadow.owed;
  };

  const addShared = async (window: Window, n: number): Promise<Added> => {
    const shadow = shadowOf(window);
    const left = shadow.endsAt - now();
    if (shadow.connection !== connection) {
      shadow.connection = connection;
      // Ahead of the step on the same connection; if it fails, so does the step.
      if (shadow.used > 0 && left > TOO_LATE_MS) step(window.key, FLOOR + shadow.used, left).catch(failed);
    }
    const { owed } = shadow;
    shadow.owed = 0;
    try {
      const { consumedPoints, msBeforeNext } = await step(window.key, n + owed, window.ms);
      setAway(false);
      const ms = Math.max(1, msBeforeNext);
      shadow.used = consumedPoints;
      shadow.endsAt = now() + ms;
      return { window, remaining: Math.max(0, window.limit - consumedPoints), ms, passes: consumedPoints <= window.limit, shared: true };
    } catch {
      failed();
      shadow.owed += owed;
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
    step(window.key, -1, window.ms).catch(() => { failed(); shadowOf(window).owed -= 1; });
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
