import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memoryWindows } from './memory-windows.js';
import { window, windowStoreContract } from './window-store.contract.js';

windowStoreContract('memory', async () => ({ store: memoryWindows(), close: async () => undefined }));

describe('windows in memory, by a clock of the test', () => {
  it('admit in each window what the limit says and not one more, whenever the calls come', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 1000 }), fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 200 }), (limit, ms, gaps) => {
      let at = 0;
      const store = memoryWindows({ now: () => at });
      const one = window(limit, ms);
      let endsAt = -1;
      let used = 0;
      for (const gap of gaps) {
        at += gap;
        if (at >= endsAt) { endsAt = at + ms; used = 0; }
        used += 1;
        expect(store.take([one]).spent.length === 0).toBe(used <= limit);
      }
    }));
  });
  it('answer without a promise', () => { expect(memoryWindows().take([window(1)])).not.toBeInstanceOf(Promise); });
  it('forget what has ended', () => {
    let at = 0;
    const store = memoryWindows({ now: () => at });
    const one = window(1, 1000);
    expect(store.take([one]).spent).toHaveLength(0);
    at = 999;
    expect(store.take([one]).spent).toHaveLength(1);
    at = 1000;
    expect(store.take([one]).spent).toHaveLength(0);
  });
  it('hold no more than they may, and forget the oldest first', () => {
    const store = memoryWindows({ maxKeys: 100 });
    const all = Array.from({ length: 150 }, () => window(1));
    for (const one of all) store.take([one]);
    expect(all.filter((one) => store.peek(one).remaining === 0).length).toBeLessThanOrEqual(100);
    expect(all.slice(-50).every((one) => store.peek(one).remaining === 0)).toBe(true);
  });
});
