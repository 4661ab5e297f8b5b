import { z } from 'zod';
import { TenantSlugField, text } from '../http/fields.js';

const time = z.iso.datetime({ offset: true });
const seq = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
export const STATUSES = ['success', 'error', 'timeout', 'rate_limited', 'denied'] as const;

const filter = {
  tool_name: text(256).optional(), user: text(1024).optional().meta({ description: 'Subject of whoever called or changed something.' }),
  status: z.enum(STATUSES).optional().meta({ description: '`error` is everything that neither succeeded, timed out nor was limited; `denied` is part of it.' }),
  kind: z.enum(['call', 'admin', 'tombstone', 'retention']).optional(), endpoint: text(256).optional(), request_id: text(128).optional(), from: time.optional(), to: time.optional(),
};
export const EntriesQuery = z.strictObject({ ...filter, limit: z.coerce.number().int().min(1).max(1000).default(100), offset: z.coerce.number().int().min(0).max(1_000_000).default(0), cursor: seq.optional().meta({ description: 'The answer\'s `nextCursor`: entries before it.' }) });
export type EntriesQuery = z.infer<typeof EntriesQuery>;

/** An entry's number, or a time. */
const place = z.string().regex(/^([1-9]\d{0,14}|\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:\d{2}))$/, 'must be an entry\'s number, or a time such as 2026-11-01T00:00:00Z').transform((value, context) => {
  const found = value.includes('T') ? new Date(value) : Number(value);
  if (!Number.isNaN(Number(found))) return found;
  context.issues.push({ code: 'custom', message: 'is no time', input: value });
  return z.NEVER;
}).optional();
export const ExportQuery = z.strictObject({
  format: z.enum(['jsonl', 'csv']).default('jsonl'), from: place.meta({ description: 'A time, or an entry\'s number.' }), to: place,
  verify: z.enum(['true', 'false']).default('true').meta({ description: '`false`: as it is stored, for whoever looks into a trail that does not verify.' }),
});
export type ExportQuery = z.infer<typeof ExportQuery>;
export const SeqField = z.string().regex(/^[1-9]\d{0,14}$/, 'must be an entry\'s number');
export const Lines = z.string().meta({ id: 'AuditExport', description: 'JSON Lines (docs/audit.md), or CSV with `format=csv`.' });
export const ErasureBody = z.strictObject({ subject: text(1024).min(1) }).meta({ id: 'AuditErasureBody' });
export type ErasureBody = z.infer<typeof ErasureBody>;

/** As MCP Gateway's `/admin/audit-logs` takes it. */
export const AuditLogsQuery = z.object({
  user_id: text(1024).optional(), tool_name: text(256).optional(), endpoint_path: text(256).optional(), status: z.enum(STATUSES).optional(), start_time: z.iso.datetime({ offset: true, local: true }).optional(), end_time: z.iso.datetime({ offset: true, local: true }).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100), offset: z.coerce.number().int().min(0).max(1_000_000).default(0), tenant: TenantSlugField.optional(),
});
export type AuditLogsQuery = z.infer<typeof AuditLogsQuery>;

export const EntriesAnswer = z.object({
  entries: z.array(z.object({
    seq: z.int(), at: z.string(), kind: z.string(), id: z.string(), subject: z.string().nullable().meta({ description: 'Null where it was erased.' }), erased: z.boolean(),
    facts: z.record(z.string(), z.unknown()), arguments: z.unknown().optional(),
  })),
  total: z.int(), nextCursor: z.int().nullable(),
}).meta({ id: 'AuditEntries' });
export const AuditLogsAnswer = z.object({
  items: z.array(z.object({
    id: z.string(), timestamp: z.string(), request_id: z.string().nullable(), user_id: z.string().nullable(), tool_name: z.string().nullable(), endpoint_path: z.string().nullable(),
    status: z.enum(['success', 'error', 'timeout', 'rate_limited']), duration_ms: z.number().nullable(), error_code: z.string().nullable(),
  })),
  total: z.int(), limit: z.int(), offset: z.int(),
}).meta({ id: 'AuditLogs' });
export const ErasureAnswer = z.object({ erased: z.int().meta({ description: 'Entries whose personal part was taken out.' }), tombstone: z.int().nullable().meta({ description: 'The entry that tells of it.' }) }).meta({ id: 'AuditErasure' });
export const KeysAnswer = z.object({ keys: z.array(z.object({ id: z.string(), pem: z.string(), since: z.string() })) }).meta({ id: 'AuditKeys' });
export const CheckpointsAnswer = z.object({ checkpoints: z.array(z.record(z.string(), z.unknown())) }).meta({ id: 'AuditCheckpoints' });
