import { readKeys } from '#libs/audit/checkpoint.js';
import { genesis, PLATFORM_CHAIN } from '#libs/audit/entry.js';
import { ExportLines } from '#libs/audit/export-line.js';
import { inclusionProofBehind } from '#libs/audit/merkle.js';
import { lastCheckpoint, readCheckpoints, readEntries, readHead, stateOf, type StoredEntry, type StoredHead, walk } from '#libs/audit/stored-chain.js';
import { AuditVerifier, type Fault } from '#libs/audit/verify.js';
import { AuditBroken, type AuditRange, type AuditScope } from '#libs/core/audit-trail.js';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';

export const chainOf = (scope: AuditScope): string => scope ?? PLATFORM_CHAIN;

/**
 * The lines of an export. `raw` takes everything as it is stored; otherwise the lines are verified as they go, and the first that is not as it was
 * recorded rejects with `AuditBroken`. Entries that come meanwhile are not in it.
 */
export async function* exportOf(database: SqlDatabase, chain: string, range: AuditRange, { raw, at }: { readonly raw: boolean; readonly at: Date }): AsyncGenerator<string> {
  const keys = readKeys((await database.control((sql) => sql.query<{ pem: string }>(`SELECT pem FROM audit.keys`))).map(({ pem }) => pem));
  const verifier = new AuditVerifier({ keys });
  const check = (fault: Fault | undefined): void => { if (fault !== undefined) throw new AuditBroken(chain, fault.seq, fault.problem); };
  for await (const line of lines(database, chain, range, { raw, at })) {
    if (!raw) {
      verifier.take(line);
      check(verifier.fault);
    }
    yield line;
  }
  if (!raw) check(verifier.finish().fault);
}

async function* lines(database: SqlDatabase, chain: string, range: AuditRange, { raw, at }: { readonly raw: boolean; readonly at: Date }): AsyncGenerator<string> {
  const head = await database.control((sql) => readHead(sql, chain)) ?? { chain, seq: 0, hash: genesis(chain), frontier: { size: 0, roots: [] }, first: 1 };
  const { from, to, whole } = await database.control((sql) => bounds(sql, head, range));
  const known = await database.control((sql) => lastCheckpoint(sql, chain, from - 1));
  const before = from === 1 ? stateOf(chain, undefined) : await walk(database, chain, { after: stateOf(chain, known), to: from - 1 }).catch((failure: unknown) => { if (raw && failure instanceof AuditBroken) return stateOf(chain, known); throw failure; });
  const checkpoints = await database.control((sql) => readCheckpoints(sql, chain, { from: from - 1 }));
  const out = new ExportLines({ chain, from, ...(whole ? {} : { to }), prev: before.hash, ...(from === 1 ? {} : { frontier: before.frontier }), exportedAt: at.toISOString() }, checkpoints);
  yield* out.begin();
  let last: StoredEntry | undefined;
  for await (const page of readEntries(database, chain, from, to)) {
    for (const entry of page) { yield* out.entry(entry.seq, lineOf(entry)); last = entry; }
  }
  const end = last?.seq ?? from - 1;
  if (end < to && !raw) throw new AuditBroken(chain, end + 1, 'is missing');
  if (whole) yield* out.rest();
  const { after } = out;
  if (whole || last === undefined || after === undefined || after.seq <= last.seq) return;
  // A part that ends between checkpoints: its last entry is proved to be in the tree of the next one.
  const digests: string[] = [];
  const until = await walk(database, chain, { after: before, to: last.seq - 1 });
  await walk(database, chain, { after: until, to: after.seq, seen: (digest) => { digests.push(digest); } });
  yield* out.end(inclusionProofBehind(until.frontier, digests));
}

const lineOf = ({ body, personal }: StoredEntry): string => `{"body":${body}${personal === null ? '' : `,"personal":${personal}`}}`;

/** Times are of what happened, entries in the order of their recording: a range by time goes from the first to the last entry of that time. */
async function bounds(sql: Sql, head: StoredHead, range: AuditRange): Promise<{ readonly from: number; readonly to: number; readonly whole: boolean }> {
  if (range.from === undefined && range.to === undefined) return { from: head.first, to: head.seq, whole: true };
  const seqAt = async (text: string, time: Date): Promise<number | undefined> => (await sql.query<{ seq: number | null }>(text, head.chain, time.toISOString()))[0]?.seq ?? undefined;
  const from = range.from instanceof Date ? await seqAt(`SELECT min(seq)::float8 AS seq FROM audit.entries WHERE chain = $1 AND at >= $2::text::timestamptz`, range.from) ?? head.seq + 1 : range.from ?? head.first;
  const to = range.to instanceof Date ? await seqAt(`SELECT max(seq)::float8 AS seq FROM audit.entries WHERE chain = $1 AND at <= $2::text::timestamptz`, range.to) ?? from - 1 : range.to ?? head.seq;
  const first = Math.max(from, head.first);
  return { from: first, to: Math.max(first - 1, Math.min(to, head.seq)), whole: false };
}
