import type { Log } from '#libs/core/ports.js';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import { alertBudgets } from './budget-alerts.js';
import { applyCharges, type Charged, type Pricing } from './apply-charges.js';
import { type Intake, isTaken, type Refused, type Taken } from './intake.js';
import { dayOf } from './usage.js';

/** Some of one stream: a partition of a topic, or a gateway's journal. */
export interface Delivery {
  /** `topic/partition`, or the source of a journal. */
  readonly stream: string;
  /** Position of the first item; below it all was delivered before. Undefined: the stream has no positions, its items are told apart by their ids alone. */
  readonly first?: bigint;
  /** Where the stream goes on after this. */
  readonly next: bigint;
  /** Positions of the items, beside them, where there are positions. */
  readonly positions?: readonly bigint[];
  readonly items: readonly Intake[];
  /** The source of a journal has ended: nothing of it is outstanding. */
  readonly ended?: string;
}

/** What a step is given: the calls of the batch that are valid, each possibly for the second time, and what the ledger newly took. */
export interface StepInput { readonly taken: readonly Taken[]; readonly charged: readonly Charged[] }
/**
 * One more thing to be done with each batch, in the batch's own transaction: it is kept with the ledger's rows, or nothing is. It must bear to see a call
 * twice. Rejecting undoes the batch, which comes again.
 */
export type BatchStep = (sql: Sql, input: StepInput) => Promise<void>;

/** The stream goes on elsewhere than where the delivery begins: seek there. */
export interface Elsewhere { readonly seek: bigint }

export interface ConsumerOptions {
  readonly database: SqlDatabase;
  readonly pricing: () => Promise<Pricing>;
  readonly steps?: readonly BatchStep[];
  /** False: the stream is not of usage events, and only the steps are done. Default true. */
  readonly charges?: boolean;
  readonly log?: Pick<Log, 'warn'>;
}

/**
 * Takes deliveries into the ledger: entries, roll-ups, what was put aside, what was seen of each source, every further step, and how far the stream has come, in one
 * transaction. Any number of these may take the same stream at once, and be killed anywhere: each call counts once.
 */
export class LedgerConsumer {
  readonly #days = new Set<string>();
  constructor(private readonly options: ConsumerOptions) {}

  /** Resolves when the batch is in the database. Rejects with `Unavailable`, or whatever a step failed of; nothing is kept then. */
  async take(delivery: Delivery): Promise<Elsewhere | undefined> {
    const { database, steps = [], charges = true } = this.options;
    await this.#partitions(delivery.items);
    const pricing = await this.options.pricing();
    return database.control(async (sql) => {
      const cursor = await lockCursor(sql, delivery.stream);
      const { first, positions } = delivery;
      // What another consumer of the same partition took meanwhile is not taken again; a hole is never jumped over.
      if (first !== undefined && cursor !== undefined && first > cursor) return { seek: cursor };
      const items = positions === undefined || cursor === undefined ? delivery.items : delivery.items.filter((_, at) => (positions[at] ?? 0n) >= cursor);
      const taken = items.filter(isTaken);
      const refused = items.filter((item): item is Refused => !isTaken(item));
      const charged = charges ? await applyCharges(sql, taken.map(({ usage }) => usage), pricing) : [];
      await quarantine(sql, refused);
      if (charges) {
        await markSeen(sql, items, delivery.ended);
        await alertBudgets(sql, charged);
      }
      for (const step of steps) await step(sql, { taken, charged });
      await sql.query(`UPDATE ledger.cursors SET next = greatest(next, $2::text::bigint) WHERE stream = $1`, delivery.stream, String(delivery.next));
      if (refused.length > 0) this.options.log?.warn({ stream: delivery.stream, refused: refused.length, reason: refused[0]?.reason, detail: refused[0]?.detail }, 'usage events put aside');
      return undefined;
    });
  }

  /** Where a stream goes on; undefined: nothing of it was ever taken. */
  position(stream: string): Promise<bigint | undefined> {
    return this.options.database.control(async (sql) => {
      const [row] = await sql.query<{ next: string }>(`SELECT next::text AS next FROM ledger.cursors WHERE stream = $1`, stream);
      return row && BigInt(row.next);
    });
  }

  /** In a transaction of their own, before: making a partition locks the table. */
  async #partitions(items: readonly Intake[]): Promise<void> {
    const wanted = [...new Set(items.filter(isTaken).map(({ usage }) => dayOf(usage.at)))].filter((day) => !this.#days.has(day));
    if (wanted.length === 0) return;
    await makePartitions(this.options.database, wanted);
    for (const day of wanted) this.#days.add(day);
  }
}

/** Makes the partitions of these days, `YYYY-MM-DD`, where they are missing. */
export const makePartitions = (database: SqlDatabase, days: readonly string[]): Promise<void> => database.control(async (sql) => {
  await sql.query(`SELECT ledger.make_partitions(ARRAY(SELECT d::date FROM json_array_elements_text($1::json) AS d))::text AS made`, JSON.stringify(days));
});

async function lockCursor(sql: Sql, stream: string): Promise<bigint | undefined> {
  const [made] = await sql.query<{ next: string }>(`INSERT INTO ledger.cursors (stream, next) VALUES ($1, 0) ON CONFLICT DO NOTHING RETURNING next::text AS next`, stream);
  if (made) return undefined;
  const [row] = await sql.query<{ next: string }>(`SELECT next::text AS next FROM ledger.cursors WHERE stream = $1 FOR UPDATE`, stream);
  return row && BigInt(row.next);
}

async function quarantine(sql: Sql, refused: readonly Refused[]): Promise<void> {
  if (refused.length === 0) return;
  await sql.query(`INSERT INTO ledger.quarantine (key, tenant, reason, detail, event)
    SELECT DISTINCT ON (key) * FROM json_to_recordset($1::json) AS q(key text, tenant text, reason text, detail text, event text) ORDER BY key ON CONFLICT DO NOTHING`,
  JSON.stringify(refused.map(({ key, tenant, reason, detail, event }) => ({ key, tenant: tenant ?? null, reason, detail, event }))));
}

/** Sequence numbers are gapless at their source, so that what is missing can be told. */
async function markSeen(sql: Sql, items: readonly Intake[], ended: string | undefined): Promise<void> {
  const seen = items.flatMap((item) => (isTaken(item) ? [{ source: item.usage.source, seq: item.usage.seq }] : item.seen ? [item.seen] : []));
  if (seen.length > 0) {
    await sql.query(`INSERT INTO ledger.sources AS s (source, seen)
      SELECT source, range_agg(int8range(seq, seq + 1)) FROM json_to_recordset($1::json) AS k(source text, seq bigint) GROUP BY source ORDER BY source
      ON CONFLICT (source) DO UPDATE SET seen = s.seen + excluded.seen, last_at = clock_timestamp()`, JSON.stringify(seen));
  }
  if (ended !== undefined) await sql.query(`UPDATE ledger.sources SET ended = true WHERE source = $1`, ended);
}
