import type { Log } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { makePartitions } from './consumer.js';
import { dayOf, daysFrom } from './usage.js';

export interface KeeperOptions {
  readonly database: SqlDatabase;
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly callRecordDays: number;
  readonly entryDays: number | undefined;
  readonly active: boolean;
}
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const AHEAD_DAYS = 7;

/** Partitions of the days to come, and an end for those that are past keeping. Looks at start and every hour. */
export class LedgerKeeper {
  readonly #timer: NodeJS.Timeout | undefined;
  constructor(private readonly options: KeeperOptions) {
    if (!options.active) return;
    this.#timer = setInterval(() => { void this.#tend(); }, HOUR_MS).unref();
    void this.#tend();
  }
  close(): void { clearInterval(this.#timer); }

  async #tend(): Promise<void> {
    try {
      const dropped = await this.tend(Date.now());
      if (dropped.length > 0) this.options.log.info({ dropped }, 'partitions past their keeping are gone');
    } catch (failure) {
      this.options.log.warn({ err: failure }, 'partitions could not be tended: tried again in an hour');
    }
  }

  /** Answers what it dropped. */
  async tend(now: number): Promise<string[]> {
    const { database, callRecordDays, entryDays } = this.options;
    await makePartitions(database, daysFrom(now, AHEAD_DAYS));
    const dropped: string[] = [];
    for (const [table, days] of [['call_records', callRecordDays], ['entries', entryDays]] as const) {
      if (days === undefined) continue;
      dropped.push(...await database.control(async (sql) => (await sql.query<{ part: string }>(`SELECT part FROM ledger.drop_partitions($1, $2::text::date) AS part`, table, dayOf(now - days * DAY_MS))).map(({ part }) => part)));
    }
    return dropped;
  }
}
