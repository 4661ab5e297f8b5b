import { expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { OutboundFailure, type OutboundRequest, type OutboundResponse } from '#libs/core/outbound.js';
import { HttpCaller } from './http-caller.js';
import { RetryBudget } from './retry-budget.js';

const OK: OutboundResponse = { status: 200, headers: {}, body: Buffer.from('{}') };
const broken = (answered = false): OutboundFailure => new OutboundFailure('unreachable', 'broke', { answered });
const callOf = (operationClass: string, kind = 'rest'): ValidatedCall => ({
  requestId: 'r', principal: { subject: 's' }, exchange: { signal: new AbortController().signal }, target: { name: 't', apiId: 'a', operationClass, timeoutMs: 1000, backend: { kind } },
} as unknown as ValidatedCall);

/** What is sent, and how often, where each request ends as it is told, the last for ever. */
async function send(call: ValidatedCall, method: string, ...ends: readonly (OutboundFailure | OutboundResponse)[]) {
  const sent: OutboundRequest[] = [];
  const outbound = { request: async (request: OutboundRequest) => { sent.push(request); const end = ends[Math.min(sent.length, ends.length) - 1]; if (end === undefined || end instanceof Error) throw end ?? broken(); return end; } };
  const caller = new HttpCaller({ outbound, credentials: { resolve: () => '' }, version: '1' });
  const ask = () => caller.send(call, { security: [], build: () => ({ method, url: 'http://h/', headers: [] }) });
  const answer = await ask();
  return { sent, answer, ask };
}

it.each([['read', 'GET', 'rest'], ['read', 'HEAD', 'rest'], ['read', 'POST', 'graphql']])('a %s by %s of kind %s is made again, once, when its connection broke before any of an answer came', async (operationClass, method, kind) => {
  const { sent, answer } = await send(callOf(operationClass, kind), method, broken(), OK);
  expect([sent.length, answer]).toMatchObject([2, { response: { status: 200 }, attempts: 2 }]);
  expect(sent[1]?.timeoutMs).toBeLessThanOrEqual(1000);
  expect(await send(callOf(operationClass, kind), method, broken())).toMatchObject({ sent: { length: 2 }, answer: { outcome: 'error', attempts: 2 } });
});
it.each<[string, readonly [operationClass: string, method: string, kind: string], OutboundFailure | OutboundResponse]>([
  ['a write', ['write', 'POST', 'rest'], broken()], ['a deletion', ['destructive', 'DELETE', 'rest'], broken()], ['a GET that is no read', ['write', 'GET', 'rest'], broken()], ['a POST that is called a read', ['read', 'POST', 'rest'], broken()], ['a mutation', ['write', 'POST', 'graphql'], broken()],
  ['a read whose answer had begun', ['read', 'GET', 'rest'], broken(true)], ['a read that took too long', ['read', 'GET', 'rest'], new OutboundFailure('timeout', 'late')], ['a read that was refused', ['read', 'GET', 'rest'], { ...OK, status: 503 }], ['a read that was given up', ['read', 'GET', 'rest'], new OutboundFailure('aborted', 'gone')],
])('%s is sent once', async (_name, [operationClass, method, kind], end) => {
  const { sent, answer } = await send(callOf(operationClass, kind), method, end);
  expect([sent.length, answer instanceof Denial ? 1 : answer.attempts]).toEqual([1, 1]);
});
it('a backend that is down is not asked twice for each call', async () => {
  const { sent, ask } = await send(callOf('read'), 'GET', broken());
  for (let i = 1; i < 100; i += 1) await ask();
  expect(sent.length).toBeLessThanOrEqual(112);
});
it('a budget is ten at once, and one more each second, for each API', () => {
  let at = 0;
  const budget = new RetryBudget(() => at);
  const taken = (): number => Array.from({ length: 100 }, () => budget.take('a')).filter(Boolean).length;
  expect([taken(), budget.take('b')]).toEqual([10, true]);
  at = 3000;
  expect(taken()).toBe(3);
  at = 1e9;
  expect(taken()).toBe(10);
});
