import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { aCall, principal } from '#libs/rate-limit/a-call.contract.js';
import { createRateLimits, type RateLimits } from '#libs/rate-limit/rate-limits.js';
import { connectRedis, type Redis } from '#libs/rate-limit/redis-connection.js';
import { sharedWindows } from '#libs/rate-limit/shared-windows.js';
import { admittedOf, passes, window, windowStoreContract } from '#libs/rate-limit/window-store.contract.js';
import type { Window, WindowStore } from '#libs/rate-limit/windows.js';
import { type RedisServer, startRedis } from './services/redis.js';

let server: RedisServer;
beforeAll(async () => { server = await startRedis(); });
afterAll(() => server.stop());

interface Replica { readonly store: WindowStore; readonly redis: Redis; readonly aways: boolean[] }
async function replica(replicas: number): Promise<Replica> {
  const redis = connectRedis(server.url);
  const aways: boolean[] = [];
  const one = { store: sharedWindows({ redis, replicas, onAway: (away) => aways.push(away) }), redis, aways };
  await back(one);
  return one;
}
const back = ({ store }: Replica): Promise<void> => vi.waitFor(async () => { if (!await store.add(window(1), 1)) throw new Error('still away'); }, { timeout: 10_000, interval: 10 });
const gone = ({ redis }: Replica): Promise<void> => vi.waitFor(() => { if (redis.status === 'ready') throw new Error('still there'); }, { timeout: 10_000, interval: 5 });
const threeReplicas = (): Promise<Replica[]> => Promise.all([replica(3), replica(3), replica(3)]);
const close = (all: readonly Replica[]): void => { for (const { redis } of all) redis.disconnect(); };
const takeOf = (all: readonly Replica[], one: Window, at: number): Promise<boolean> => {
  const chosen = all[at % all.length];
  if (!chosen) throw new Error('no replica');
  return passes(chosen.store, one);
};

windowStoreContract('Redis', async () => {
  const one = await replica(1);
  return { store: one.store, close: async () => close([one]) };
});

const wholeLimits = (): RateLimits => createRateLimits({ limits: { roles: { viewer: { perMinute: 60, burst: 10 } }, tenants: { acme: { perDay: 100 } } }, shared: { url: server.url, replicas: 2, keyPrefix: `t${process.pid}` } });

describe('limits that replicas share', () => {
  it('admit over three replicas together what one would: 3,000 tries at once for 1,000 places, ± 1 %', async () => {
    const all = await threeReplicas();
    const one = window(1_000);
    const admitted = await admittedOf(3_000, (at) => takeOf(all, one, at));
    console.info(`admitted over three replicas: ${admitted} of 1000`);
    expect(admitted).toBeGreaterThanOrEqual(990);
    expect(admitted).toBeLessThanOrEqual(1_010);
    close(all);
  });
  it('never begin a window below zero by giving back what has ended', async () => {
    const one = await replica(1);
    const script: unknown = Reflect.get(one.redis, 'rlflxIncr');
    if (typeof script !== 'function') throw new Error('the library names its command otherwise by now');
    expect(await script.call(one.redis, ['ended', '-1', '60000'])).toEqual([0, 0]);
    expect(await one.redis.exists('ended')).toBe(0);
    close([one]);
  });
  it('throttle failed authentications of an address together: each replica learns with its first', async () => {
    const all = [1, 2, 3].map(() => createRateLimits({ limits: { failedAuthentications: 5 }, shared: { url: server.url, replicas: 3, keyPrefix: `d${process.pid}` } }));
    await vi.waitFor(async () => { for (const { check } of all) if ((await check.check()).reason !== undefined) throw new Error('still away'); }, { timeout: 5_000 });
    const [first, second, third] = all;
    for (let at = 0; at < 4; at += 1) await first?.door.failed('192.0.2.1');
    expect(await first?.door.admit('192.0.2.1')).toBeUndefined();
    await second?.door.failed('192.0.2.1');
    expect(await second?.door.admit('192.0.2.1')).toMatchObject({ code: 'RATE_LIMITED' });
    // Nobody told the third yet: it lets one try pass, and knows with its failure.
    expect(await third?.door.admit('192.0.2.1')).toBeUndefined();
    await third?.door.failed('192.0.2.1');
    expect(await third?.door.admit('192.0.2.1')).toBeInstanceOf(Denial);
    await Promise.all(all.map((limits) => limits.close()));
  });
  it('are the same limits at two whole limiters, by role and by day, with the same answers', async () => {
    const both = [wholeLimits(), wholeLimits()] as const;
    await expect.poll(async () => (await Promise.all(both.map(({ check }) => check.check()))).map(({ reason }) => reason), { timeout: 5_000 }).toEqual([undefined, undefined]);
    const outcomes = await Promise.all(Array.from({ length: 140 }, async (_, at) => (at % 2 === 0 ? both[0] : both[1]).limiter.take(aCall(principal({ subject: 'ann' })))));
    const denied = outcomes.filter((outcome) => outcome instanceof Denial);
    expect(denied).toHaveLength(70);
    expect(denied[0]).toMatchObject({ code: 'RATE_LIMITED', quota: { limit: 70, remaining: 0 } });
    // What the viewer was refused did not cost the tenant's day anything.
    const rest = await Promise.all(Array.from({ length: 40 }, async (_, at) => both[at % 2 === 0 ? 0 : 1].limiter.take(aCall(principal({ subject: 'bob' })))));
    expect(rest.filter((outcome) => !(outcome instanceof Denial))).toHaveLength(30);
    expect(rest.find((outcome) => outcome instanceof Denial)).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    await Promise.all(both.map((one) => one.close()));
  });
});

describe('while Redis is away', () => {
  it('each replica admits its share of a limit at once, never all and never nothing', async () => {
    const all = await threeReplicas();
    await server.kill();
    await Promise.all(all.map(gone));
    const one = window(90);
    const counts = [0, 0, 0];
    for (let at = 0; at < 300; at += 1) if (await takeOf(all, one, at)) counts[at % 3] = (counts[at % 3] ?? 0) + 1;
    expect(counts).toEqual([30, 30, 30]);
    const small = window(1);
    expect(all.map(({ store }) => store.take([small])).every((taken) => !(taken instanceof Promise))).toBe(true);
    expect(await takeOf(all, small, 0)).toBe(false);
    expect(all.map(({ aways }) => aways.at(-1))).toEqual([true, true, true]);
    await server.restart();
    await Promise.all(all.map(back));
    close(all);
  });

  it('the limit holds through a stop of 15 s and a return without memory: at most 1.2 times of it in its window, and none refused for want of Redis', { timeout: 60_000 }, async () => {
    const all = await threeReplicas();
    const one = window(300);
    let admitted = 0;
    let asked = 0;
    const round = async (tries: number): Promise<void> => { admitted += await admittedOf(tries, (at) => takeOf(all, one, at)); asked += tries; };
    for (let at = 0; at < 40; at += 1) await round(3);
    expect(admitted).toBe(120);

    await server.kill();
    const stoppedAt = performance.now();
    await Promise.all(all.map(gone));
    await round(90);
    const early = admitted;
    // The rest of what one minute may have, in a third for each replica.
    expect(early).toBeGreaterThanOrEqual(200);
    while (performance.now() - stoppedAt < 15_000) { await round(30); await new Promise((resolve) => { setTimeout(resolve, 200); }); }
    const whileAway = admitted;

    await server.restart();
    await Promise.all(all.map(back));
    await round(900);
    console.info(`of 300 in its window: 120 before, ${whileAway - 120} while Redis was away, ${admitted - whileAway} after its empty return (${asked} asked)`);
    expect(admitted).toBeGreaterThanOrEqual(270);
    expect(admitted).toBeLessThanOrEqual(360);

    // And it is shared again: a new window is exact.
    const next = window(60);
    expect(await admittedOf(180, (at) => takeOf(all, next, at))).toBe(60);
    expect(all.every(({ aways }) => aways.at(-1) === false)).toBe(true);
    close(all);
  });

  it('what was used before a return without memory stays used, on every replica', async () => {
    const all = await threeReplicas();
    const one = window(30);
    expect(await admittedOf(90, (at) => takeOf(all, one, at))).toBe(30);
    await server.kill();
    await Promise.all(all.map(gone));
    await server.restart();
    await Promise.all(all.map(back));
    expect(await admittedOf(90, (at) => takeOf(all, one, at))).toBe(0);
    close(all);
  });

  it('a Redis that hangs costs one timeout and not one for each call', async () => {
    const one = await replica(2);
    const limit = window(100);
    expect(await passes(one.store, limit)).toBe(true);
    server.freeze();
    expect(await passes(one.store, limit)).toBe(true);
    const next = one.store.take([limit]);
    expect(next).not.toBeInstanceOf(Promise);
    server.thaw();
    await expect.poll(() => one.store.add(limit, 1), { timeout: 10_000, interval: 100 }).toBe(true);
    close([one]);
  });

  it('the throttle of failed authentications closes: one failure is enough, and others go on', async () => {
    const limits = createRateLimits({ limits: { failedAuthentications: 5 }, shared: { url: server.url, replicas: 2, keyPrefix: `f${process.pid}` } });
    await expect.poll(async () => (await limits.check.check()).reason, { timeout: 5_000 }).toBeUndefined();
    await limits.door.failed('192.0.2.1');
    expect(await limits.door.admit('192.0.2.1')).toBeUndefined();
    await server.kill();
    await expect.poll(async () => (await limits.check.check()).reason, { timeout: 5_000 }).toMatch(/away/);
    await limits.door.failed('192.0.2.2');
    expect(await limits.door.admit('192.0.2.2')).toMatchObject({ code: 'RATE_LIMITED' });
    expect(await limits.door.admit('192.0.2.3')).toBeUndefined();
    await limits.close();
    await server.restart();
  });
});
