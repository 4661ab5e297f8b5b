import { Controller, Get, Header, Inject, Param, Post, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Ending } from '#libs/core/call.js';
import type { Catalogue } from '#libs/core/catalogue.js';
import { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { CATALOGUE } from '#libs/core/tokens.js';
import { restAnswer } from '../error-mapping.js';
import type { Listing } from '../mcp/listing.js';
import { isPlatformAdmin } from '../platform/platform-tool.js';
import { LISTING, principalOf, RUN_CALL } from '../tokens.js';
import { invalid, Problem, ProblemFilter } from './problem.js';
import { page, type RawQuery, text } from './query.js';
import { reached, restCall, tellOfCall } from './rest-call.js';
import { jsonBody } from './rest-http.js';
import { toolJson } from './shapes.js';

const JSON_TYPE = 'application/json; charset=utf-8';

/** STOA's tool routes. Every answer, count included, is made of what the caller may see. */
@Controller('mcp/v1/tools')
@UseFilters(ProblemFilter)
export class ToolsController {
  constructor(
    @Inject(RUN_CALL) private readonly runCall: RunCall,
    @Inject(LISTING) private readonly listing: Listing,
    @Inject(CATALOGUE) private readonly catalogue: Pick<Catalogue, 'snapshot'>,
  ) {}

  @Get()
  @Header('content-type', JSON_TYPE)
  async list(@Req() request: FastifyRequest, @Query() query: RawQuery): Promise<string> {
    const matching = (await visible(this.listing, 'tool', request, query)).filter(filterOf(query));
    const { items, nextCursor, total } = page(matching, query);
    return `{"tools":[${items.map((target) => this.json(target)).join(',')}],"nextCursor":${JSON.stringify(nextCursor)},"total_count":${total}}`;
  }

  @Get('categories')
  async categories(@Req() request: FastifyRequest): Promise<object> {
    const counts = count((await visible(this.listing, 'tool', request, {})).flatMap(({ category }) => category ?? []));
    return { categories: counts.map(([name, n]) => ({ name, count: n })) };
  }

  @Get('tags')
  async tags(@Req() request: FastifyRequest): Promise<object> {
    const counts = count((await visible(this.listing, 'tool', request, {})).flatMap(({ tags }) => [...new Set(tags)]));
    return { tags: counts.map(([tag]) => tag), tagCounts: Object.fromEntries(counts) };
  }

  @Get(':name')
  @Header('content-type', JSON_TYPE)
  async detail(@Req() request: FastifyRequest, @Param('name') name: string): Promise<string> {
    const target = await this.listing.find('tool', name, principalOf(request));
    if (!target) throw new Problem(404, `Tool not found: ${name}`);
    return this.json(target);
  }

  @Post(':name/invoke')
  async invoke(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('name') name: string): Promise<void> {
    const asked = invocation(jsonBody(request));
    const call = restCall(request, reply, { kind: 'tool', name, arguments: asked.arguments, confirmToken: asked.confirmToken ?? headerText(request, 'x-confirm-token') });
    const result = await this.runCall(call);
    if (reply.raw.destroyed) return;
    tellOfCall(reply, call);
    const ms = Math.round(performance.now() - call.startedAt);
    const requestId = asked.requestId ?? request.id;
    if (result instanceof Denial && !isBackendFailure(result)) {
      const { status, headers, body } = restAnswer(result);
      void reply.status(status).headers(headers).type(JSON_TYPE).send(JSON.stringify(body));
      return;
    }
    const tool: ToolResult = result instanceof Denial
      ? { type: 'tool', content: [{ type: 'text', text: result.message }], isError: true, ...(result.backendStatus === undefined ? {} : { backendStatus: result.backendStatus }) }
      : result.type === 'tool' ? result : { type: 'tool', content: [{ type: 'text', text: 'The tool needs input that this door cannot ask for; call it over MCP.' }], isError: true };
    const status = result instanceof Denial ? restAnswer(result).status : result.type === 'tool' ? statusOf(tool, reached(call)) : 409;
    void reply.status(status).type(JSON_TYPE).send(invokeJson(tool, { name, requestId, ms }));
  }

  private json(target: Target): string {
    const snapshot = target.tenant === undefined ? undefined : this.catalogue.snapshot(target.tenant);
    const api = snapshot === undefined || snapshot instanceof Promise || target.apiId === undefined ? undefined : snapshot.apis.get(target.apiId);
    return toolJson(target, api?.baseUrl);
  }
}

/** Everything of a kind that the caller may see, of the tenant it asks for: its own, or any for a platform administrator. */
export async function visible(listing: Listing, kind: Target['kind'], request: FastifyRequest, query: RawQuery): Promise<readonly Target[]> {
  const principal = principalOf(request);
  const asked = text(query, 'tenant_id');
  if (asked === undefined || asked === '' || asked === principal.tenant) return (await listing.list(kind, principal)).items;
  if (!isPlatformAdmin(principal)) throw new Problem(403, `Access to tenant '${asked}' denied`);
  return (await listing.list(kind, { ...principal, tenant: tenantSlug(asked) })).items;
}

function filterOf(query: RawQuery): (target: Target) => boolean {
  const tags = [text(query, 'tag') ?? '', ...(text(query, 'tags') ?? '').split(',')].map((tag) => tag.trim()).filter((tag) => tag !== '');
  const category = text(query, 'category')?.toLowerCase();
  const search = text(query, 'search')?.toLowerCase();
  return (target) => tags.every((tag) => target.tags.includes(tag))
    && (category === undefined || target.category?.toLowerCase() === category)
    && (search === undefined || target.name.toLowerCase().includes(search) || target.description.toLowerCase().includes(search));
}

function count(values: readonly string[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function invocation(body: unknown): { readonly arguments: unknown; readonly requestId: string | undefined; readonly confirmToken: string | undefined } {
  if (body === undefined) throw invalid({ loc: ['body'], msg: 'Field required', type: 'missing' });
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid({ loc: ['body'], msg: 'Input should be a valid dictionary or object to extract fields from', type: 'model_attributes_type' });
  const { name, arguments: args = {}, request_id: requestId, confirm_token: confirmToken } = body as Record<string, unknown>;
  if (name !== undefined && typeof name !== 'string') throw invalid({ loc: ['body', 'name'], msg: 'Input should be a valid string', type: 'string_type' });
  if (typeof args !== 'object' || args === null || Array.isArray(args)) throw invalid({ loc: ['body', 'arguments'], msg: 'Input should be a valid dictionary', type: 'dict_type' });
  if (requestId !== undefined && requestId !== null && typeof requestId !== 'string') throw invalid({ loc: ['body', 'request_id'], msg: 'Input should be a valid string', type: 'string_type' });
  if (confirmToken !== undefined && confirmToken !== null && typeof confirmToken !== 'string') throw invalid({ loc: ['body', 'confirm_token'], msg: 'Input should be a valid string', type: 'string_type' });
  return { arguments: args, requestId: requestId ?? undefined, confirmToken: confirmToken ?? undefined };
}

const headerText = (request: FastifyRequest, name: string): string | undefined => { const value = request.headers[name]; return typeof value === 'string' ? value : undefined; };
const isBackendFailure = ({ code }: Denial): boolean => code.startsWith('BACKEND_') || code === 'EGRESS_REFUSED' || code === 'CREDENTIAL_MISSING';

/** A backend that failed is 502, one that was too slow 504; the gateway's own tools fail inside a 200, as their callers expect. */
function statusOf(tool: ToolResult, { target, answer }: Ending['reached']): number {
  if (!tool.isError || target?.backend.kind === 'builtin') return 200;
  return answer?.outcome === 'timeout' ? 504 : 502;
}

function invokeJson(tool: ToolResult, { name, requestId, ms }: { readonly name: string; readonly requestId: string; readonly ms: number }): string {
  const structured = tool.structuredJson === undefined ? '' : `,"structuredContent":${tool.structuredJson}`;
  return `{"result":{"content":${JSON.stringify(tool.content)},"isError":${tool.isError},"request_id":${JSON.stringify(requestId)},"latency_ms":${ms}`
    + `,"backend_status":${tool.backendStatus ?? 'null'},"metadata":${tool.meta ? JSON.stringify(tool.meta) : 'null'}${structured}}`
    + `,"toolName":${JSON.stringify(name)},"invoked_at":"${new Date().toISOString()}"}`;
}
