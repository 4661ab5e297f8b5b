/** Where the process stands between start and exit. */
export class Lifecycle {
  readonly startedAt = new Date();
  private readonly drain = new AbortController();
  private isStarted = false;

  get started(): boolean { return this.isStarted; }
  get draining(): boolean { return this.drain.signal.aborted; }
  /** Aborts when draining begins: readiness turns to 503, answers close their connections, streams end. */
  get drainSignal(): AbortSignal { return this.drain.signal; }

  markStarted(): void { this.isStarted = true; }
  beginDrain(): void { this.drain.abort(); }
}
