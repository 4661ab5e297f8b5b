import { expect, it } from 'vitest';
import type { ResolvedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { configuredDecision } from './configured-decision.js';

const call = {} as ResolvedCall;

it('allows every call only where it was configured open, and names the rule', () => {
  expect(configuredDecision('open').decide(call)).toEqual({ ruleId: 'configured-open', policyRevision: 'configured' });
});
it('denies every call otherwise, without telling the caller the rule', () => {
  const denial = configuredDecision('deny').decide(call);
  expect(denial).toBeInstanceOf(Denial);
  expect(denial).toMatchObject({ code: 'FORBIDDEN', message: 'no policy allows this call', reason: expect.stringContaining('configured-deny') });
});
