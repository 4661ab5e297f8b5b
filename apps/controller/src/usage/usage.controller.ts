import { Body, Get, HttpCode, Inject, Optional, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { USAGE_LEDGER } from '#libs/core/tokens.js';
import type { BillAnswer as Bill, UsageFilter, UsageLedger } from '#libs/core/usage-ledger.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { Problem } from '../http/problem.js';
import { isPlatformAdmin } from '../http/access.js';
import { principalOf } from '../http/request.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { refusals } from '../price-books/refusals.js';
import { billedTenant } from './billed-tenant.js';
import { csv, jsonLines } from './rows-as.js';
import { BillAnswer, BillQuery, CorrectionAnswer, ExportAnswer, ExportQuery, LedgerAnswer, LedgerQuery, MonthBody, ReconcileQuery, ReconciliationAnswer, SimulationBody, UsageAnswer, UsageQuery } from './usage-schemas.js';

const DAY_MS = 86_400_000;
type Asked = Pick<UsageQuery, 'tenant' | 'since' | 'until'> & Partial<Pick<UsageQuery, 'tool' | 'consumer' | 'outcome' | 'account'>>;

/** What was called and what it cost. */
@AdminController('', 'billing')
export class UsageController {
  constructor(@Inject(PARTS) private readonly parts: Pick<ControllerParts, 'now'>, @Optional() @Inject(USAGE_LEDGER) private readonly given?: UsageLedger) {}

  @Get('usage')
  @Describe('Usage and cost, summed by hour, day, tool, consumer, outcome or account', { 200: UsageAnswer })
  async getUsage(@Query({ schema: UsageQuery }) query: UsageQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object | string> {
    const filter = this.#filter(query, request);
    const rows = await this.#ledger.usage(filter, query.by);
    return as(query.format, reply, { rows, columns: [...query.by, 'calls', 'billed', 'requestBytes', 'responseBytes', 'backendMs', 'cost'], whole: { tenant: filter.tenant, since: filter.since.toISOString(), until: filter.until.toISOString(), rows } });
  }

  @Get('usage/export')
  @Describe('Hourly aggregates for a metering service: the same identifier is the same fact', { 200: ExportAnswer })
  async exportUsage(@Query({ schema: ExportQuery }) query: ExportQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object | string> {
    const aggregates = await this.#ledger.aggregates(this.#filter(query, request));
    return as(query.format, reply, { rows: aggregates, columns: ['identifier', 'tenant', 'meter', 'hour', 'revision', 'value', 'cost'], whole: { aggregates } });
  }

  @Get('ledger')
  @Describe('Entries of the ledger, in its order', { 200: LedgerAnswer })
  async getLedgerEntries(@Query({ schema: LedgerQuery }) query: LedgerQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object | string> {
    const { entries, nextCursor } = await this.#ledger.entries(this.#filter(query, request), { cursor: query.cursor, limit: query.limit });
    if (nextCursor !== undefined) void reply.header('x-next-cursor', nextCursor);
    return as(query.format, reply, { rows: entries, columns: ['id', 'revision', 'entry', 'at', 'tool', 'outcome', 'consumer', 'account', 'requestId', 'book', 'why', 'amount', 'lines'], whole: { entries, nextCursor: nextCursor ?? null } });
  }

  @Get('bills')
  @Describe('The bill of a month, as the ledger stands', { 200: BillAnswer })
  async getBill(@Query({ schema: BillQuery }) { tenant, month }: BillQuery, @Req() request: FastifyRequest): Promise<object> {
    return shown(await this.#ledger.bill(billedTenant(principalOf(request), tenant), month));
  }

  @Post('bills/simulate')
  @HttpCode(200)
  @Describe('What a month would have cost under another price book', { 200: BillAnswer })
  async simulateBill(@Body({ schema: SimulationBody }) { tenant, month, priceBook }: SimulationBody, @Req() request: FastifyRequest): Promise<object> {
    return shown(await refusals(this.#ledger.bill(billedTenant(principalOf(request), tenant), month, priceBook), ['body', 'priceBook']));
  }

  @Post('bills/close')
  @HttpCode(200)
  @Describe('Keep the bill of a month as it is now, with the next revision', { 200: BillAnswer })
  async closeBill(@Body({ schema: MonthBody }) { tenant, month }: MonthBody, @Req() request: FastifyRequest): Promise<object> {
    return shown(await this.#ledger.closeBill(billedTenant(principalOf(request), tenant), month));
  }

  @Post('ledger/correct')
  @HttpCode(200)
  @Describe('Reckon a month anew under the price books in force: what differs is reversed and charged again', { 200: CorrectionAnswer })
  correctLedger(@Body({ schema: MonthBody }) { tenant, month }: MonthBody, @Req() request: FastifyRequest): Promise<object> {
    return this.#ledger.correct(billedTenant(principalOf(request), tenant), month);
  }

  @Get('ledger/reconciliation')
  @Describe('Whether calls, records, ledger and roll-ups agree; each difference by call id', { 200: ReconciliationAnswer })
  async reconcile(@Query({ schema: ReconcileQuery }) query: ReconcileQuery, @Req() request: FastifyRequest): Promise<object> {
    const principal = principalOf(request);
    const platform = principal !== undefined && isPlatformAdmin(principal) && query.tenant === undefined;
    const { since, until } = this.#interval(query);
    const found = await this.#ledger.reconcile({ tenant: platform ? undefined : billedTenant(principal, query.tenant), since, until });
    // Gateways and their lives are the platform's to see.
    return platform ? found : { ...found, sources: [] };
  }

  get #ledger(): UsageLedger {
    if (!this.given) throw new Problem(404, 'Billing is not enabled here');
    return this.given;
  }
  #filter(query: Asked, request: FastifyRequest): UsageFilter {
    const { tool, consumer, outcome, account } = query;
    return { tenant: billedTenant(principalOf(request), query.tenant), ...this.#interval(query), tool, consumer, outcome, account };
  }
  #interval({ since, until }: Asked): { since: Date; until: Date } {
    const end = until === undefined ? this.parts.now() : new Date(until);
    return { since: since === undefined ? new Date(end.getTime() - DAY_MS) : new Date(since), until: end };
  }
}

const shown = (bill: Bill): object => ({ ...bill, revision: bill.revision ?? null });

function as(format: UsageQuery['format'], reply: FastifyReply, { rows, columns, whole }: { readonly rows: readonly object[]; readonly columns: readonly string[]; readonly whole: object }): object | string {
  if (format === 'json') return whole;
  void reply.type(format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl; charset=utf-8');
  return format === 'csv' ? csv(columns, rows) : jsonLines(rows);
}
