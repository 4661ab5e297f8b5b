/** How late a long deadline may be noticed, in milliseconds. */
const STEP_MS = 50;
/** Deadlines nearer than this have a timer of their own, exact as timers are. */
const LONG_MS = 1_000;

interface Timed { expired(): void }


/**
 * Deadlines of everything that is under way at the same time, on one timer: a timer of its own costs each request more than its entry here.
 * A deadline is never early, and at most 50 ms late, a twentieth of the shortest that it is used for.
 */
export class Deadlines {
  readonly #ends = new Map<Timed, number>();
  #ticking: NodeJS.Timeout | undefined;

  /** Calls `expired` after so many milliseconds unless it is forgotten before. Answers the timer for `forget`. */
  watch(timed: Timed, ms: number): NodeJS.Timeout | undefined {
    if (!(ms >= LONG_MS)) return setTimeout(() => { timed.expired(); }, ms);
    this.#ends.set(timed, performance.now() + ms);
    this.#ticking ??= setInterval(() => { this.#tick(); }, STEP_MS);
    return undefined;
  }
  forget(timed: Timed, timer: NodeJS.Timeout | undefined): void {
    if (timer) clearTimeout(timer);
    else this.#ends.delete(timed);
  }

  #tick(): void {
    const now = performance.now();
    for (const [timed, end] of this.#ends) {
      if (now < end) continue;
      this.#ends.delete(timed);
      timed.expired();
    }
    // Nothing is under way: an idle process need not wake, and may end.
    if (this.#ends.size > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }
}
