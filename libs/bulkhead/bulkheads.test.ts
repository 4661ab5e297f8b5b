import { describe, expect, it } from 'vitest';
import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { type BulkheadOptions, Bulkheads } from './bulkheads.js';

const result = (more: Partial<ToolResult> = {}): ToolResult => ({ type: 'tool', isError: false, content: [], ...more });
const WELL: BackendAnswer = { result: result(), outcome: 'success', latencyMs: 1, bytes: 1 };
const ill = (more: Partial<ToolResult>): BackendAnswer => ({ ...WELL, outcome: 'error', result: result({ isError: true, ...more }) });
const TIMEOUT: BackendAnswer = { ...ill({}), outcome: 'timeout' };

interface Running { readonly call: ValidatedCall; readonly end: (answer: BackendAnswer | Denial) => void; readonly fail: (failure: Error) => void }

/** Bulkheads around a backend whose calls end when the test says so, on a clock that stands. */
function world(options: Partial<BulkheadOptions> = {}) {
  const running: Running[] = [];
  let at = 0;
  const bulkheads = new Bulkheads({ concurrency: 2, queue: 1, queueMs: 60_000, failures: 3, restMs: 1000, now: () => at, ...options });
  const backend = bulkheads.around({ invoke: (call) => new Promise((resolve, reject) => { running.push({ call, end: resolve, fail: reject }); }) });
  const targets = new Map<string, Target>();
  const call = (tenant = 'acme', api = 'shop', signal = new AbortController().signal): Promise<BackendAnswer | Denial> => {
    const key = `${tenant}/${api}`;
    const target = targets.get(key) ?? { name: 'tool', tenant, apiId: api, backend: { kind: 'rest' }, timeoutMs: 5000 } as unknown as Target;
    targets.set(key, target);
    return backend.invoke({ target, api: { name: api }, exchange: { signal } } as unknown as ValidatedCall);
  };
  const one = async (answer: BackendAnswer | Denial, api?: string): Promise<BackendAnswer | Denial> => { const asked = call('acme', api); running.pop()?.end(answer); return asked; };
  return { running, bulkheads, call, one, pass: (ms: number) => { at += ms; }, state: () => bulkheads.states()[0]?.state };
}
const code = (answer: BackendAnswer | Denial): string => (answer instanceof Denial ? answer.code : answer.outcome);

describe('the places of one backend', () => {
  it('are as many as may run; the next waits, and the one after it is refused at once', async () => {
    const { running, call } = world();
    const [first, , third] = [call(), call(), call()];
    expect(running).toHaveLength(2);
    expect(await call()).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 1 });
    running[0]?.end(WELL);
    await first;
    expect(running).toHaveLength(3);
    running[2]?.end(WELL);
    expect(await third).toBe(WELL);
  });
  it.each([['acme', 'other'], ['globex', 'shop']])('are no other\'s: %s/%s is asked at once while it hangs', async (tenant, api) => {
    const { running, call } = world();
    for (let i = 0; i < 3; i += 1) void call();
    const other = call(tenant, api);
    running.at(-1)?.end(WELL);
    expect(await other).toBe(WELL);
  });
  it('are waited for no longer than the queue allows, and the wait is taken off the deadline', async () => {
    const impatient = world({ queueMs: 1 });
    for (let i = 0; i < 2; i += 1) void impatient.call();
    expect(code(await impatient.call())).toBe('RATE_LIMITED');
    expect(impatient.bulkheads.states()[0]?.waiting).toBe(0);
    const { running, call, pass } = world();
    for (let i = 0; i < 3; i += 1) void call();
    pass(1500);
    running[0]?.end(WELL);
    await expect.poll(() => running.length).toBe(3);
    expect(running[2]?.call.target.timeoutMs).toBe(3500);
  });
  it('are not waited for by who gave up', async () => {
    const { bulkheads, call } = world();
    for (let i = 0; i < 2; i += 1) void call();
    const client = new AbortController();
    const waiting = call('acme', 'shop', client.signal);
    client.abort();
    expect(code(await waiting)).toBe('CANCELLED');
    expect(bulkheads.states()).toEqual([{ tenant: 'acme', api: 'shop', state: 'closed', running: 2, waiting: 0 }]);
  });
  it('are given back also by calls that throw', async () => {
    const { running, bulkheads, call } = world();
    const thrown = call();
    running[0]?.fail(new Error('bug'));
    await expect(thrown).rejects.toThrow('bug');
    expect(bulkheads.states()[0]?.running).toBe(0);
  });
});

describe('the circuit of one backend', () => {
  it.each<[string, BackendAnswer]>([['timeouts', TIMEOUT], ['broken connections', ill({ meta: { error_code: 'BACKEND_UNREACHABLE' } })], ['answers of 503', ill({ backendStatus: 503 })]])('opens after %s one after another: then nothing is asked', async (_name, answer) => {
    const { running, call, one, state } = world();
    for (let i = 0; i < 3; i += 1) await one(answer);
    expect(state()).toBe('open');
    expect(await call()).toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 1, message: expect.stringContaining('shop') as unknown });
    expect(running).toEqual([]);
  });
  it.each<[string, BackendAnswer | Denial]>([
    ['successes', WELL], ['answers of 404', ill({ backendStatus: 404 })], ['calls that were given up', new Denial({ code: 'CANCELLED', message: '' })], ['missing credentials', new Denial({ code: 'CREDENTIAL_MISSING', message: '' })], ['addresses that are not allowed', ill({ meta: { error_code: 'EGRESS_REFUSED' } })],
  ])('stays closed after any number of %s', async (_name, answer) => {
    const { one, state } = world();
    for (let i = 0; i < 20; i += 1) await one(answer);
    expect(state()).toBe('closed');
  });
  it('stays closed while something succeeds between', async () => {
    const { one, state } = world();
    for (const answer of [TIMEOUT, TIMEOUT, WELL, TIMEOUT, TIMEOUT]) await one(answer);
    expect(state()).toBe('closed');
  });
  it('lets one call through after its rest, which closes it; the others meanwhile are refused, not made to wait', async () => {
    const { running, call, one, pass, state } = world();
    for (let i = 0; i < 3; i += 1) await one(TIMEOUT);
    pass(1000);
    const probe = call();
    expect([state(), code(await call()), running.length]).toEqual(['probing', 'UNAVAILABLE', 1]);
    running.pop()?.end(WELL);
    await probe;
    expect(code(await one(WELL))).toBe('success');
  });
  it('rests twice as long after a probe that failed, and no longer than eight times', async () => {
    const { one, pass, state } = world();
    for (let i = 0; i < 3; i += 1) await one(TIMEOUT);
    for (const rest of [1000, 2000, 4000, 8000, 8000]) {
      pass(rest - 1);
      expect(code(await one(WELL))).toBe('UNAVAILABLE');
      pass(1);
      await one(TIMEOUT);
      expect(state()).toBe('open');
    }
  });
  it('asks again after a probe that its caller gave up', async () => {
    const { one, pass, state } = world();
    for (let i = 0; i < 3; i += 1) await one(TIMEOUT);
    pass(1000);
    await one(new Denial({ code: 'CANCELLED', message: '' }));
    await one(WELL);
    expect(state()).toBe('closed');
  });
  it('is told of in numbers', async () => {
    const { bulkheads, call, one } = world();
    for (let i = 0; i < 3; i += 1) await one(TIMEOUT);
    await call();
    void call('acme', 'other');
    expect(Object.fromEntries(bulkheads.readings.map((reading) => [reading.name, reading.read()]))).toEqual({ backend_circuits_open: 1, backend_calls_running: 1, backend_calls_waiting: 0, backend_calls_refused_resting_total: 1, backend_calls_refused_full_total: 0 });
  });
});
