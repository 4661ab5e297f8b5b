import { Get, Inject, Param, Query } from '@nestjs/common';
import { z } from 'zod';
import type { AuditRow } from '#libs/core/audit-trail.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField, text } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { AuditDesk } from './audit-desk.js';

const TENANT = { schema: TenantSlugField };
const CallIdField = z.string().regex(/^[0-9a-f]{15}-[1-9]\d{0,15}$/, 'must be a call id');
/** Calls that something went wrong with; a denial is an answer, not an error. */
const FAILED = ['error', 'timeout', 'unavailable', 'cancelled', 'unknown'] as const;
const SnapshotsQuery = z.strictObject({
  tool_name: text(256).optional(), outcome: z.enum(FAILED).optional(), from: z.iso.datetime({ offset: true }).optional(), to: z.iso.datetime({ offset: true }).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(50), offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
});
type SnapshotsQuery = z.infer<typeof SnapshotsQuery>;

const Snapshot = z.object({
  id: z.string(), at: z.string(), requestId: z.string(), traceId: z.string().nullable(), tool: z.string(), target: z.record(z.string(), z.unknown()).nullable(), outcome: z.string(), code: z.string().nullable(), reason: z.string().nullable(),
  ms: z.number(), backendMs: z.number(), attempts: z.number(), inForce: z.record(z.string(), z.unknown()), masked: z.int().meta({ description: 'Values that redaction replaced in what the call said.' }),
  arguments: z.unknown().meta({ description: 'As redaction left them; null where they were too large to keep, or erased.' }),
  replay: z.object({ curl: z.string().meta({ description: 'Makes the call again, with the masked arguments, for whoever has STOA_URL and STOA_TOKEN set.' }), complete: z.boolean().meta({ description: 'False: something of the arguments is masked or was not kept, so that it must be filled in.' }) }).nullable(),
}).meta({ id: 'ErrorSnapshot' });
type Snapshot = z.infer<typeof Snapshot>;
const Snapshots = z.object({ snapshots: z.array(Snapshot), total: z.int() }).meta({ id: 'ErrorSnapshots' });

/** Failed calls with what they said, masked, and a command that makes them again. */
@AdminController('tenants/:tenant/errors', 'audit')
export class ErrorSnapshotsController {
  constructor(@Inject(AuditDesk) private readonly desk: AuditDesk) {}

  @Get()
  @Describe('Calls that failed, newest first', { 200: Snapshots })
  async listErrorSnapshots(@Param('tenant', TENANT) tenant: TenantSlug, @Query({ schema: SnapshotsQuery }) { tool_name: tool, outcome, from, to, limit, offset }: SnapshotsQuery): Promise<z.infer<typeof Snapshots>> {
    const { rows, total } = await this.desk.trail.query({
      scope: tenant, kind: 'call', tool, outcomes: outcome === undefined ? FAILED : [outcome], from: from === undefined ? undefined : new Date(from), to: to === undefined ? undefined : new Date(to),
    }, { limit, offset });
    return { snapshots: rows.map(snapshotOf), total };
  }

  @Get(':id')
  @Describe('One failed call, by its call id', { 200: Snapshot })
  async getErrorSnapshot(@Param('tenant', TENANT) tenant: TenantSlug, @Param('id', { schema: CallIdField }) id: string): Promise<Snapshot> {
    const { rows: [row] } = await this.desk.trail.query({ scope: tenant, kind: 'call', id, outcomes: FAILED }, { limit: 1 });
    if (!row) throw notFound('Error', id);
    return snapshotOf(row);
  }
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0);
function snapshotOf({ id, at, facts, arguments: args }: AuditRow): Snapshot {
  const masked = numberOf(facts['redactions']);
  const tool = textOf(facts['tool']) ?? '';
  return {
    id, at, requestId: textOf(facts['requestId']) ?? '', traceId: textOf(facts['traceId']), tool, target: (facts['target'] as Record<string, unknown> | undefined) ?? null, outcome: textOf(facts['outcome']) ?? '', code: textOf(facts['code']), reason: textOf(facts['reason']),
    ms: numberOf(facts['ms']), backendMs: numberOf(facts['backendMs']), attempts: numberOf(facts['attempts']), inForce: facts['inForce'] as Record<string, unknown>, masked, arguments: args ?? null,
    replay: facts['what'] === 'tool' ? { curl: curlOf(tool, args), complete: args !== undefined && masked === 0 } : null,
  };
}

/** For a POSIX shell; what is within single quotes is nobody's to interpret. */
const quoted = (value: string): string => `'${value.replaceAll('\'', String.raw`'\''`)}'`;
const curlOf = (tool: string, args: unknown): string =>
  `curl -sS -X POST "$STOA_URL"/mcp/v1/tools/${quoted(encodeURIComponent(tool))}/invoke -H "Authorization: Bearer $STOA_TOKEN" -H 'Content-Type: application/json' --data-raw ${quoted(JSON.stringify({ name: tool, arguments: args ?? {} }))}`;
