import type { Checkpoint } from '#libs/audit/checkpoint.js';
import type { SqlDatabase } from '#libs/core/sql.js';

/** How far the topic has come is kept beside how far sinks have, by the checkpoints' numbers. */
const PLACE = 'topic of checkpoints';

/**
 * Copies signed checkpoints that were not copied yet to one more place, of each chain in order, and remembers that. At least once: a crash in between
 * sends them again. Answers how many.
 */
export async function sendCheckpoints(database: SqlDatabase, send: (checkpoints: readonly Checkpoint[]) => Promise<void>): Promise<number> {
  const rows = await database.control((sql) => sql.query<{ checkpoint: string }>(
    `SELECT c.checkpoint FROM audit.checkpoints c LEFT JOIN audit.deliveries d ON d.sink = $1 AND d.chain = c.chain WHERE c.number > coalesce(d.seq, 0) ORDER BY c.chain, c.number LIMIT 500`, PLACE));
  if (rows.length === 0) return 0;
  const checkpoints = rows.map(({ checkpoint }) => JSON.parse(checkpoint) as Checkpoint);
  await send(checkpoints);
  const last = new Map(checkpoints.map(({ chain, number }) => [chain, number]));
  await database.control((sql) => sql.query(`INSERT INTO audit.deliveries AS d (sink, chain, seq) SELECT $1, chain, number FROM json_to_recordset($2::json) AS n(chain text, number bigint) ORDER BY chain
    ON CONFLICT (sink, chain) DO UPDATE SET seq = greatest(d.seq, excluded.seq)`, PLACE, JSON.stringify([...last].map(([chain, number]) => ({ chain, number })))));
  return rows.length;
}
