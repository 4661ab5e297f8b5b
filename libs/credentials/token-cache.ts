import { LRUCache } from 'lru-cache';
import { Denial } from '#libs/core/errors.js';
import type { Eventually } from '#libs/core/ports.js';
import type { IssuedToken } from './token-endpoint.js';

/** Milliseconds before its end at which a token is no longer sent, at most half of its life. */
const MARGIN_MS = 5000;
/** The last part of a token's life, in which another is fetched while this one is still sent. */
const REFRESH_PART = 0.2;
/** For this long, in milliseconds, a failure is the answer, so that calls do not become a flood at the token endpoint. */
const FAILURE_MS = 1000;
/** A token that a backend refuses is given up at most this often, in milliseconds. */
const REFUSALS_MS = 10_000;

interface Kept { readonly token: string; readonly until: number; readonly refreshAt: number }

/**
 * Tokens by key, each fetched once however many ask for it, and again behind calls that still use the old one. A key must hold everything
 * that the token depends on, the tenant first: nothing else keeps two callers apart.
 */
export class TokenCache {
  readonly #running = new Map<string, Promise<string | Denial>>();
  readonly #failures: LRUCache<string, { readonly denial: Denial; readonly until: number }>;
  readonly #refusals: LRUCache<string, number>;
  readonly #owners = new Map<string, string>();
  readonly #kept: LRUCache<string, Kept>;

  /** `now` in milliseconds, monotonic or not. `max` tokens are kept, the latest used. */
  constructor(private readonly now: () => number, max = 10_000) {
    this.#kept = new LRUCache<string, Kept>({ max, dispose: ({ token }) => { this.#owners.delete(token); } });
    this.#failures = new LRUCache({ max });
    this.#refusals = new LRUCache({ max });
  }

  /** `endsAt`: when it is of no use any more, in milliseconds on the same clock. */
  get(key: string, ask: () => Promise<IssuedToken | Denial>, endsAt = Number.POSITIVE_INFINITY): Eventually<string | Denial> {
    const at = this.now();
    const kept = this.#kept.get(key);
    const failed = this.#failures.get(key);
    const failing = failed !== undefined && at < failed.until;
    if (kept !== undefined && at < kept.until) {
      // Rejections are the next call's to see, if it still needs a token then.
      if (at >= kept.refreshAt && !failing) this.#fetch(key, ask, endsAt).catch(() => undefined);
      return kept.token;
    }
    return failing ? failed.denial : this.#fetch(key, ask, endsAt);
  }

  /** True where the token is one of these and the next call gets another. */
  refused(token: string): boolean {
    const key = this.#owners.get(token);
    if (key === undefined) return false;
    const at = this.now();
    if (at - (this.#refusals.get(key) ?? Number.NEGATIVE_INFINITY) < REFUSALS_MS) return false;
    this.#refusals.set(key, at);
    this.#kept.delete(key);
    return true;
  }

  #fetch(key: string, ask: () => Promise<IssuedToken | Denial>, endsAt: number): Promise<string | Denial> {
    let running = this.#running.get(key);
    if (running === undefined) {
      running = this.#ask(key, ask, endsAt).finally(() => { this.#running.delete(key); });
      this.#running.set(key, running);
    }
    return running;
  }

  async #ask(key: string, ask: () => Promise<IssuedToken | Denial>, endsAt: number): Promise<string | Denial> {
    const startedAt = this.now();
    const issued = await ask();
    if (issued instanceof Denial) {
      this.#failures.set(key, { denial: issued, until: this.now() + FAILURE_MS });
      return issued;
    }
    const { token, lifeMs } = issued;
    const until = Math.min(startedAt + lifeMs - Math.min(MARGIN_MS, lifeMs / 2), endsAt);
    this.#kept.set(key, { token, until, refreshAt: startedAt + (until - startedAt) * (1 - REFRESH_PART) });
    this.#owners.set(token, key);
    return token;
  }
}
