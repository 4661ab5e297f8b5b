import type { Sql } from '#libs/core/sql.js';
import type { KeptLine } from './apply-charges.js';
import type { Usage } from './usage.js';

/** What of a call's charge is in force now: its newest charge or correction, at the place where the call first stood. */
export interface StoredEntry {
  readonly usage: Usage;
  readonly position: bigint;
  readonly account: string;
  readonly book: string;
  readonly amount: bigint;
  readonly lines: readonly KeptLine[];
  readonly revision: number;
  readonly why: string;
}

interface Row {
  readonly id: string; readonly position: string; readonly at: Date; readonly source: string; readonly seq: bigint; readonly tool: string; readonly outcome: Usage['outcome']; readonly consumer: string;
  readonly request_id: string | null; readonly account: string; readonly usage: Omit<Usage, 'id' | 'tenant' | 'at' | 'source' | 'seq' | 'tool' | 'outcome' | 'consumer' | 'requestId'>;
  readonly book: string; readonly amount: string; readonly lines: KeptLine[]; readonly revision: number; readonly why: string;
}
const PAGE = 2000;

/** A tenant's month in the order in which it was reckoned, in pages. `month` is its first day. */
export async function* storedEntries(sql: Sql, tenant: string, month: string): AsyncGenerator<StoredEntry[]> {
  for (let after = 0n, rows: Row[] | undefined; rows === undefined || rows.length === PAGE; after = BigInt(rows.at(-1)?.position ?? 0)) {
    rows = await sql.query<Row>(
      `SELECT c.id, c.position::text AS position, c.at, c.source, c.seq, c.tool, c.outcome, c.consumer, c.request_id, c.usage, coalesce(n.account, c.account) AS account, coalesce(n.book, c.book) AS book,
        coalesce(n.amount, c.amount)::text AS amount, coalesce(n.lines, c.lines) AS lines, coalesce(n.revision, 0) AS revision, coalesce(n.why, c.why) AS why
       FROM ledger.entries c LEFT JOIN LATERAL (SELECT * FROM ledger.entries r WHERE r.tenant = c.tenant AND r.event_date = c.event_date AND r.id = c.id AND r.entry = 'correction' ORDER BY revision DESC LIMIT 1) n ON true
       WHERE c.tenant = $1 AND c.month = $2::text::date AND c.event_date >= $2::text::date AND c.event_date < $2::text::date + interval '1 month' AND c.entry = 'charge' AND c.position > $3::text::bigint ORDER BY c.position LIMIT ${PAGE}`,
      tenant, month, String(after));
    yield rows.map((row) => ({
      usage: { ...row.usage, tenant, id: row.id, source: row.source, seq: Number(row.seq), at: row.at.getTime(), tool: row.tool, outcome: row.outcome, consumer: row.consumer, requestId: row.request_id },
      position: BigInt(row.position), account: row.account, book: row.book, amount: BigInt(row.amount), lines: row.lines, revision: row.revision, why: row.why,
    }));
  }
}
