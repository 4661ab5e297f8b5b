import type { BatchStep } from './consumer.js';
import { dayOf } from './usage.js';

/** Keeps whole records, so that a call can be explained later. One of a principal without tenant is kept under the name `default`. */
export const keepCallRecords: BatchStep = async (sql, { taken }) => {
  const records = taken.flatMap(({ record, usage }) => (record ? [{ tenant: usage.tenant, event_date: dayOf(record.at), id: record.id, request_id: clean(record.requestId), source: usage.source, record: stored(record) }] : []));
  if (records.length === 0) return;
  await sql.query(`INSERT INTO ledger.call_records (tenant, event_date, id, request_id, source, record)
    SELECT * FROM json_to_recordset($1::json) AS r(tenant text, event_date date, id text, request_id text, source text, record jsonb) ON CONFLICT DO NOTHING`, JSON.stringify(records));
};

const clean = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed();
/** `jsonb` holds neither U+0000 nor lone surrogates. */
const stored = (record: object): unknown => JSON.parse(JSON.stringify(record), (_key, value: unknown) => (typeof value === 'string' ? clean(value) : value));
