import { Readable } from 'node:stream';
import { Inject, Injectable, Optional } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { AuditBroken, type AuditRange, type AuditScope, type AuditTrail } from '#libs/core/audit-trail.js';
import { AUDIT_TRAIL } from '#libs/core/tokens.js';
import { csv } from '../usage/rows-as.js';
import { Problem } from '../http/problem.js';
import type { EntriesQuery, ExportQuery, STATUSES } from './audit-schemas.js';

const OUTCOMES: Readonly<Record<(typeof STATUSES)[number], readonly string[]>> = {
  success: ['success', 'input_required'], timeout: ['timeout'], rate_limited: ['rate_limited'], denied: ['denied'], error: ['error', 'denied', 'rejected', 'cancelled', 'unavailable', 'unknown'],
};
export const outcomesOf = (status: (typeof STATUSES)[number] | undefined): readonly string[] | undefined => (status === undefined ? undefined : OUTCOMES[status]);
const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));
const CSV_COLUMNS = ['seq', 'at', 'kind', 'id', 'requestId', 'subject', 'tool', 'action', 'endpoint', 'effect', 'rule', 'reason', 'outcome', 'code', 'ms', 'client', 'credential', 'prev'];

/** What every route of a trail does, a tenant's or the platform's. */
@Injectable()
export class AuditDesk {
  constructor(@Optional() @Inject(AUDIT_TRAIL) private readonly given?: AuditTrail) {}

  get trail(): AuditTrail {
    if (!this.given) throw new Problem(404, 'Audit is not enabled here');
    return this.given;
  }

  async entries(scope: AuditScope, { tool_name: tool, user: subject, status, kind, endpoint, request_id: requestId, from, to, limit, offset, cursor }: EntriesQuery): Promise<object> {
    const { rows, total } = await this.trail.query({ scope, tool, subject, kind, endpoint, requestId, outcomes: outcomesOf(status), from: dateOf(from), to: dateOf(to) }, { limit, offset, before: cursor });
    const last = rows.at(-1);
    return {
      entries: rows.map(({ seq, at, kind: what, id, subject: who, erased, facts, arguments: args }) => ({ seq, at, kind: what, id, subject: who ?? null, erased, facts, ...(args === undefined ? {} : { arguments: args }) })),
      total, nextCursor: rows.length === limit && last !== undefined && last.seq > 1 ? last.seq : null,
    };
  }

  /** Verified as a whole before its first byte is sent; it is cut where it should change meanwhile. */
  async export(scope: AuditScope, { format, from, to, verify }: ExportQuery, reply: FastifyReply): Promise<Readable> {
    const range: AuditRange = { from, to };
    const raw = verify === 'false';
    if (!raw) await unbroken(this.trail.check(scope, range));
    const lines = this.trail.export(scope, range, raw);
    void reply.type(format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8').header('content-disposition', `attachment; filename="audit-${scope ?? 'platform'}.${format}"`);
    return Readable.from(format === 'csv' ? csvLines(lines) : ended(lines));
  }
}

const unbroken = (checked: Promise<void>): Promise<void> => checked.catch((failure: unknown) => {
  if (failure instanceof AuditBroken) throw new Problem(409, `The audit trail is not as it was recorded: ${failure.message}. Nothing is exported; verify=false shows it as it is stored.`);
  throw failure;
});

async function* ended(lines: AsyncIterable<string>): AsyncGenerator<string> { for await (const line of lines) yield `${line}\n`; }

interface Line { readonly body?: { readonly seq: number; readonly at: string; readonly kind: string; readonly id: string; readonly prev: string; readonly facts: Readonly<Record<string, unknown>> }; readonly personal?: { readonly subject?: string } }
/** For people and spreadsheets; only JSON Lines can be verified again. */
async function* csvLines(lines: AsyncIterable<string>): AsyncGenerator<string> {
  yield csv(CSV_COLUMNS, []);
  const header = csv(CSV_COLUMNS, []).length;
  for await (const line of lines) {
    const { body, personal } = JSON.parse(line) as Line;
    if (body === undefined) continue;
    const { facts, ...rest } = body;
    yield csv(CSV_COLUMNS, [{ ...facts, ...(facts['decision'] as object | undefined), ...rest, subject: personal?.subject }]).slice(header);
  }
}
