import { z } from 'zod';
import { Unavailable } from '#libs/core/errors.js';
import type { AdministrationPolicy, AdminVerdict, Eventually } from '#libs/core/ports.js';
import type { ActiveEngine } from './active-policy.js';
import type { EngineAnswer } from './engine.js';

const Verdict = z.object({ allow: z.boolean(), rule_id: z.string().min(1), reason: z.string(), status: z.union([z.literal(200), z.literal(403), z.literal(404)]) });

/** Requests of the admin API, decided by the policy in force. Throws or rejects with `Unavailable` where nothing can be decided. */
export const administrationPolicy = (current: () => ActiveEngine | undefined): AdministrationPolicy => ({
  decide({ principal, route, tenant }): Eventually<AdminVerdict> {
    const engine = current();
    if (!engine) throw new Unavailable('policy');
    const input = JSON.stringify({
      principal: { subject: principal.subject, tenant: principal.tenant ?? null, roles: [...principal.roles].toSorted(), ...(principal.allowedTools ? { allowed_tools: [...principal.allowedTools] } : {}) },
      route, tenant: tenant ?? null,
    });
    const answer = engine.evaluate(input, 'stoa/authz/administration');
    return answer instanceof Promise ? answer.then(read) : read(answer);
  },
});

function read({ result, revision }: EngineAnswer): AdminVerdict {
  const verdict = Verdict.safeParse(result);
  // Neither an undefined nor a contradictory answer opens anything.
  if (!verdict.success || verdict.data.allow !== (verdict.data.status === 200)) return { allow: false, status: 403, reason: 'Access denied', ruleId: 'engine-malformed', policyRevision: revision };
  const { allow, rule_id: ruleId, reason, status } = verdict.data;
  return { allow, status, reason, ruleId, policyRevision: revision };
}
