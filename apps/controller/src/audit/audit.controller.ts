import type { Readable } from 'node:stream';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res, UseFilters, UsePipes } from '@nestjs/common';
import { ApiBearerAuth, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { statusOf } from '#libs/audit/sinks.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { isPlatformAdmin, tenantNotFound } from '../http/access.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import { ProblemAnswer } from '../http/problem-schema.js';
import { ProblemFilter } from '../http/problem-filter.js';
import { principalOf } from '../http/request.js';
import { SchemaPipe } from '../http/schema-pipe.js';
import { AuditDesk, outcomesOf } from './audit-desk.js';
import { AuditLogsAnswer, AuditLogsQuery, CheckpointsAnswer, EntriesAnswer, EntriesQuery, ErasureAnswer, ErasureBody, ExportQuery, KeysAnswer, Lines, SeqField } from './audit-schemas.js';

const TENANT = { schema: TenantSlugField };

/** The trail of a tenant: its calls, and what was changed of it. */
@AdminController('tenants/:tenant/audit', 'audit')
export class AuditController {
  constructor(@Inject(AuditDesk) private readonly desk: AuditDesk) {}

  @Get()
  @Describe('Entries of the tenant\'s audit trail, newest first', { 200: EntriesAnswer })
  async listAuditEntries(@Param('tenant', TENANT) tenant: TenantSlug, @Query({ schema: EntriesQuery }) query: EntriesQuery): Promise<object> { return this.desk.entries(tenant, query); }

  @Get('export')
  @Describe('The trail, or a part of it, so that it can be verified without this product', { 200: Lines, 409: ProblemAnswer })
  async exportAudit(@Param('tenant', TENANT) tenant: TenantSlug, @Query({ schema: ExportQuery }) query: ExportQuery, @Res({ passthrough: true }) reply: FastifyReply): Promise<Readable> { return this.desk.export(tenant, query, reply); }

  @Get('entries/:seq')
  @Describe('One entry with the proof that it is in the tree of a signed checkpoint', { 200: Lines, 409: ProblemAnswer })
  async proveAuditEntry(@Param('tenant', TENANT) tenant: TenantSlug, @Param('seq', { schema: SeqField }) seq: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<Readable> { return this.desk.export(tenant, { format: 'jsonl', from: Number(seq), to: Number(seq), verify: 'true' }, reply); }

  @Get('checkpoints')
  @Describe('Signed checkpoints, oldest first: keep them where this product cannot write', { 200: CheckpointsAnswer })
  async listAuditCheckpoints(@Param('tenant', TENANT) tenant: TenantSlug): Promise<object> { return { checkpoints: await this.desk.trail.checkpoints(tenant) }; }

  @Post('erasures')
  @HttpCode(200)
  @Describe('Take out what is personal to a subject; a tombstone tells of it, and the trail still verifies', { 200: ErasureAnswer })
  async eraseAuditSubject(@Param('tenant', TENANT) tenant: TenantSlug, @Body({ schema: ErasureBody }) { subject }: ErasureBody): Promise<object> { return erased(await this.desk.trail.erase(tenant, subject)); }
}

/** The trail of what belongs to no tenant, and the keys of all. */
@AdminController('audit', 'audit')
export class PlatformAuditController {
  constructor(@Inject(AuditDesk) private readonly desk: AuditDesk) {}

  @Get()
  @Describe('Entries of the platform\'s audit trail, newest first', { 200: EntriesAnswer })
  async listPlatformAuditEntries(@Query({ schema: EntriesQuery }) query: EntriesQuery): Promise<object> { return this.desk.entries(undefined, query); }

  @Get('export')
  @Describe('The platform\'s trail, or a part of it', { 200: Lines, 409: ProblemAnswer })
  async exportPlatformAudit(@Query({ schema: ExportQuery }) query: ExportQuery, @Res({ passthrough: true }) reply: FastifyReply): Promise<Readable> { return this.desk.export(undefined, query, reply); }

  @Get('checkpoints')
  @Describe('Signed checkpoints of the platform\'s trail, oldest first', { 200: CheckpointsAnswer })
  async listPlatformAuditCheckpoints(): Promise<object> { return { checkpoints: await this.desk.trail.checkpoints(undefined) }; }

  @Get('keys')
  @Describe('Public keys that ever signed checkpoints here', { 200: KeysAnswer })
  async listAuditKeys(): Promise<object> { return { keys: await this.desk.trail.keys() }; }

  @Post('erasures')
  @HttpCode(200)
  @Describe('Take out what is personal to a subject from the platform\'s trail', { 200: ErasureAnswer })
  async erasePlatformAuditSubject(@Body({ schema: ErasureBody }) { subject }: ErasureBody): Promise<object> { return erased(await this.desk.trail.erase(undefined, subject)); }
}

const erased = ({ erased: count, tombstone }: { readonly erased: number; readonly tombstone: number | undefined }): object => ({ erased: count, tombstone: tombstone ?? null });

/** Calls as MCP Gateway's readers ask for them. */
@Controller('admin/audit-logs')
@UsePipes(new SchemaPipe())
@UseFilters(ProblemFilter)
@ApiTags('audit')
@ApiBearerAuth()
export class AuditLogsController {
  constructor(@Inject(AuditDesk) private readonly desk: AuditDesk) {}

  @Get()
  @Describe('Calls, as readers of MCP Gateway\'s audit logs ask for them; of every tenant for the platform\'s administrator', { 200: AuditLogsAnswer })
  async listAuditLogs(@Query({ schema: AuditLogsQuery }) query: AuditLogsQuery, @Req() request: FastifyRequest): Promise<object> {
    const principal = principalOf(request);
    if (principal === undefined) throw new Problem(401, 'Not authenticated');
    const asked = query.tenant as TenantSlug | undefined;
    const platform = isPlatformAdmin(principal);
    if (!platform && principal.tenant === undefined) throw new Problem(403, 'Access denied: this principal belongs to no tenant');
    if (!platform && asked !== undefined && asked !== principal.tenant) throw new Problem(404, tenantNotFound(asked));
    const { limit, offset, user_id: subject, tool_name: tool, endpoint_path: endpoint, status, start_time: from, end_time: to } = query;
    const { rows, total } = await this.desk.trail.query({
      scope: platform ? asked ?? 'every' : principal.tenant, kind: 'call', subject, tool, endpoint, outcomes: outcomesOf(status), from: utc(from), to: utc(to),
    }, { limit, offset });
    return {
      items: rows.map(({ chain, seq, at, subject: user, facts }) => ({
        id: `${chain}:${seq}`, timestamp: at, request_id: facts['requestId'] ?? null, user_id: user ?? null, tool_name: facts['tool'] ?? null, endpoint_path: facts['endpoint'] ?? null,
        status: statusOf(facts['outcome']) ?? 'error', duration_ms: facts['ms'] ?? null, error_code: facts['code'] ?? null,
      })),
      total, limit, offset,
    };
  }
}

/** A time without zone is in UTC. */
const utc = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(/(Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`));
