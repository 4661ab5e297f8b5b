import { Inject, Injectable, Optional } from '@nestjs/common';
import { grantedScopes } from '#libs/auth/scopes.js';
import type { CallRecord } from '#libs/core/call-record.js';
import { Unavailable } from '#libs/core/errors.js';
import type { PolicyOffice, PolicyScope } from '#libs/core/policy-office.js';
import type { PolicyQuestion, PolicyTrace } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { POLICY_OFFICE } from '#libs/core/tokens.js';
import { notFound } from '../http/problem.js';
import { type ControllerParts, PARTS } from '../parts.js';
import type { CheckAnswer, CheckBody } from './policy-schemas.js';

/** What the policy routes share: the office, and questions made of what the control plane knows. */
@Injectable()
export class PolicyDesk {
  constructor(@Inject(PARTS) private readonly parts: Pick<ControllerParts, 'store'>, @Optional() @Inject(POLICY_OFFICE) private readonly given?: PolicyOffice) {}

  get office(): PolicyOffice {
    if (!this.given) throw new Unavailable('policies');
    return this.given;
  }

  /** The tenant with the names of its tools, so that misspelt ones are refused. */
  async scope(tenant: TenantSlug | undefined): Promise<PolicyScope> {
    if (tenant === undefined) return { tenant };
    const tools = await this.parts.store.listTools(tenant);
    return { tenant, tools: new Set(tools.map(({ name }) => name)) };
  }

  /** Rejects with a 404 for what the tenant does not have; names of the platform's own tools are taken as they are. */
  async target(tenant: TenantSlug, kind: CheckBody['kind'], name: string): Promise<PolicyQuestion['target']> {
    const { store } = this.parts;
    if (kind === 'prompt') {
      const prompt = (await store.listPrompts(tenant)).find((one) => one.name === name);
      if (!prompt) throw notFound('Prompt', name);
      return { kind, name, tenant, operationClass: 'read', tags: prompt.tags, category: undefined, apiId: undefined, backend: { kind: 'prompt' } };
    }
    if (kind === 'resource') {
      const resource = (await store.listResources(tenant)).find(({ uri }) => uri === name);
      if (!resource) throw notFound('Resource', name);
      return { kind, name, tenant, operationClass: 'read', tags: resource.tags, category: undefined, apiId: undefined, backend: { kind: 'text' in resource.content || 'blob' in resource.content ? 'inline' : 'fetch' } };
    }
    const tool = await store.getTool(tenant, name);
    if (!tool && name.startsWith('stoa_')) return { kind, name, tenant: undefined, operationClass: 'read', tags: ['platform'], category: undefined, apiId: undefined, backend: { kind: 'builtin' } };
    if (!tool) throw notFound('Tool', name);
    const api = await store.getApi(tenant, tool.apiName);
    return { kind, name, tenant, operationClass: tool.operationClass, tags: tool.tags, category: api?.category, apiId: api?.id, backend: { kind: tool.backend.kind } };
  }

  async check(tenant: TenantSlug, asked: CheckBody): Promise<CheckAnswer> {
    const target = await this.target(tenant, asked.kind, asked.tool);
    const roles = new Set([...asked.roles, ...(asked.role === undefined ? [] : [asked.role])]);
    const principal: Principal = {
      tenant, issuer: 'policy-check', subject: asked.subject, clientId: 'policy-check', roles, scopes: grantedScopes(asked.scopes, roles), expiresAt: Number.MAX_SAFE_INTEGER,
      ...(asked.allowedTools ? { allowedTools: new Set(asked.allowedTools) } : {}),
    };
    return answerOf(await this.office.check({ principal, target, arguments: asked.arguments, door: 'check', ...(asked.at === undefined ? {} : { at: Date.parse(asked.at) }) }));
  }

  /** The recorded call decided again: under what was in force then where this process still has it, else under what is now. */
  async again(record: CallRecord): Promise<{ readonly trace: PolicyTrace | undefined; readonly note: string }> {
    const { decision, target, tenant } = record;
    if (!decision) return { trace: undefined, note: 'the call ended before policy was asked' };
    if (!target) return { trace: undefined, note: 'the record does not say what was called' };
    const { principal } = record;
    // The record names the API; the policy sees its id, which only the catalogue knows.
    const known = tenant === undefined ? undefined : await this.target(tenant, record.kind, target.name).catch(() => undefined);
    const platform = target.backend === 'builtin';
    const question: PolicyQuestion = {
      principal: { tenant, issuer: principal.issuer, subject: principal.subject, clientId: principal.clientId, roles: new Set(principal.roles), scopes: new Set(principal.scopes), expiresAt: Number.MAX_SAFE_INTEGER },
      target: { kind: record.kind, name: target.name, tenant: platform ? undefined : tenant, operationClass: target.class, tags: target.tags, category: known?.category, apiId: known?.apiId, backend: { kind: target.backend } },
      arguments: record.arguments ?? {}, door: record.door, at: record.at,
    };
    const then = await this.office.checkUnder(decision.revision, question);
    const left = record.arguments === undefined ? '; the arguments were not recorded' : (record.redactions ?? 0) > 0 ? `; ${record.redactions} values of the arguments are redacted, so that rules over them may have held otherwise` : '';
    if (then) return { trace: then, note: `tried again under the policy that decided${left}` };
    const trace = await this.office.check(question);
    return { trace, note: trace.revision === decision.revision ? `tried again under the policy that decided${left}` : `the policy that decided is not loaded here any more: tried again under the one now in force, ${trace.revision}${left}` };
  }
}

const answerOf = ({ allow, ruleId, reason, revision, obligations, missingScopes, input, tried }: PolicyTrace): CheckAnswer =>
  ({ allowed: allow, rule_id: ruleId, reason, policy_revision: revision, obligations: obligations.map((one) => ({ ...one })), missing_scopes: [...missingScopes], input: input as CheckAnswer['input'], tried: tried.map((one) => ({ ...one })) });
