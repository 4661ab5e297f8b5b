import { LRUCache } from 'lru-cache';
import type { TenantKey } from '#libs/core/tenant.js';
import type { Held, KeptAnswers } from './kept-answers.js';

interface Slot { readonly held: Held; readonly owner?: string }

/** Of each tenant's answers, so that a busy tenant drops nobody's but its own. */
const MOST = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;

/** For one replica. `now` in milliseconds, monotonic. */
export function memoryAnswers(now: () => number = () => performance.now(), { most = MOST, mostBytes = MOST_BYTES } = {}): KeptAnswers {
  const tenants = new Map<string, LRUCache<TenantKey, Slot>>();
  const of = (key: TenantKey): LRUCache<TenantKey, Slot> => {
    const tenant = key.slice(0, key.indexOf(':'));
    let slots = tenants.get(tenant);
    if (!slots) tenants.set(tenant, slots = new LRUCache<TenantKey, Slot>({ max: most, maxSize: mostBytes, perf: { now }, ttlResolution: 0, sizeCalculation: ({ held }) => 256 + (held.kept === undefined ? 0 : JSON.stringify(held.kept).length * 2) }));
    return slots;
  };
  return {
    take(key, owner, digest, holdMs) {
      const slots = of(key);
      const there = slots.get(key);
      if (there) return there.held;
      slots.set(key, { held: { digest }, owner }, { ttl: holdMs });
      return undefined;
    },
    keep(key, held, keepMs) { of(key).set(key, { held }, { ttl: keepMs }); },
    free(key, owner) { if (of(key).peek(key)?.owner === owner) of(key).delete(key); },
    close: () => undefined,
  };
}
