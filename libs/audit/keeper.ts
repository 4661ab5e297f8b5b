import type { Checkpointer } from '#libs/audit/checkpointer.js';
import type { SinkFeed } from '#libs/audit/sink-feed.js';
import { retire } from '#libs/audit/trail.js';
import { Unavailable } from '#libs/core/errors.js';
import type { Log, Reading } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';

export interface KeeperOptions {
  readonly database: SqlDatabase;
  readonly checkpointer: Checkpointer | undefined;
  readonly feed: SinkFeed | undefined;
  /** Days that entries are kept; undefined: for ever. */
  readonly retentionDays: number | undefined;
  readonly log: Log;
}
const LOOK_MS = 1000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Looks after the trail every second: checkpoints, sinks, retention; and raises its voice when the store is away. */
export class AuditKeeper {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #busy = false;
  #up = true;
  #retired = 0;
  constructor(private readonly options: KeeperOptions) {}

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#busy) return;
      this.#busy = true;
      this.#running = this.tend(Date.now()).finally(() => { this.#busy = false; });
    }, LOOK_MS).unref();
  }
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** Never rejects. */
  async tend(now: number): Promise<void> {
    const { checkpointer, feed, retentionDays, database, log } = this.options;
    try {
      await checkpointer?.tend();
      await feed?.tend();
      if (retentionDays !== undefined && now - this.#retired >= HOUR_MS) {
        this.#retired = now;
        const gone = await retire(database, { before: new Date(now - retentionDays * DAY_MS), now: new Date(now), refused: (chain, problem) => { log.error({ chain, problem }, 'audit entries past their keeping are left: they are not as they were recorded'); } });
        if (gone.size > 0) log.info({ removed: Object.fromEntries(gone) }, 'audit entries past their keeping are gone');
      }
      if (!this.#up) log.info({}, 'the audit store is back');
      this.#up = true;
    } catch (failure) {
      if (this.#up) log.error({ err: failure }, failure instanceof Unavailable ? 'the audit store is away: records wait in the journal, changes are refused' : 'the audit trail could not be tended: tried again');
      this.#up = false;
    }
  }

  readonly readings: readonly Reading[] = [
    { name: 'audit_store_up', help: 'Whether the audit trail could be written at the last look: 0 is an alert.', type: 'gauge', read: () => Number(this.#up) },
    { name: 'audit_chains_broken', help: 'Chains with an entry that is not as it was recorded: above 0 is an alert.', type: 'gauge', read: () => this.options.checkpointer?.broken.size ?? 0 },
    { name: 'audit_sink_failures_total', help: 'Times that an audit sink did not take records.', type: 'counter', read: () => this.options.feed?.failures ?? 0 },
  ];
}
