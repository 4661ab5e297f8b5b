import { Controller, Get, HttpCode, Inject, Optional, Post, Req, UseFilters } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Catalogue } from '#libs/core/catalogue.js';
import type { PolicyDecisionPoint } from '#libs/core/ports.js';
import { CATALOGUE, POLICY } from '#libs/core/tokens.js';
import type { Listing } from '../mcp/listing.js';
import { LISTING, principalOf } from '../tokens.js';
import { invalid, Problem, ProblemFilter } from './problem.js';
import { jsonBody } from './rest-http.js';

/** STOA's business policies: those in force for the caller, and the dry run: what would be decided about the caller's own call, and nothing is called. */
@Controller('mcp/v1/policies')
@UseFilters(ProblemFilter)
export class PoliciesController {
  constructor(@Inject(LISTING) private readonly listing: Listing, @Inject(CATALOGUE) private readonly catalogue: Pick<Catalogue, 'snapshot'>, @Optional() @Inject(POLICY) private readonly policy?: PolicyDecisionPoint) {}

  @Get('rules')
  rules(@Req() request: FastifyRequest): object {
    const { tenant } = principalOf(request);
    const rules = this.policy?.rules?.(tenant) ?? [];
    return {
      rules: rules.map(({ name, description, tool, enabled, priority, count }) => ({ name, description: description ?? null, tool, enabled, priority, rules_count: count })),
      total_count: rules.length, engine_enabled: this.policy?.trace !== undefined,
    };
  }

  @Post('check')
  @HttpCode(200)
  async check(@Req() request: FastifyRequest): Promise<object> {
    const { name, args } = asked(jsonBody(request));
    const principal = principalOf(request);
    // A tool of the tenant's own that policy hides is known to a call too, which tells why it is refused.
    const snapshot = principal.tenant === undefined ? undefined : await this.catalogue.snapshot(principal.tenant);
    const target = snapshot?.tools.get(name) ?? await this.listing.find('tool', name, principal);
    if (!target) throw new Problem(404, `Tool not found: ${name}`);
    const traced = await this.policy?.trace?.({ principal, target, arguments: args, door: 'rest' });
    if (!traced) throw new Problem(501, 'No policy engine is configured: POLICY_MODE decides alike for every call');
    const { allow, ruleId, reason, obligations, tried, revision } = traced;
    const warnings = obligations.filter(({ kind }) => kind === 'warn');
    const rules = tried.filter(({ action }) => action !== undefined);
    const rule = allow ? warnings[0]?.rule_id : ruleId;
    const index = rules.findIndex((one) => one.rule === rule);
    return {
      allowed: allow, policy_name: rule ?? null, rule_index: index === -1 ? null : index, message: allow ? warnings[0]?.message ?? null : reason, action: allow ? (warnings.length > 0 ? 'warn' : 'allow') : 'deny',
      policy_revision: revision, obligations, tried,
    };
  }
}

function asked(body: unknown): { readonly name: string; readonly args: unknown } {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid({ loc: ['body'], msg: 'Input should be a valid dictionary', type: 'dict_type' });
  const { tool_name: name, arguments: args = {} } = body as Record<string, unknown>;
  if (typeof name !== 'string') throw invalid({ loc: ['body', 'tool_name'], msg: 'Field required', type: 'missing' });
  if (typeof args !== 'object' || args === null || Array.isArray(args)) throw invalid({ loc: ['body', 'arguments'], msg: 'Input should be a valid dictionary', type: 'dict_type' });
  return { name, args };
}
