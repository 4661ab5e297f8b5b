import { beforeAll, describe, expect, it } from 'vitest';
import type { Allow } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { ActivePolicy } from './active-policy.js';
import { callOf, decisionTable, principalOf, type TablePolicy, tablePolicies, targetOf } from './decision-table.contract.js';
import { type DecisionEvent, policyDecisionPoint } from './decision-point.js';

/** A denial with the rule of its private reason, an allowance with the kinds of its obligations. */
const shown = (verdict: Allow | Denial | boolean): unknown => {
  if (typeof verdict === 'boolean') return verdict;
  if (verdict instanceof Denial) return { rule: verdict.reason?.split(': ')[0], code: verdict.code, message: verdict.message };
  return { rule: verdict.ruleId, revision: verdict.policyRevision, obligations: verdict.obligations?.map(({ kind }) => kind) ?? [] };
};
const active = new Map<TablePolicy, ActivePolicy>();
beforeAll(async () => {
  for (const [name, operator] of Object.entries(tablePolicies)) {
    const policy = new ActivePolicy();
    await policy.activate({ operator });
    active.set(name as TablePolicy, policy);
  }
});

describe('the embedded evaluator decides', () => {
  it('at least sixty cases', () => { expect(decisionTable.length).toBeGreaterThanOrEqual(60); });
  it.each(decisionTable)('$name', async ({ policy, who, tool, environment, args, action, expected }) => {
    const events: DecisionEvent[] = [];
    const point = policyDecisionPoint({ engine: active.get(policy)!.engine, environment, enforces: new Set(['confirm']), observe: (event) => { events.push(event); } });
    const principal = principalOf(who);
    const target = targetOf(tool);
    const verdict = action === 'list' ? await point.mayList(principal, target) : await point.decide(callOf(principal, target, args));
    expect(events.map(({ decision }) => decision?.ruleId)).toEqual(['allow' in expected ? expected.allow : expected.deny]);
    expect(shown(verdict)).toEqual(action === 'list' ? 'allow' in expected
      : 'allow' in expected ? { rule: expected.allow, revision: active.get(policy)!.revision, obligations: expected.obligations }
        : { rule: expected.deny, code: expected.code, message: expected.message });
  });
});
