/** Retries of one API at once, and how many more it gets each second. */
const BURST = 10;
const PER_SECOND = 1;
const MAX_APIS = 10_000;

/** How often requests may be made again: a backend that is down is not asked twice as much for it. Asked only after a failure. */
export class RetryBudget {
  readonly #left = new Map<string, { tokens: number; at: number }>();
  /** `now` in milliseconds, monotonic. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** True: one more may be made now. */
  take(api: string): boolean {
    const at = this.now();
    const kept = this.#left.get(api);
    const tokens = kept === undefined ? BURST : Math.min(BURST, kept.tokens + ((at - kept.at) / 1000) * PER_SECOND);
    if (kept === undefined && this.#left.size >= MAX_APIS) this.#left.clear();
    this.#left.set(api, { tokens: tokens >= 1 ? tokens - 1 : tokens, at });
    return tokens >= 1;
  }
}
