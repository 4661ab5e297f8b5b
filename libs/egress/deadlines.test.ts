import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines } from './deadlines.js';

const thing = () => ({ expired: vi.fn<() => void>() });

describe('deadlines', () => {
  beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }); });
  afterEach(() => { vi.useRealTimers(); });

  it.each([1, 40, 999, 1_000, 1_049, 1_050, 30_000])('of %i ms are never early, and at most 50 ms late', (ms) => {
    const deadlines = new Deadlines();
    const timed = thing();
    // Another one keeps the common timer out of step with this one.
    deadlines.watch(thing(), 5_000);
    vi.advanceTimersByTime(17);
    deadlines.watch(timed, ms);
    vi.advanceTimersByTime(ms - 1);
    expect(timed.expired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(51);
    expect(timed.expired).toHaveBeenCalledOnce();
  });
  it('that are forgotten never come', () => {
    const deadlines = new Deadlines();
    const [short, long] = [thing(), thing()];
    const timers = [deadlines.watch(short, 500), deadlines.watch(long, 5_000)];
    deadlines.forget(short, timers[0]);
    deadlines.forget(long, timers[1]);
    vi.advanceTimersByTime(10_000);
    expect(short.expired).not.toHaveBeenCalled();
    expect(long.expired).not.toHaveBeenCalled();
  });
  it('leave no timer behind when nothing is under way, and start again', () => {
    const deadlines = new Deadlines();
    const first = thing();
    deadlines.watch(first, 2_000);
    vi.advanceTimersByTime(2_050);
    expect(first.expired).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
    const second = thing();
    deadlines.watch(second, 2_000);
    vi.advanceTimersByTime(2_050);
    expect(second.expired).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });
});
