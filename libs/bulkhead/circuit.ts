/** `open`: nothing is asked of the backend; `probing`: one call is, and its end decides. */
export type CircuitState = 'closed' | 'open' | 'probing';

export interface CircuitOptions {
  /** Failures one after another, with no success between, that open it. 0: it never opens. */
  readonly failures: number;
  /** Rest after it opened, in milliseconds; doubled with each probe that fails, up to eight times as long. */
  readonly restMs: number;
}

const LONGEST = 8;

/** A circuit breaker: one backend that keeps failing is left alone for a while, then asked by one call. */
export class Circuit {
  #failures = 0;
  #openedAt = Number.NEGATIVE_INFINITY;
  #rest = 1;
  #state: CircuitState = 'closed';
  /** `now` in milliseconds, monotonic. */
  constructor(private readonly options: CircuitOptions, private readonly now: () => number) {}

  get state(): CircuitState { return this.#state; }

  /** Undefined: the call may go, and its end must be told to `ended`. Else the milliseconds until another may. */
  refusal(): number | undefined {
    if (this.#state === 'closed') return undefined;
    const leftMs = this.#openedAt + this.options.restMs * this.#rest - this.now();
    // While the probe runs, and it may run as long as its deadline, the others are refused and not made to wait for it.
    if (this.#state === 'probing' || leftMs > 0) return Math.max(leftMs, 1000);
    this.#state = 'probing';
    return undefined;
  }

  /** `neutral`: the call says nothing of the backend, as when its caller gave up. `probe`: it was let through to find out. */
  ended(how: 'well' | 'ill' | 'neutral', probe: boolean): void {
    if (probe) {
      if (how === 'well') { this.#close(); return; }
      if (how === 'ill') this.#rest = Math.min(LONGEST, this.#rest * 2);
      // After a neutral end the next call is the probe.
      this.#openedAt = how === 'ill' ? this.now() : Number.NEGATIVE_INFINITY;
      this.#state = 'open';
      return;
    }
    // What was under way when it opened changes nothing.
    if (this.#state !== 'closed' || how === 'neutral') return;
    this.#failures = how === 'well' ? 0 : this.#failures + 1;
    if (this.options.failures > 0 && this.#failures >= this.options.failures) { this.#state = 'open'; this.#openedAt = this.now(); }
  }

  #close(): void {
    this.#state = 'closed';
    this.#failures = 0;
    this.#rest = 1;
  }
}
