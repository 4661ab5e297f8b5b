import { Get, Inject, Optional, Param } from '@nestjs/common';
import { z } from 'zod';
import type { DecisionLog } from '#libs/core/decision-log.js';
import { Unavailable } from '#libs/core/errors.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { DECISION_LOG } from '#libs/core/tokens.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { PolicyDesk } from './policy-desk.js';
import { DecisionAnswer } from './policy-schemas.js';

/** Call and request ids: visible ASCII. */
const IdField = z.string().regex(/^[\x21-\x7e]{1,128}$/);

/** Without the rule's id before it, which has a member of its own. */
const reasonOf = (reason: string | undefined, ruleId: string | undefined): string | null =>
  (reason === undefined ? null : ruleId !== undefined && reason.startsWith(`${ruleId}: `) ? reason.slice(ruleId.length + 2) : reason);

@AdminController('tenants/:tenant/decisions', 'decisions')
export class DecisionsController {
  constructor(@Inject(PolicyDesk) private readonly desk: PolicyDesk, @Optional() @Inject(DECISION_LOG) private readonly log?: DecisionLog) {}

  @Get(':id')
  @Describe('Explain a call by its call id or request id', { 200: DecisionAnswer })
  async explainCall(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Param('id', { schema: IdField }) id: string): Promise<z.infer<typeof DecisionAnswer>> {
    if (!this.log) throw new Unavailable('decision log');
    const record = await this.log.find(tenant, id);
    if (!record) throw notFound('Call', id);
    const { trace, note } = await this.desk.again(record);
    const { decision } = record;
    return {
      id: record.id, requestId: record.requestId, at: new Date(record.at).toISOString(), name: record.name, door: record.door, outcome: record.outcome, ...(record.code === undefined ? {} : { code: record.code }),
      effect: decision?.effect ?? 'none', ruleId: decision?.ruleId ?? null, reason: reasonOf(decision?.reason ?? record.reason ?? (trace?.ruleId === decision?.ruleId ? trace?.reason : undefined), decision?.ruleId), policyRevision: decision?.revision ?? null,
      obligations: (decision?.obligations ?? []).map((one) => ({ ...one })), input: (trace?.input ?? null) as never, redactions: record.redactions ?? 0,
      tried: (trace?.tried ?? []).map((one) => ({ ...one })), triedNote: note, reach: this.log.reach,
    };
  }
}
