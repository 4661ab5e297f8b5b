import type { Checkpoint } from '#libs/audit/checkpoint.js';
import { type AuditBody, type Digest, digestOf, genesis } from '#libs/audit/entry.js';
import { append, EMPTY_FRONTIER, type Frontier } from '#libs/audit/merkle.js';
import { AuditBroken } from '#libs/core/audit-trail.js';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';

export interface StoredHead { readonly chain: string; readonly seq: number; readonly hash: Digest; readonly frontier: Frontier; readonly first: number }
export interface StoredCheckpoint { readonly checkpoint: Checkpoint; readonly frontier: Frontier }
export interface StoredEntry { readonly seq: number; readonly body: string; readonly personal: string | null }
/** A chain up to an entry: enough to check, and to prove, what comes behind. */
export interface ChainState { readonly seq: number; readonly hash: Digest; readonly frontier: Frontier }

const PAGE = 1000;

export async function readHead(sql: Sql, chain: string): Promise<StoredHead | undefined> {
  const [row] = await sql.query<StoredHead>(`SELECT chain, seq::float8 AS seq, hash, frontier, first::float8 AS first FROM audit.heads WHERE chain = $1`, chain);
  return row;
}

/** Ascending. */
export async function readCheckpoints(sql: Sql, chain: string, { from = 0 }: { /** Of entries from this one on. */ readonly from?: number } = {}): Promise<readonly Checkpoint[]> {
  const rows = await sql.query<{ checkpoint: string }>(`SELECT checkpoint FROM audit.checkpoints WHERE chain = $1 AND seq >= $2::text::bigint ORDER BY number`, chain, String(from));
  return rows.map(({ checkpoint }) => JSON.parse(checkpoint) as Checkpoint);
}

/** The last checkpoint of entries up to `seq`. */
export async function lastCheckpoint(sql: Sql, chain: string, seq = Number.MAX_SAFE_INTEGER): Promise<StoredCheckpoint | undefined> {
  const [row] = await sql.query<{ checkpoint: string; frontier: Frontier }>(`SELECT checkpoint, frontier FROM audit.checkpoints WHERE chain = $1 AND seq <= $2::text::bigint ORDER BY number DESC LIMIT 1`, chain, String(seq));
  return row && { checkpoint: JSON.parse(row.checkpoint) as Checkpoint, frontier: row.frontier };
}

export const stateOf = (chain: string, last: StoredCheckpoint | undefined): ChainState =>
  (last === undefined ? { seq: 0, hash: genesis(chain), frontier: EMPTY_FRONTIER } : { seq: last.checkpoint.seq, hash: last.checkpoint.head, frontier: last.frontier });

/** Entries in order, pages of them, each page in a transaction of its own. */
export async function* readEntries(database: SqlDatabase, chain: string, from: number, to: number): AsyncGenerator<readonly StoredEntry[]> {
  for (let next = from; next <= to;) {
    const rows = await database.control((sql) => sql.query<StoredEntry>(
      `SELECT seq::float8 AS seq, body, personal FROM audit.entries WHERE chain = $1 AND seq BETWEEN $2::text::bigint AND $3::text::bigint ORDER BY seq LIMIT ${PAGE}`, chain, String(next), String(to)));
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    next = last.seq + 1;
  }
}

/** The chain up to `to`, reckoned from what is stored behind `after`; `seen` is told the digest of each body. Rejects with `AuditBroken` naming the first entry that does not follow. */
export async function walk(database: SqlDatabase, chain: string, { after, to, seen }: { readonly after: ChainState; readonly to: number; readonly seen?: (digest: Digest) => void }): Promise<ChainState> {
  let { seq, hash, frontier } = after;
  for await (const page of readEntries(database, chain, seq + 1, to)) {
    for (const entry of page) {
      if (entry.seq !== seq + 1) throw new AuditBroken(chain, seq + 1, 'is missing');
      const body = bodyOf(chain, entry);
      if (body.prev !== hash || body.seq !== entry.seq || body.chain !== chain) throw new AuditBroken(chain, entry.seq, `does not follow entry ${seq}: that one or this one was changed`);
      seq = entry.seq;
      hash = digestOf(entry.body);
      frontier = append(frontier, hash);
      seen?.(hash);
    }
  }
  if (seq < to) throw new AuditBroken(chain, seq + 1, 'is missing');
  return { seq, hash, frontier };
}

export function bodyOf(chain: string, { seq, body }: Pick<StoredEntry, 'seq' | 'body'>): AuditBody {
  try { return JSON.parse(body) as AuditBody; } catch { throw new AuditBroken(chain, seq, 'is not JSON'); }
}
