import type { ChainFact } from '#libs/audit/call-fact.js';
import { type AuditFact, type ChainHead, emptyChain, extend, type Extended } from '#libs/audit/chain.js';
import { type Digest, genesis } from '#libs/audit/entry.js';
import { EMPTY_FRONTIER, type Frontier } from '#libs/audit/merkle.js';
import type { Sql } from '#libs/core/sql.js';

interface HeadRow { readonly chain: string; readonly seq: number; readonly hash: Digest; readonly frontier: Frontier }

/**
 * Writes facts behind the heads of their chains, in the order given, within the transaction of `sql` (of the control role). The head's row is
 * locked until that ends: a chain has one writer at a time, whoever they are. A call that its chain has already is left out. Answers how many
 * entries were written.
 */
export async function appendFacts(sql: Sql, facts: readonly ChainFact[]): Promise<number> {
  if (facts.length === 0) return 0;
  const heads = await lockHeads(sql, [...new Set(facts.map(({ chain }) => chain))]);
  const known = await knownCalls(sql, facts);
  const entries: Extended[] = [];
  for (const { chain, fact } of facts) {
    const key = `${chain}\0${fact.id}`;
    if (fact.kind === 'call') {
      if (known.has(key)) continue;
      known.add(key);
    }
    const made = extendAlways(heads.get(chain) ?? emptyChain(chain), fact);
    heads.set(chain, made.head);
    entries.push(made);
  }
  if (entries.length === 0) return 0;
  await insertEntries(sql, entries);
  await sql.query(`UPDATE audit.heads h SET seq = n.seq, hash = n.hash, frontier = n.frontier FROM json_to_recordset($1::json) AS n(chain text, seq bigint, hash text, frontier json) WHERE h.chain = n.chain`, JSON.stringify([...heads.values()]));
  return entries.length;
}

/** In one order, so that two writers cannot wait for one another. */
async function lockHeads(sql: Sql, chains: readonly string[]): Promise<Map<string, ChainHead>> {
  const sorted = chains.toSorted();
  await sql.query(`INSERT INTO audit.heads (chain, seq, hash, frontier) SELECT chain, 0, hash, frontier FROM json_to_recordset($1::json) AS n(chain text, hash text, frontier json) ORDER BY chain ON CONFLICT DO NOTHING`,
    JSON.stringify(sorted.map((chain) => ({ chain, hash: genesis(chain), frontier: EMPTY_FRONTIER }))));
  const rows = await sql.query<HeadRow>(`SELECT chain, seq::float8 AS seq, hash, frontier FROM audit.heads WHERE chain IN (SELECT json_array_elements_text($1::json)) ORDER BY chain FOR UPDATE`, JSON.stringify(sorted));
  return new Map(rows.map((row) => [row.chain, row]));
}

async function knownCalls(sql: Sql, facts: readonly ChainFact[]): Promise<Set<string>> {
  const calls = facts.filter(({ fact }) => fact.kind === 'call').map(({ chain, fact: { id } }) => ({ chain, id }));
  if (calls.length === 0) return new Set();
  const rows = await sql.query<{ chain: string; id: string }>(`SELECT e.chain, e.id FROM json_to_recordset($1::json) AS n(chain text, id text) JOIN audit.entries e ON e.chain = n.chain AND e.id = n.id AND e.kind = 'call'`, JSON.stringify(calls));
  return new Set(rows.map(({ chain, id }) => `${chain}\0${id}`));
}

async function insertEntries(sql: Sql, entries: readonly Extended[]): Promise<void> {
  await sql.query(`INSERT INTO audit.entries (chain, seq, at, kind, id, body, personal, subject, request_id, tool, outcome, endpoint, ms, code)
    SELECT chain, seq, at, kind, id, body, personal, subject, request_id, tool, outcome, endpoint, ms, code
    FROM json_to_recordset($1::json) AS n(chain text, seq bigint, at timestamptz, kind text, id text, body text, personal text, subject text, request_id text, tool text, outcome text, endpoint text, ms int, code text)`,
  JSON.stringify(entries.map(({ entry: { body, personal }, text }) => ({
    chain: body.chain, seq: body.seq, at: body.at, kind: body.kind, id: body.id, body: text.body, personal: text.personal ?? null, subject: searched(personal?.subject),
    request_id: searched(body.facts['requestId']), tool: searched(body.facts['tool']), outcome: searched(body.facts['outcome']), endpoint: searched(body.facts['endpoint']), code: searched(body.facts['code']),
    ms: typeof body.facts['ms'] === 'number' ? Math.min(2_147_483_647, Math.round(body.facts['ms'])) : null,
  }))));
}

/** As the columns to search by hold it: an index takes no longer one, and Postgres no NUL. */
export const searched = (value: unknown): string | null => (typeof value === 'string' ? value.slice(0, 256).replaceAll('\0', '\uFFFD').toWellFormed() : null);

/** What has no canonical form must not stop the chain: lone surrogates become U+FFFD, what is nested too deeply is left out. */
function extendAlways(head: ChainHead, fact: AuditFact): Extended {
  try { return extend(head, fact); } catch { return extend(head, { ...fact, facts: storable(fact.facts, 0) as AuditFact['facts'], ...(fact.personal ? { personal: storable(fact.personal, 0) as NonNullable<AuditFact['personal']> } : {}) }); }
}
const MAX_DEPTH = 64;
function storable(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'object' || value === null) return typeof value === 'boolean' || value === undefined ? value : null;
  if (depth === MAX_DEPTH) return null;
  if (Array.isArray(value)) return value.map((item: unknown) => storable(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name.toWellFormed(), storable(member, depth + 1)]));
}
