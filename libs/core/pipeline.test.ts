import { describe, expect, it } from 'vitest';
import type { AuthenticatedCall, Ending } from './call.js';
import { Denial, Unavailable } from './errors.js';
import { callLine, type Stages } from './pipeline.js';
import type { Target } from './target.js';

const target: Target = {
  kind: 'tool', name: 'getpet', tenant: undefined, apiId: undefined, description: '', operationClass: 'read', tags: [], category: undefined, version: '1.0.0',
  inputSchema: true, definitions: {}, backend: { kind: 'builtin', handler: 'getpet' }, timeoutMs: 1000, hash: '', listed: '{}',
};
const passing: Stages = {
  resolve: (c) => ({ ...c, target, api: undefined }),
  authorize: (c) => ({ ...c, decision: { ruleId: 'r', policyRevision: '1' } }),
  rateLimit: (c) => ({ ...c, quota: undefined }),
  validate: (c) => ({ ...c, input: {} }),
  record: (c) => ({ ...c, callId: 'b-1' }),
  invoke: async (c) => ({ ...c, answer: { result: { type: 'tool', content: [{ type: 'text', text: 'secret' }], isError: false }, outcome: 'success', latencyMs: 3, bytes: 6 } }),
  redact: (c) => ({ ...c, result: { type: 'tool', content: [{ type: 'text', text: '***' }], isError: false } }),
  settle: () => {},
};
const call = (): AuthenticatedCall => ({
  requestId: 'req-1', door: 'mcp', kind: 'tool', name: 'getpet', arguments: {}, consumer: 'unknown', traceparent: undefined, tracestate: undefined, startedAt: 0,
  principal: { tenant: undefined, issuer: 'i', subject: 'ada', clientId: 'cli', roles: new Set(), scopes: new Set(), expiresAt: 0 },
  exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false },
});

describe('a call', () => {
  const facts = { resolve: 'target', authorize: 'decision', rateLimit: 'quota', validate: 'input', record: 'callId', invoke: 'answer', redact: 'result' } as const;

  describe.each(Object.entries(facts))('stopped by %s', (stage, missing) => {
    it.each([
      { how: 'answering a denial', stop: () => new Denial({ code: 'FORBIDDEN', message: 'no' }), code: 'FORBIDDEN' },
      { how: 'answering a denial later', stop: async () => new Denial({ code: 'FORBIDDEN', message: 'no' }), code: 'FORBIDDEN' },
      { how: 'throwing', stop: () => { throw new TypeError('x is undefined'); }, code: 'INTERNAL' },
      { how: 'finding a dependency away', stop: async () => { throw new Unavailable('policy engine'); }, code: 'UNAVAILABLE' },
    ])('$how is settled once and never learns a later fact', async ({ stop, code }) => {
      const endings: Ending[] = [];
      const answer = await callLine({ ...passing, [stage]: stop, settle: (ending) => { endings.push(ending); } })(call());
      expect(answer).toMatchObject({ code });
      expect(answer).toBeInstanceOf(Denial);
      expect(endings).toHaveLength(1);
      expect(endings[0]?.denial).toBe(answer);
      expect(endings[0]?.reached).not.toHaveProperty(missing);
    });
  });

  it('is settled before it is answered, so that nothing acknowledged is unaccounted for', async () => {
    let durable = false;
    await callLine({ ...passing, settle: async () => { await new Promise(setImmediate); durable = true; } })(call());
    expect(durable).toBe(true);
  });

  it('is not answered when it could not be settled, and is not settled twice', async () => {
    let times = 0;
    const answer = await callLine({ ...passing, settle: () => { times += 1; throw new Error('disk full'); } })(call());
    expect(answer).toMatchObject({ code: 'INTERNAL' });
    expect(times).toBe(1);
  });

  it('answers what redaction left, not what the backend said', async () => {
    expect(JSON.stringify(await callLine(passing)(call()))).not.toContain('secret');
  });

  it('tells the caller nothing of an unexpected failure but the log everything', async () => {
    const answer = await callLine({ ...passing, invoke: async () => { throw new Error('password=hunter2 at db.internal'); } })(call());
    expect(answer).toMatchObject({ message: 'Internal error.', reason: 'password=hunter2 at db.internal' });
  });

  it('is an error, never raw data, when the redactor throws', async () => {
    const answer = await callLine({ ...passing, redact: () => { throw new Error('pattern'); } })(call());
    expect(answer).toMatchObject({ code: 'INTERNAL' });
  });
});
