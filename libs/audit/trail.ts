import { appendFacts, searched } from '#libs/audit/append.js';
import type { Checkpointer } from '#libs/audit/checkpointer.js';
import type { AuditBody, Personal } from '#libs/audit/entry.js';
import { chainOf, exportOf } from '#libs/audit/export-trail.js';
import { readCheckpoints } from '#libs/audit/stored-chain.js';
import type { AuditPage, AuditQuery, AuditRow, AuditTrail } from '#libs/core/audit-trail.js';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';

export interface TrailOptions {
  readonly database: SqlDatabase;
  /** Signs before an export, so that all of it is vouched for. Undefined: another process signs. */
  readonly checkpointer: Checkpointer | undefined;
  readonly now?: () => Date;
}

export function storedTrail({ database, checkpointer, now = () => new Date() }: TrailOptions): AuditTrail {
  return {
    query: (query, page) => database.control((sql) => readRows(sql, query, page)),
    export: async function* (scope, range, raw = false) {
      // Nobody signs what is broken; to look at it all the same is what `raw` is for.
      await checkpointer?.sign(chainOf(scope)).catch((failure: unknown) => { if (!raw) throw failure; });
      yield* exportOf(database, chainOf(scope), range, { raw, at: now() });
    },
    check: async (scope, range) => {
      await checkpointer?.sign(chainOf(scope));
      for await (const line of exportOf(database, chainOf(scope), range, { raw: false, at: now() })) void line;
    },
    erase: (scope, subject) => database.control((sql) => erase(sql, chainOf(scope), subject, now())),
    checkpoints: (scope) => database.control((sql) => readCheckpoints(sql, chainOf(scope))),
    keys: () => database.control(async (sql) => (await sql.query<{ id: string; pem: string; since: Date }>(`SELECT id, pem, since FROM audit.keys ORDER BY since, id`)).map(({ since, ...key }) => ({ ...key, since: since.toISOString() }))),
  };
}

interface Row { readonly chain: string; readonly seq: number; readonly body: string; readonly personal: string | null }

async function readRows(sql: Sql, query: AuditQuery, { limit, offset = 0, before }: AuditPage): Promise<{ readonly rows: readonly AuditRow[]; readonly total: number }> {
  const given: unknown[] = [];
  const where: string[] = [];
  const asked = (condition: string, value: unknown): void => {
    if (value === undefined) return;
    given.push(value);
    where.push(condition.replace('?', `$${given.length}`));
  };
  asked('chain = ?', query.scope === 'every' ? undefined : chainOf(query.scope));
  asked('tool = ?', query.tool === undefined ? undefined : searched(query.tool));
  asked('subject = ?', query.subject === undefined ? undefined : searched(query.subject));
  asked('kind = ?', query.kind);
  asked('id = ?', query.id);
  asked('endpoint = ?', query.endpoint);
  asked('request_id = ?', query.requestId);
  asked('outcome IN (SELECT json_array_elements_text(?::json))', query.outcomes === undefined ? undefined : JSON.stringify(query.outcomes));
  asked('at >= ?::text::timestamptz', query.from?.toISOString());
  asked('at <= ?::text::timestamptz', query.to?.toISOString());
  const conditions = where.length === 0 ? 'true' : where.join(' AND ');
  const [counted] = await sql.query<{ total: number }>(`SELECT count(*)::float8 AS total FROM audit.entries WHERE ${conditions}`, ...given);
  asked('seq < ?::text::bigint', before === undefined ? undefined : String(before));
  const rows = await sql.query<Row>(
    `SELECT chain, seq::float8 AS seq, body, personal FROM audit.entries WHERE ${where.length === 0 ? 'true' : where.join(' AND ')} ORDER BY ${query.scope === 'every' ? 'at DESC, chain, seq DESC' : 'seq DESC'} LIMIT ${Math.trunc(limit)} OFFSET ${Math.trunc(offset)}`, ...given);
  return { rows: rows.map(shown), total: counted?.total ?? 0 };
}

function shown({ chain, seq, body, personal }: Row): AuditRow {
  const { at, kind, id, facts, personal: digest } = JSON.parse(body) as AuditBody;
  const own = personal === null ? undefined : (JSON.parse(personal) as Personal);
  return { chain, seq, at, kind, id, facts, subject: own?.subject, arguments: own?.arguments, erased: digest !== undefined && own === undefined };
}

/** Of one tombstone. */
const MAX_RANGES = 10_000;

/** Under the lock of the chain's head, which the first statement of `appendFacts` takes: what is written meanwhile comes behind. */
async function erase(sql: Sql, chain: string, subject: string, at: Date): Promise<{ readonly erased: number; readonly tombstone: number | undefined }> {
  const rows = await sql.query<{ seq: number }>(`UPDATE audit.entries SET personal = NULL, subject = NULL WHERE chain = $1 AND subject = $2 RETURNING seq::float8 AS seq`, chain, searched(subject));
  if (rows.length === 0) return { erased: 0, tombstone: undefined };
  const ranges = rangesOf(rows.map(({ seq }) => seq));
  for (let start = 0; start < ranges.length; start += MAX_RANGES) {
    const erased = ranges.slice(start, start + MAX_RANGES);
    await appendFacts(sql, [{ chain, fact: { at, kind: 'tombstone', id: `erasure-${at.getTime()}-${start / MAX_RANGES}`, facts: { erased, entries: erased.reduce((sum, [from, to]) => sum + to - from + 1, 0) } } }]);
  }
  const [head] = await sql.query<{ seq: number }>(`SELECT seq::float8 AS seq FROM audit.heads WHERE chain = $1`, chain);
  return { erased: rows.length, tombstone: head?.seq };
}

function rangesOf(numbers: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === number - 1) last[1] = number; else ranges.push([number, number]);
  }
  return ranges;
}

/** Entries of a chain may not be removed, though their time has come: what is there is not what was recorded. */
class RetentionRefused extends Error { override get name(): string { return 'RetentionRefused'; } }

/**
 * Removes what is older than `before`, up to a checkpoint, and says so in the trail. Answers how many entries are gone, by chain. A chain of which
 * not all may be removed is left as it is, and `refused` is told.
 */
export async function retire(database: SqlDatabase, { before, now, refused }: { readonly before: Date; readonly now: Date; readonly refused: (chain: string, problem: string) => void }): Promise<ReadonlyMap<string, number>> {
  const chains = await database.control((sql) => sql.query<{ chain: string; first: number; through: number; number: number }>(
    `SELECT h.chain, h.first::float8 AS first, c.seq::float8 AS through, c.number::float8 AS number FROM audit.heads h
     CROSS JOIN LATERAL (SELECT c.seq, c.number FROM audit.checkpoints c WHERE c.chain = h.chain AND c.seq >= h.first
       AND c.seq < coalesce((SELECT min(e.seq) FROM audit.entries e WHERE e.chain = h.chain AND e.at >= $1::text::timestamptz), h.seq + 1) ORDER BY c.number DESC LIMIT 1) c ORDER BY h.chain`, before.toISOString()));
  const gone = new Map<string, number>();
  for (const { chain, first, through, number } of chains) {
    const removed = await database.control(async (sql) => {
      const [head] = await sql.query<{ first: number }>(`SELECT first::float8 AS first FROM audit.heads WHERE chain = $1 FOR UPDATE`, chain);
      if (head?.first !== first) return 0;
      const rows = await sql.query(`DELETE FROM audit.entries WHERE chain = $1 AND seq BETWEEN $2::text::bigint AND $3::text::bigint RETURNING seq::float8 AS seq`, chain, String(first), String(through));
      if (rows.length !== through - first + 1) throw new RetentionRefused(`of the entries ${first} to ${through} only ${rows.length} are there and past 41 days`);
      await sql.query(`UPDATE audit.heads SET first = $2::text::bigint WHERE chain = $1`, chain, String(through + 1));
      await appendFacts(sql, [{ chain, fact: { at: now, kind: 'retention', id: `retention-${through}`, facts: { through, entries: rows.length, before: before.toISOString(), checkpoint: number } } }]);
      return rows.length;
    }).catch((failure: unknown) => {
      if (!(failure instanceof RetentionRefused)) throw failure;
      refused(chain, failure.message);
      return 0;
    });
    if (removed > 0) gone.set(chain, removed);
  }
  return gone;
}
