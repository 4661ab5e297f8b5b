import { type AuditSink, sinkRecord } from '#libs/audit/sinks.js';
import { readEntries, type StoredEntry } from '#libs/audit/stored-chain.js';
import type { Log } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';

const AT_ONCE = 100;
/** A process that dies while it tells a sink is waited for so long. */
const HOLD_SECONDS = 60;
const BACKOFF_MS = [1000, 2000, 5000, 15_000, 60_000];
/** A look that finds a long backlog goes on no longer than this, so that others have their turn. */
const ROUNDS = 20;

interface Behind { readonly chain: string; readonly seq: number; readonly head: number }

/**
 * Tells each sink every entry, of each chain in order, at least once: how far it came is kept in the database and moves on when the sink has taken
 * them. A sink that is new is told what comes from then on. One that fails is tried again after a while and holds up no other.
 */
export class SinkFeed {
  readonly #waits = new Map<string, { readonly until: number; readonly attempt: number }>();
  readonly #known = new Set<string>();
  failures = 0;
  constructor(private readonly options: { readonly database: SqlDatabase; readonly sinks: readonly AuditSink[]; readonly log: Pick<Log, 'warn'>; readonly now?: () => number }) {}

  /** Answers how many entries were told. Rejects when the store cannot be reached. */
  async tend(): Promise<number> {
    const told = await Promise.all(this.options.sinks.map((sink) => this.#feed(sink)));
    return told.reduce((sum, count) => sum + count, 0);
  }

  async #feed(sink: AuditSink): Promise<number> {
    const { now = Date.now } = this.options;
    await this.#introduce(sink);
    if ((this.#waits.get(sink.name)?.until ?? 0) > now()) return 0;
    let told = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const behind = await this.#hold(sink);
      if (behind === undefined) break;
      const entries = await this.#entries(behind);
      try {
        if (entries.length > 0) await sink.deliver(entries.map(sinkRecord));
      } catch (failure) {
        const attempt = (this.#waits.get(sink.name)?.attempt ?? -1) + 1;
        this.#waits.set(sink.name, { until: now() + (BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] ?? 0), attempt });
        this.failures += 1;
        this.options.log.warn({ sink: sink.name, chain: behind.chain, from: behind.seq + 1, err: failure }, 'an audit sink did not take records: they are told again');
        await this.#advance(sink, behind, behind.seq);
        return told;
      }
      this.#waits.delete(sink.name);
      await this.#advance(sink, behind, entries.at(-1)?.seq ?? behind.head);
      told += entries.length;
    }
    return told;
  }

  async #entries({ chain, seq, head }: Behind): Promise<readonly StoredEntry[]> {
    for await (const page of readEntries(this.options.database, chain, seq + 1, Math.min(head, seq + AT_ONCE))) return page;
    return [];
  }

  /** The chain that is furthest behind and nobody else is at, or none. */
  async #hold(sink: AuditSink): Promise<Behind | undefined> {
    return this.options.database.control(async (sql) => {
      await sql.query(`INSERT INTO audit.deliveries (sink, chain, seq) SELECT $1, h.chain, 0 FROM audit.heads h WHERE NOT EXISTS (SELECT 1 FROM audit.deliveries d WHERE d.sink = $1 AND d.chain = h.chain) ON CONFLICT DO NOTHING`, sink.name);
      const [row] = await sql.query<Behind>(`SELECT d.chain, greatest(d.seq, h.first - 1)::float8 AS seq, h.seq::float8 AS head FROM audit.deliveries d JOIN audit.heads h ON h.chain = d.chain
        WHERE d.sink = $1 AND d.seq < h.seq AND (d.held_until IS NULL OR d.held_until < now()) ORDER BY h.seq - d.seq DESC LIMIT 1 FOR UPDATE OF d SKIP LOCKED`, sink.name);
      if (row) await sql.query(`UPDATE audit.deliveries SET held_until = now() + make_interval(secs => ${HOLD_SECONDS}) WHERE sink = $1 AND chain = $2`, sink.name, row.chain);
      return row;
    });
  }
  async #advance(sink: AuditSink, { chain }: Behind, seq: number): Promise<void> {
    await this.options.database.control((sql) => sql.query(`UPDATE audit.deliveries SET seq = greatest(seq, $3::text::bigint), held_until = NULL WHERE sink = $1 AND chain = $2`, sink.name, chain, String(seq)));
  }

  /** What was there before a sink was is not told to it. */
  async #introduce(sink: AuditSink): Promise<void> {
    if (this.#known.has(sink.name)) return;
    await this.options.database.control(async (sql) => {
      const [fresh] = await sql.query(`INSERT INTO audit.deliveries (sink, chain, seq) VALUES ($1, '', 0) ON CONFLICT DO NOTHING RETURNING sink`, sink.name);
      if (fresh) await sql.query(`INSERT INTO audit.deliveries (sink, chain, seq) SELECT $1, chain, seq FROM audit.heads ON CONFLICT DO NOTHING`, sink.name);
    });
    this.#known.add(sink.name);
  }
}
