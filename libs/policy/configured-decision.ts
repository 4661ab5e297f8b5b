import type { Allow, ResolvedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { PolicyDecisionPoint } from '#libs/core/ports.js';

const ALLOW: Allow = Object.freeze({ ruleId: 'configured-open', policyRevision: 'configured' });
const DENY = Object.freeze(new Denial({ code: 'FORBIDDEN', message: 'no policy allows this call', reason: 'configured-deny: POLICY_MODE is deny and no policy engine is configured' }));

/** One decision for every call, by configuration: `open` where an operator said so, else everything is denied. */
export const configuredDecision = (mode: 'open' | 'deny'): PolicyDecisionPoint => ({ decide: (_call: ResolvedCall) => (mode === 'open' ? ALLOW : DENY) });
