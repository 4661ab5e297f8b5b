import type { Allow } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { PolicyDecisionPoint } from '#libs/core/ports.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { Count } from '#libs/observability/series.js';

/** Counts and times every decision about a call. */
export function measuredPolicy(policy: PolicyDecisionPoint, metrics: Metrics): PolicyDecisionPoint {
  const took = metrics.policySeconds.of();
  let allowed: Count | undefined;
  const measure = (verdict: Allow | Denial, start: number): Allow | Denial => {
    took.observe((performance.now() - start) / 1000);
    if (!(verdict instanceof Denial)) (allowed ??= metrics.policyDecisions.of('allow', 'policy')).value += 1;
    else if (verdict.decision?.ruleId.startsWith('engine-') === true) metrics.policyDecisions.add(1, 'error', verdict.decision.ruleId.slice('engine-'.length));
    else metrics.policyDecisions.add(1, 'deny', 'policy');
    return verdict;
  };
  return {
    ...policy,
    decide: (call) => {
      const start = performance.now();
      try {
        const verdict = policy.decide(call);
        return verdict instanceof Promise ? verdict.then((settled) => measure(settled, start)) : measure(verdict, start);
      } catch (failure) {
        metrics.policyDecisions.add(1, 'error', 'none');
        throw failure;
      }
    },
  };
}
