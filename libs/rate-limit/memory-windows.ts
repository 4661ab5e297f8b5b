import type { LimitKey } from './keys.js';
import type { Standing, Taken, Window, WindowStore } from './windows.js';

/** In milliseconds; a step of the wall clock neither opens nor closes a window. */
export const monotonic = (): number => performance.now();

/** Never answers a promise. */
export interface MemoryWindows extends WindowStore {
  take(windows: readonly Window[]): Taken;
  add(window: Window, n: number): boolean;
}

/** What is held of one window. */
export interface Count { used: number; endsAt: number }

/**
 * Windows of this process alone. Answers at once, and exactly: nothing runs between looking and counting.
 * Holds at most `maxKeys`; when as many are running, those that began first are forgotten.
 * `now` is monotonic, in milliseconds.
 */
export function memoryWindows({ now = monotonic, maxKeys = 200_000 }: { readonly now?: () => number; readonly maxKeys?: number } = {}): MemoryWindows {
  const counts = heldCounts<Count>(maxKeys);
  const standing = (window: Window, at: number): Standing => {
    const count = counts.get(window.key, at);
    return count ? { window, remaining: Math.max(0, window.limit - count.used), ms: count.endsAt - at } : { window, remaining: window.limit, ms: window.ms };
  };
  const bump = (window: Window, n: number, at: number): Count => {
    const running = counts.get(window.key, at);
    if (running) { running.used += n; return running; }
    return counts.begin(window.key, { used: n, endsAt: at + window.ms }, at);
  };
  return {
    take(windows) {
      const at = now();
      let spent: Standing[] | undefined;
      for (const window of windows) {
        const count = counts.get(window.key, at);
        if (count && count.used >= window.limit) (spent ??= []).push({ window, remaining: 0, ms: count.endsAt - at });
      }
      if (spent) return { spent, tightest: spent[0] };
      let tightest: Standing | undefined;
      for (const window of windows) {
        const { used, endsAt } = bump(window, 1, at);
        if (tightest === undefined || window.limit - used < tightest.remaining) tightest = { window, remaining: window.limit - used, ms: endsAt - at };
      }
      return { spent: NONE, tightest };
    },
    add(window, n) { bump(window, n, now()); return true; },
    peek(window) { return standing(window, now()); },
  };
}

const NONE: Taken['spent'] = [];

export interface HeldCounts<C extends Count> {
  /** Undefined when its window is over. */
  get(key: LimitKey, at: number): C | undefined;
  begin(key: LimitKey, count: C, at: number): C;
  entries(): IterableIterator<[LimitKey, C]>;
}

/** A map whose ended windows are swept when it has doubled since the last sweep, so that each insertion pays a constant share. */
export function heldCounts<C extends Count>(maxKeys: number): HeldCounts<C> {
  const held = new Map<LimitKey, C>();
  let sweepAt = 1024;
  return {
    get(key, at) {
      const count = held.get(key);
      return count && count.endsAt > at ? count : undefined;
    },
    begin(key, count, at) {
      held.delete(key);
      if (held.size >= Math.min(sweepAt, maxKeys)) {
        for (const [old, { endsAt }] of held) if (endsAt <= at) held.delete(old);
        // A tenth at once, so that a flood of new keys does not sweep at each of them.
        let excess = held.size < maxKeys ? 0 : Math.ceil(maxKeys / 10);
        for (const old of held.keys()) { if (excess-- <= 0) break; held.delete(old); }
        sweepAt = Math.max(1024, held.size * 2);
      }
      held.set(key, count);
      return count;
    },
    entries: () => held.entries(),
  };
}
