import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { BackendAnswer } from '#libs/core/call.js';
import type { CallRecord } from '#libs/core/call-record.js';
import { Denial, type ErrorCode, Unavailable } from '#libs/core/errors.js';
import { eventId, usageEvent } from '#libs/core/usage-events.js';
import { aCall, ANSWER, endingOf } from './a-call.contract.js';
import { inFolder, openJournal, replay } from './a-journal.contract.js';
import { CallLines } from './call-lines.js';
import { JournalMeter, type JournalMeterOptions } from './usage-meter.js';

const CODES = [
  'UNAUTHENTICATED', 'INSUFFICIENT_SCOPE', 'NOT_FOUND', 'FORBIDDEN', 'RATE_LIMITED', 'QUOTA_EXCEEDED', 'INVALID_ARGUMENTS', 'BACKEND_ERROR', 'BACKEND_TIMEOUT', 'BACKEND_UNREACHABLE',
  'BACKEND_RESPONSE_TOO_LARGE', 'BACKEND_CONTRACT_VIOLATION', 'EGRESS_REFUSED', 'CREDENTIAL_MISSING', 'UNAVAILABLE', 'CANCELLED', 'INTERNAL',
] as const satisfies readonly ErrorCode[];

/** The record that a meter leaves of what is done with it. */
const recordOf = (work: (meter: JournalMeter) => Promise<unknown>, options: Partial<JournalMeterOptions> = {}): Promise<CallRecord> => inFolder(async (directory) => {
  const journal = await openJournal(directory);
  await work(new JournalMeter({ journal, lines: new CallLines(journal.source.slice(-15)), now: () => 1_700_000_000_500, monotonic: () => 500, ...options }));
  await journal.close();
  const { kept: { records: [record, ...more] } } = await replay(directory);
  expect(more).toEqual([]);
  if (!record) throw new Error('no record');
  return record;
});
/** From the intent on. */
const called = (over: Parameters<typeof aCall>[0] = {}, answer: BackendAnswer | undefined = ANSWER, denial?: Denial, options: Partial<JournalMeterOptions> = {}): Promise<CallRecord> => recordOf(async (meter) => {
  const call = aCall({ startedAt: 300, ...over });
  const callId = await meter.intent(call);
  if (typeof callId !== 'string') throw new Error('refused');
  await meter.settle(endingOf({ ...call, callId }, answer, denial));
}, options);

describe('the record of a call', () => {
  it('says who called what, what was decided, how it ended and what it used', async () => {
    const record = await called({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', idempotencyKey: 'k"1' });
    expect(record).toEqual({
      v: 1, id: record.id, seq: 1, at: 1_700_000_000_300, requestId: 'r-1', traceId: '0af7651916cd43dd8448eb211c80319c', door: 'mcp', consumer: 'claude-desktop', tenant: 'acme',
      principal: { issuer: 'https://id.test', subject: 'ada', clientId: 'agent', roles: ['viewer'], scopes: ['stoa:tools:read', 'stoa:tools:execute'] },
      kind: 'tool', name: 'weather_forecast', target: { name: 'weather_forecast', class: 'read', tags: ['weather'], api: 'weather', backend: 'builtin' }, catalogue: 7,
      decision: { effect: 'allow', ruleId: 'roles.read', revision: 'p1' }, idempotencyKey: 'k"1', outcome: 'success', invoked: true,
      units: { requestBytes: 16, responseBytes: 345, backendMs: 12, totalMs: 16, attempts: 1 },
    });
    expect(record.id).toMatch(/^[0-9a-f]{15}-1$/);
  });

  it.each([
    ['a tool error', { ...ANSWER, outcome: 'error' as const }, 'error'],
    ['a backend that was too slow', { ...ANSWER, outcome: 'timeout' as const }, 'timeout'],
    ['a backend that asks the client', { ...ANSWER, result: { type: 'input_required' as const } }, 'input_required'],
    ['units and attempts of the backend\'s own', { ...ANSWER, attempts: 3, units: { tokens: 42 } }, 'success'],
  ])('of %s', async (_name, answer, outcome) => {
    const record = await called({}, answer);
    expect(record).toMatchObject({ outcome, invoked: true, units: { attempts: 'attempts' in answer ? 3 : 1 } });
    expect(record.units.reported).toEqual('units' in answer ? { tokens: 42 } : undefined);
  });

  it('of a client that went away says cancelled, with what the backend did', async () => {
    const gone = new AbortController();
    gone.abort();
    const record = await called({ exchange: { signal: gone.signal, clientCapabilities: {}, supportsInputRequired: false } });
    expect(record).toMatchObject({ outcome: 'cancelled', invoked: true, units: { backendMs: 12, attempts: 1 } });
  });

  const OUTCOMES: Readonly<Record<(typeof CODES)[number], string>> = {
    UNAUTHENTICATED: 'denied', INSUFFICIENT_SCOPE: 'denied', FORBIDDEN: 'denied', QUOTA_EXCEEDED: 'denied', RATE_LIMITED: 'rate_limited', NOT_FOUND: 'rejected', INVALID_ARGUMENTS: 'rejected',
    BACKEND_ERROR: 'error', BACKEND_TIMEOUT: 'timeout', BACKEND_UNREACHABLE: 'error', BACKEND_RESPONSE_TOO_LARGE: 'error', BACKEND_CONTRACT_VIOLATION: 'error',
    EGRESS_REFUSED: 'unavailable', CREDENTIAL_MISSING: 'unavailable', UNAVAILABLE: 'unavailable', CANCELLED: 'cancelled', INTERNAL: 'error',
  };
  it.each(CODES)('stopped by %s before its intent is one record, with a number of its own and no backend', async (code) => {
    const denial = new Denial({ code, message: 'no', reason: 'because "of" that' });
    const record = await recordOf(async (meter) => { const { callId: _none, ...call } = aCall(); await meter.settle(endingOf(call, undefined, denial)); });
    expect(record).toMatchObject({ seq: 1, outcome: OUTCOMES[code], code, reason: 'because "of" that', invoked: false, units: { backendMs: 0, attempts: 0 } });
  });
  it.each(['RATE_LIMITED', 'EGRESS_REFUSED', 'CREDENTIAL_MISSING', 'UNAVAILABLE'] as const)('stopped by %s after its intent did not reach the backend', async (code) => {
    expect(await called({}, undefined, new Denial({ code, message: 'no' }))).toMatchObject({ outcome: OUTCOMES[code], invoked: false, units: { attempts: 0 } });
  });
  it.each(['BACKEND_TIMEOUT', 'BACKEND_UNREACHABLE', 'CANCELLED', 'INTERNAL'] as const)('stopped by %s after its intent did', async (code) => {
    expect(await called({}, undefined, new Denial({ code, message: 'no' }))).toMatchObject({ outcome: OUTCOMES[code], invoked: true, units: { attempts: 1, backendMs: 16 } });
  });
  it('names the rule that refused', async () => {
    const denial = new Denial({ code: 'FORBIDDEN', message: 'no', reason: 'office hours', decision: { ruleId: 'tenant.hours', policyRevision: 'p2' } });
    const { callId: _none, decision: _undecided, ...call } = aCall();
    const record = await recordOf((meter) => meter.settle(endingOf(call, undefined, denial)));
    expect(record.decision).toEqual({ effect: 'deny', ruleId: 'tenant.hours', revision: 'p2', reason: 'office hours' });
  });
  it('keeps at most 256 characters of what a caller wrote as a name, whatever they are', async () => {
    const { callId: _none, target: _unknown, ...call } = aCall({ name: '\u2028"\\\ud800'.repeat(100) });
    expect((await recordOf((meter) => meter.settle(endingOf(call, undefined, new Denial({ code: 'NOT_FOUND', message: 'no' }))))).name).toHaveLength(256);
  });
});

const redactArguments = (): { value: unknown; replaced: number } => ({ value: { city: 'Paris', password: '[hidden]' }, replaced: 1 });

describe('arguments in records', () => {
  const secret = { city: 'Paris', password: 'hunter2' };
  it('are left out where nothing redacts them', async () => {
    const record = await called({ arguments: secret });
    expect(record.arguments).toBeUndefined();
    expect(record.argumentsDigest).toBeUndefined();
    expect(JSON.stringify(record)).not.toContain('hunter2');
    expect(record.units.requestBytes).toBe(JSON.stringify(secret).length);
  });
  it('are kept redacted, with how many values were', async () => {
    const record = await called({ arguments: secret }, ANSWER, undefined, { redactArguments });
    expect(record).toMatchObject({ arguments: { city: 'Paris', password: '[hidden]' }, redactions: 1 });
    expect(JSON.stringify(record)).not.toContain('hunter2');
  });
  it('beyond the bound are told by the SHA-256 of their canonical JSON alone', async () => {
    const value = { b: 'x'.repeat(100), a: 1 };
    const record = await called({ arguments: value }, ANSWER, undefined, { redactArguments: () => ({ value, replaced: 0 }), argumentBytes: 64 });
    expect(record.arguments).toBeUndefined();
    expect(record.argumentsDigest).toBe(hash('sha256', `{"a":1,"b":"${'x'.repeat(100)}"}`));
  });
  it('keeps the arguments whole of a call that broke the glass', async () => {
    const value = { a: 'x'.repeat(10_000) };
    const decision = { ruleId: 'r', policyRevision: 'p', obligations: [{ kind: 'audit', flag: 'break_glass' }] };
    const options = { redactArguments: () => ({ value, replaced: 0 }) };
    expect(await called({ arguments: value, decision }, ANSWER, undefined, options)).toMatchObject({ arguments: value, decision: { obligations: [{ flag: 'break_glass' }] } });
    expect((await called({ arguments: value }, ANSWER, undefined, options)).arguments).toBeUndefined();
  });
  it('are left out when the redaction fails, and the call is still on record', async () => {
    const record = await called({ arguments: secret }, ANSWER, undefined, { redactArguments: () => { throw new Error('no'); } });
    expect(JSON.stringify(record)).not.toContain('hunter2');
  });
});

describe('a meter whose journal refuses', () => {
  it('answers UNAVAILABLE before the backend is asked', () => inFolder(async (directory) => {
    const journal = await openJournal(directory, { maxBytes: 1 });
    const refused = await new JournalMeter({ journal, lines: new CallLines('0'.repeat(15)) }).intent(aCall());
    expect(refused).toBeInstanceOf(Denial);
    expect(refused).toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 1 });
    expect(journal.minted).toBe(0);
    await journal.close();
  }));
  it('does not let a reply leave whose record the receiver does not have, where that is asked for', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const meter = new JournalMeter({ journal, lines: new CallLines('0'.repeat(15)), delivered: () => Promise.reject(new Unavailable('kafka')) });
    await expect(meter.settle(endingOf(aCall({ callId: 'never' })))).rejects.toThrow(Unavailable);
    await journal.close();
  }));
});

describe('the usage event', () => {
  it('has STOA\'s fields by their names and types, and the same identity whenever it is made', async () => {
    const record = await called();
    const event = usageEvent(record, '/gw/c/p/b');
    expect(event).toEqual(usageEvent(structuredClone(record), '/gw/c/p/b'));
    expect(event).toMatchObject({ specversion: '1.0', type: 'dev.gostoa.meter.call.v1', source: '/gw/c/p/b', id: record.id, subject: 'acme', partitionkey: 'acme:1', sequence: '1', time: '2023-11-14T22:13:20.300Z' });
    expect(event.data).toEqual({
      event_id: eventId(record.id), timestamp: '2023-11-14T22:13:20.300000Z', tenant: 'acme', project: 'weather', consumer: 'claude-desktop', user_id: 'ada', tool: 'weather_forecast', latency_ms: 12,
      status: 'success', cost_units: 0.001012, request_id: 'r-1', metadata: {},
      call_id: record.id, kind: 'tool', door: 'mcp', outcome: 'success', invoked: true, tool_class: 'read', tool_tags: ['weather'], backend: 'builtin', client_id: 'agent', credential_id: null,
      idempotency_key: null, trace_id: null, units: { calls: 1, request_bytes: 16, response_bytes: 345, backend_ms: 12, total_ms: 16, attempts: 1 },
    });
    expect(event.data.event_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  });
  it.each([[0, 'a', 0.001], [100, 'a', 0.0011], [250, 'a', 0.00125], [1000, 'a', 0.002], [100, 'stoa_delete_api', 0.0021]])('costs STOA\'s price: %d ms of %s', async (backendMs, name, cost) => {
    const record = await called();
    const units = { ...record.units, backendMs };
    expect(usageEvent({ ...record, units, target: { name, class: 'read', tags: [], backend: 'rest' } }, 's').data.cost_units).toBe(cost);
  });
  it('gives different calls different UUIDs', () => {
    const ids = ['0123456789abcde-1', '0123456789abcde-16', '0123456789abcdf-1', '0123456789abcde-9007199254740991'].map(eventId);
    expect(new Set(ids).size).toBe(4);
    expect(() => eventId('x-1')).toThrow(TypeError);
  });
});
