import { describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { invoke } from '#libs/core/stages/govern.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { aCall, principal } from './a-call.contract.js';
import { concurrencyLimiter } from './concurrency.js';
import { doorLimits } from './door-limits.js';
import { readLimits } from './limits.js';
import { memoryWindows } from './memory-windows.js';
import { streamLimiter } from './stream-limiter.js';

const released = (place: (() => void) | Denial): (() => void) => { if (place instanceof Denial) throw new Error(place.message); return place; };
const acme = 'acme' as TenantSlug;

describe('calls at the same time', () => {
  it.each([
    { name: 'principal', limits: { concurrent: { principal: 3 } }, other: principal({ subject: 'bob' }) },
    { name: 'tenant', limits: { tenant: { concurrent: 3 } }, other: principal({ tenant: 'globex' }) },
    { name: 'backend', limits: { concurrent: { backend: 3 } }, other: principal({ tenant: 'globex' }) },
  ])('are capped by $name, each apart, and go on when one ends', ({ limits, other }) => {
    const limiter = concurrencyLimiter({ limits: readLimits(limits) });
    const places = [1, 2, 3].map(() => released(limiter.acquire(aCall())));
    expect(limiter.acquire(aCall())).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 1 });
    released(limiter.acquire(aCall(other)))();
    places[0]?.();
    places[0]?.();
    released(limiter.acquire(aCall()));
    expect(limiter.acquire(aCall())).toBeInstanceOf(Denial);
  });
  it('to a hung backend leave another backend of the tenant free', () => {
    const limiter = concurrencyLimiter({ limits: readLimits({ concurrent: { backend: 1 } }) });
    released(limiter.acquire(aCall()));
    expect(limiter.acquire(aCall())).toBeInstanceOf(Denial);
    released(limiter.acquire(aCall(principal(), 'weather', 'weather')));
  });
  it('of the whole process refuse the 101st', () => {
    const limiter = concurrencyLimiter({ limits: readLimits({ concurrent: { process: 100 } }) });
    const outcomes = Array.from({ length: 101 }, (_, at) => limiter.acquire(aCall(principal({ subject: `s${at}` }))));
    expect(outcomes.map((outcome) => outcome instanceof Denial).indexOf(true)).toBe(100);
  });
  it('take no place when one of several is full', () => {
    const limiter = concurrencyLimiter({ limits: readLimits({ concurrent: { process: 2, principal: 1 } }) });
    released(limiter.acquire(aCall()));
    for (let at = 0; at < 5; at += 1) expect(limiter.acquire(aCall())).toBeInstanceOf(Denial);
    released(limiter.acquire(aCall(principal({ subject: 'bob' }))));
  });
  it('give their place back whether the backend answers, refuses or throws', async () => {
    const concurrency = concurrencyLimiter({ limits: readLimits({ concurrent: { principal: 1 } }) });
    const answer = { result: { type: 'tool' as const, content: [], isError: false }, outcome: 'success' as const, latencyMs: 0, bytes: 0 };
    const outcomes = [async () => answer, async () => new Denial({ code: 'CANCELLED', message: '' }), async () => { throw new Error('broken'); }];
    for (const builtin of outcomes) {
      const stage = invoke({ builtin: { invoke: builtin } }, concurrency);
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const held = invoke({ builtin: { invoke: async () => { await promise; return builtin(); } } }, concurrency)(aCall());
      expect(await stage(aCall())).toMatchObject({ code: 'RATE_LIMITED' });
      resolve(undefined);
      await Promise.resolve(held).catch(() => undefined);
      expect(await Promise.resolve(stage(aCall())).catch(() => 'threw')).not.toMatchObject({ code: 'RATE_LIMITED' });
    }
  });
});

describe('streams', () => {
  it('refuse the eleventh of an address, and take another when one ends', () => {
    const streams = streamLimiter({ limits: readLimits({ streams: { address: 10, tenant: 100, total: 5000 } }).streams });
    const ends = Array.from({ length: 10 }, () => released(streams.open({ ip: '192.0.2.1', tenant: acme })));
    expect(streams.open({ ip: '192.0.2.1', tenant: acme })).toMatchObject({ code: 'RATE_LIMITED', message: 'Too many connections: limit per address reached', retryAfterSeconds: 60 });
    released(streams.open({ ip: '192.0.2.2', tenant: acme }));
    ends[0]?.();
    released(streams.open({ ip: '192.0.2.1', tenant: acme }));
  });
  it('are capped by tenant and in all', () => {
    const streams = streamLimiter({ limits: readLimits({ streams: { tenant: 2, total: 3 } }).streams });
    const open = (at: number, tenant: string) => streams.open({ ip: `192.0.2.${at}`, tenant: tenant as TenantSlug });
    released(open(1, 'acme')); released(open(2, 'acme'));
    expect(open(3, 'acme')).toMatchObject({ message: 'Too many connections: limit per tenant reached' });
    released(open(4, 'globex'));
    expect(open(5, 'initech')).toMatchObject({ message: 'Too many connections: total limit reached' });
  });
  it('may be opened so often in a minute, and a refused one holds no place', () => {
    let at = 0;
    const streams = streamLimiter({ limits: readLimits({ streams: { newPerMinute: 5, total: 5 } }).streams, now: () => at });
    for (let n = 0; n < 5; n += 1) released(streams.open({ ip: '192.0.2.1', tenant: undefined }))();
    expect(streams.open({ ip: '192.0.2.1', tenant: undefined })).toMatchObject({ message: 'Too many connections: too many new connections', retryAfterSeconds: 60 });
    at = 60_000;
    for (let n = 0; n < 5; n += 1) released(streams.open({ ip: '192.0.2.1', tenant: undefined }));
  });
});

const door = (settings: Parameters<typeof readLimits>[0]) => {
  let at = 0;
  return { ...doorLimits(readLimits(settings), memoryWindows({ now: () => at })), pass: (ms: number) => { at += ms; } };
};
describe('the door', () => {
  it('refuses an address after five failures, even with a valid token, until the minute is over', async () => {
    const on = door({ failedAuthentications: 5 });
    for (let n = 0; n < 5; n += 1) { expect(on.admit('192.0.2.1')).toBeUndefined(); await on.failed('192.0.2.1'); }
    on.pass(30_000);
    expect(on.admit('192.0.2.1')).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 30 });
    expect(on.admit('192.0.2.2')).toBeUndefined();
    on.pass(29_999);
    expect(on.admit('192.0.2.1')).toBeInstanceOf(Denial);
    on.pass(1);
    expect(on.admit('192.0.2.1')).toBeUndefined();
  });
  it('counts requests of one address whatever tokens they bring, and an IPv6 network as one', () => {
    const on = door({ address: { perMinute: 3, burst: 1 } });
    const admitted = Array.from({ length: 10 }, (_, n) => on.admit(`2001:db8::${n}`)).filter((outcome) => !(outcome instanceof Denial));
    expect(admitted).toHaveLength(4);
  });
  it('asks nothing where nothing is limited', async () => {
    const on = door({});
    for (let n = 0; n < 99; n += 1) await on.failed('192.0.2.1');
    expect(on.admit('192.0.2.1')).toBeUndefined();
  });
});
