import { beforeAll, describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { ActivePolicy } from './active-policy.js';
import { callOf, decisionTable, principalOf, type TablePolicy, tablePolicies, targetOf } from './decision-table.contract.js';
import { type DecisionEvent, policyDecisionPoint } from './decision-point.js';

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
    if (action === 'list') {
      expect(await point.mayList(principal, target)).toBe('allow' in expected);
      expect(events[0]?.decision?.ruleId).toBe('allow' in expected ? expected.allow : expected.deny);
      return;
    }
    const verdict = await point.decide(callOf(principal, target, args));
    if ('allow' in expected) {
      expect(verdict).toMatchObject({ ruleId: expected.allow, policyRevision: active.get(policy)!.revision });
      expect((verdict as { obligations?: { kind: string }[] }).obligations?.map(({ kind }) => kind) ?? []).toEqual(expected.obligations);
    } else {
      expect(verdict).toBeInstanceOf(Denial);
      expect(verdict).toMatchObject({ code: expected.code, message: expected.message, reason: expect.stringMatching(`^${expected.deny}: `) });
    }
  });
});
