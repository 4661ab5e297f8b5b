import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TenantSlug, tenantKey } from '#libs/core/tenant.js';
import type { Window, WindowStore } from './windows.js';

export interface StoreUnderTest { readonly store: WindowStore; readonly close: () => Promise<void> }

let serial = 0;
/** Of a key that no other test uses. */
export const window = (limit: number, ms = 60_000, name = 'test'): Window =>
  ({ key: tenantKey('acme' as TenantSlug, name, String(serial += 1), String(process.pid)), limit, ms, name, code: 'RATE_LIMITED' });
export const passes = async (store: WindowStore, ...windows: Window[]): Promise<boolean> => (await store.take(windows)).spent.length === 0;
export const admittedOf = async (tries: number, take: (at: number) => Promise<boolean>): Promise<number> =>
  (await Promise.all(Array.from({ length: tries }, (_, at) => take(at)))).filter(Boolean).length;

/** What every store of windows promises. */
export function windowStoreContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`windows in ${name}`, () => {
    let under: StoreUnderTest;
    beforeAll(async () => { under = await open(); });
    afterAll(() => under.close());

    it.each([1, 7, 250])('admit exactly %i of three times as many that come at once', async (limit) => {
      const one = window(limit);
      expect(await admittedOf(limit * 3, () => passes(under.store, one))).toBe(limit);
    });
    it('take from none when one of several is spent', async () => {
      const [tool, role] = [window(2), window(10)];
      for (let at = 0; at < 2; at += 1) expect(await passes(under.store, tool, role)).toBe(true);
      for (let at = 0; at < 20; at += 1) expect(await passes(under.store, tool, role)).toBe(false);
      expect(await admittedOf(1, () => passes(under.store, role))).toBe(1);
      for (let at = 0; at < 7; at += 1) expect(await passes(under.store, role)).toBe(true);
      expect(await passes(under.store, role)).toBe(false);
    });
    it('tell what is left of the tightest, one less with each', async () => {
      const [wide, narrow] = [window(100), window(5)];
      const left: (number | undefined)[] = [];
      for (let at = 0; at < 5; at += 1) left.push((await under.store.take([wide, narrow])).tightest?.remaining);
      expect(left).toEqual([4, 3, 2, 1, 0]);
      const { spent, tightest } = await under.store.take([wide, narrow]);
      expect(spent.map((standing) => standing.window)).toEqual([narrow]);
      expect(tightest).toMatchObject({ window: narrow, remaining: 0 });
      expect(tightest?.ms).toBeGreaterThan(0);
      expect(tightest?.ms).toBeLessThanOrEqual(60_000);
    });
    it('open again when they end, and not before they are counted full', async () => {
      const short = window(3, 400);
      expect(await admittedOf(9, () => passes(under.store, short))).toBe(3);
      await expect.poll(() => passes(under.store, short), { timeout: 5_000, interval: 20 }).toBe(true);
    });
    it('count apart by key', async () => {
      const [a, b] = [window(1), window(1)];
      expect([await passes(under.store, a), await passes(under.store, a), await passes(under.store, b)]).toEqual([true, false, true]);
    });
    it('add beyond the limit, and show without counting what is left', async () => {
      const one = window(5);
      expect(under.store.peek(one).remaining).toBe(5);
      expect(await under.store.add(one, 3)).toBe(true);
      expect([under.store.peek(one).remaining, under.store.peek(one).remaining]).toEqual([2, 2]);
      await under.store.add(one, 9);
      expect(under.store.peek(one).remaining).toBe(0);
      expect(await passes(under.store, one)).toBe(false);
    });
  });
}
