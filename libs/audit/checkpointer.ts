import type { Checkpoint, CheckpointSigner } from '#libs/audit/checkpoint.js';
import { lastCheckpoint, readHead, stateOf, walk } from '#libs/audit/stored-chain.js';
import { AuditBroken } from '#libs/core/audit-trail.js';
import type { Log } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';

/** The second place where checkpoints are kept, out of reach of whoever could alter the first. Resolves when they are durable there. */
export type Anchor = (checkpoints: readonly Checkpoint[]) => Promise<void>;

export interface CheckpointerOptions {
  readonly database: SqlDatabase;
  readonly signer: CheckpointSigner;
  /** A checkpoint is due after so many entries, or so many seconds since the last with any new entry. */
  readonly everyEntries: number;
  readonly everySeconds: number;
  /** Undefined: another process keeps them. */
  readonly anchor: Anchor | undefined;
  readonly log: Pick<Log, 'error'>;
  readonly now?: () => Date;
}

/** Signs what is true of each chain. What does not follow from the checkpoint before is never signed. */
export class Checkpointer {
  /** Chains that were found broken, so that each is said once. */
  readonly broken = new Map<string, AuditBroken>();
  #known = false;
  constructor(private readonly options: CheckpointerOptions) {}

  /** Signs what is due and hands on what the second place has not. */
  async tend(): Promise<void> {
    await this.#publishKey();
    for (const chain of await this.#due()) await this.sign(chain).catch((failure: unknown) => { if (!(failure instanceof AuditBroken)) throw failure; });
    await this.#anchor();
  }

  /** A checkpoint of the chain as it is now: the last one if nothing came since. Undefined: the chain is empty. Rejects with `AuditBroken`. */
  async sign(chain: string): Promise<Checkpoint | undefined> {
    const { database, signer, now = () => new Date() } = this.options;
    await this.#publishKey();
    const { head, last } = await database.control(async (sql) => ({ head: await readHead(sql, chain), last: await lastCheckpoint(sql, chain) }));
    if (head === undefined || head.seq === 0) return undefined;
    if (last?.checkpoint.seq === head.seq && last.checkpoint.head === head.hash) return last.checkpoint;
    try {
      if (last !== undefined && last.checkpoint.seq >= head.seq) throw new AuditBroken(chain, head.seq, `is the last one, and checkpoint ${last.checkpoint.number} vouches for ${last.checkpoint.seq}: the head was turned back`);
      const walked = await walk(database, chain, { after: stateOf(chain, last), to: head.seq });
      if (walked.hash !== head.hash) throw new AuditBroken(chain, head.seq, 'is not the one that the head was made of: it was changed');
      const checkpoint = signer.sign({ chain, ...walked }, last?.checkpoint, now());
      await database.control((sql) => sql.query(`INSERT INTO audit.checkpoints (chain, number, seq, at, checkpoint, frontier) VALUES ($1, $2::text::bigint, $3::text::bigint, $4::text::timestamptz, $5, $6::json) ON CONFLICT DO NOTHING`,
        chain, String(checkpoint.number), String(checkpoint.seq), checkpoint.at, JSON.stringify(checkpoint), JSON.stringify(walked.frontier)));
      this.broken.delete(chain);
      // Another process may have signed the same number first: what is stored counts.
      return (await database.control((sql) => lastCheckpoint(sql, chain)))?.checkpoint;
    } catch (failure) {
      if (failure instanceof AuditBroken && !this.broken.has(chain)) {
        this.broken.set(chain, failure);
        this.options.log.error({ chain, seq: failure.seq, problem: failure.message }, 'the audit trail is not as it was recorded: no checkpoint is signed over it');
      }
      throw failure;
    }
  }

  async #due(): Promise<readonly string[]> {
    const { database, everyEntries, everySeconds } = this.options;
    const rows = await database.control((sql) => sql.query<{ chain: string }>(
      `SELECT h.chain FROM audit.heads h LEFT JOIN LATERAL (SELECT c.seq, c.at FROM audit.checkpoints c WHERE c.chain = h.chain ORDER BY c.number DESC LIMIT 1) c ON true
       WHERE h.seq <> coalesce(c.seq, 0) AND (c.seq IS NULL OR h.seq < c.seq OR h.seq - c.seq >= $1::int OR c.at <= now() - make_interval(secs => $2::int)) ORDER BY h.chain`, everyEntries, everySeconds));
    return rows.map(({ chain }) => chain).filter((chain) => !this.broken.has(chain));
  }

  /** At least once: a crash in between hands them on again, and whoever reads them bears it. */
  async #anchor(): Promise<void> {
    const { database, anchor } = this.options;
    if (anchor === undefined) return;
    const rows = await database.control((sql) => sql.query<{ checkpoint: string }>(`SELECT checkpoint FROM audit.checkpoints WHERE anchored_at IS NULL ORDER BY chain, number LIMIT 1000`));
    if (rows.length === 0) return;
    const checkpoints = rows.map(({ checkpoint }) => JSON.parse(checkpoint) as Checkpoint);
    await anchor(checkpoints);
    await database.control((sql) => sql.query(`UPDATE audit.checkpoints c SET anchored_at = clock_timestamp() FROM json_to_recordset($1::json) AS n(chain text, number bigint) WHERE c.chain = n.chain AND c.number = n.number`,
      JSON.stringify(checkpoints.map(({ chain, number }) => ({ chain, number })))));
  }

  async #publishKey(): Promise<void> {
    if (this.#known) return;
    const { database, signer } = this.options;
    await database.control((sql) => sql.query(`INSERT INTO audit.keys (id, pem) VALUES ($1, $2) ON CONFLICT DO NOTHING`, signer.keyId, signer.publicKey));
    this.#known = true;
  }
}
