import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import type { CallResult } from '#libs/core/result.js';
import { type DoorApp, startDoor } from '../../../../test/conformance/door-app.js';
import { type Fixture, FIXTURES } from '../../../../test/conformance/fixtures.js';
import { ANONYMOUS } from '../../../../test/conformance/fixture-world.js';
import { eventsOf, legacy, modern, modernBody, modernHeaders, type Reply, send } from '../../../../test/conformance/raw-client.js';

let seen: ValidatedCall | undefined;
const extra = (name: string, answer: Fixture['answer']): Fixture => {
  const like = FIXTURES[0]!.target;
  return { answer, target: { ...like, name, hash: name, backend: { kind: 'fixture', handler: name } as never, inputSchema: { type: 'object' }, listed: JSON.stringify({ name, inputSchema: { type: 'object' }, ...(name === 'list_answer' ? { outputSchema: { type: 'array' } } : {}) }) } };
};
const cities: Fixture = { answer: () => ({ type: 'prompt', messages: [] }), target: { ...FIXTURES[0]!.target, kind: 'prompt', name: 'cities', hash: 'cities',
  inputSchema: { type: 'object', properties: { city: { type: 'string', examples: ['Paris', 'Palermo', 'Oslo', ...Array.from({ length: 150 }, (_, i) => `City ${i}`)] } } }, listed: '{"name":"cities"}' } };
const started = Promise.withResolvers<void>();
const aborted = Promise.withResolvers<void>();
const waitForAbort = (call: ValidatedCall): Promise<CallResult> => new Promise((resolve) => {
  started.resolve();
  call.exchange.signal.addEventListener('abort', () => { aborted.resolve(); resolve({ type: 'tool', content: [], isError: false }); });
});
const asked = Promise.withResolvers<void>();

let app: DoorApp;
let now = 1_000_000;
let caller = ANONYMOUS;
beforeAll(async () => {
  app = await startDoor({ now: () => now, principalOf: () => caller, fixtures: [...FIXTURES, cities,
    extra('look', (call) => { seen = call; return { type: 'tool', content: [], isError: false }; }),
    extra('structured', () => ({ type: 'tool', content: [{ type: 'text', text: '{}' }], structuredJson: '{"n": 1.0,\n "b":"\\u00e9"}', isError: false })),
    extra('list_answer', () => ({ type: 'tool', content: [{ type: 'text', text: '[1]' }], structuredJson: ' [1]', isError: false })),
    extra('failing', () => ({ type: 'tool', content: [{ type: 'text', text: 'nope' }], isError: true, backendStatus: 404, meta: { 'dev.gostoa/x': 1 } })),
    extra('waits', waitForAbort),
    extra('waits_for_cancel', async (call) => { asked.resolve(); await new Promise<void>((resolve) => { call.exchange.signal.addEventListener('abort', () => resolve()); }); return { type: 'tool', content: [{ type: 'text', text: 'stopped' }], isError: false }; }),
    extra('progress', (call) => { for (const at of [1, 3, 2, 3, 4]) call.exchange.progress?.(at, 4, 'x'); return { type: 'tool', content: [], isError: false }; }),
  ] });
});
afterAll(() => app.close());

const listed = ({ json }: Reply): unknown => (json.result as { tools: { name: string; outputSchema?: unknown }[] }).tools.find(({ name }) => name === 'list_answer')?.outputSchema;
const completed = async (ref: object): Promise<unknown> => { const { json } = await modern(app.url, 'completion/complete', { ref, argument: { name: 'arg1', value: '' } }); return json.error?.code ?? json.result?.['completion']; };
const offered = async (value: string): Promise<unknown> => (await modern(app.url, 'completion/complete', { ref: { type: 'ref/prompt', name: 'cities' }, argument: { name: 'city', value } })).json.result?.['completion'];

describe('a call', () => {
  it('reaches the call line with what the request says, and nothing else', async () => {
    await modern(app.url, 'tools/call', { name: 'look', arguments: { a: [1, { b: null }] }, _meta: { traceparent: '00-aa-bb-01' } }, { traceparent: '00-cc-dd-01', tracestate: 'x=1', 'x-consumer-id': 'team-7' });
    expect(seen).toMatchObject({ door: 'mcp', kind: 'tool', name: 'look', arguments: { a: [1, { b: null }] }, traceparent: '00-aa-bb-01', tracestate: undefined, consumer: 'team-7', principal: ANONYMOUS });
    const client = await legacy(app.url);
    await client.request('tools/call', { name: 'look' });
    expect(seen).toMatchObject({ door: 'mcp-legacy', arguments: {}, consumer: 'unknown', traceparent: undefined });
  });

  it("embeds the backend's own bytes in the answer", async () => {
    expect((await modern(app.url, 'tools/call', { name: 'structured' })).text).toContain('"structuredContent":{"n": 1.0,\n "b":"\\u00e9"},"resultType":"complete"');
  });
  it('splits line breaks of those bytes over data fields when it answers by an event stream', async () => {
    const reply = await modern(app.url, 'tools/call', { name: 'structured' }, { accept: 'text/event-stream' });
    expect(reply.headers.get('content-type')).toBe('text/event-stream');
    expect(reply.headers.get('x-accel-buffering')).toBe('no');
    expect(reply.json.result?.['structuredContent']).toEqual({ n: 1, b: 'é' });
  });
  it('leaves structured content that is not an object to 2026-07-28', async () => {
    expect((await modern(app.url, 'tools/call', { name: 'list_answer' })).json.result?.['structuredContent']).toEqual([1]);
    const client = await legacy(app.url);
    expect((await client.request('tools/call', { name: 'list_answer' })).json.result).toEqual({ content: [{ type: 'text', text: '[1]' }] });
    expect(listed(await modern(app.url, 'tools/list'))).toEqual({ type: 'array' });
    expect(listed(await client.request('tools/list'))).toBeUndefined();
  });
  it('tells the status of a backend that failed, beside its text', async () => {
    expect((await modern(app.url, 'tools/call', { name: 'failing' })).json.result).toEqual({
      content: [{ type: 'text', text: 'nope' }], isError: true, resultType: 'complete',
      _meta: { 'dev.gostoa/x': 1, backend_status: 404, 'io.modelcontextprotocol/serverInfo': { name: 'stoa', version: '0' } },
    });
  });

  it('tells progress only when it was asked to, only upwards, and then the result on the same stream', async () => {
    expect((await modern(app.url, 'tools/call', { name: 'progress' })).headers.get('content-type')).toContain('application/json');
    const reply = await modern(app.url, 'tools/call', { name: 'progress', _meta: { progressToken: 'p' } });
    const messages = eventsOf(reply.text).map(({ data }) => JSON.parse(data) as { method?: string; params?: { progress: number; progressToken: string }; id?: number });
    expect(messages.map(({ params, id }) => params?.progress ?? `id ${id}`)).toEqual([1, 3, 4, 'id 1']);
    expect(messages[0]?.params?.progressToken).toBe('p');
  });
  it('tells nothing before the result to a client that takes JSON alone', async () => {
    const reply = await modern(app.url, 'tools/call', { name: 'progress', _meta: { progressToken: 'p' } }, { accept: 'application/json' });
    expect(reply.headers.get('content-type')).toContain('application/json');
  });

  it('is aborted when its client goes away', async () => {
    const outgoing = request(app.url, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...modernHeaders('tools/call', { name: 'waits' }) } });
    outgoing.on('error', () => undefined);
    outgoing.end(modernBody('tools/call', { name: 'waits' }));
    await started.promise;
    outgoing.destroy();
    await expect(aborted.promise).resolves.toBeUndefined();
  });
  it('is cancelled by a notification in a legacy session', async () => {
    const client = await legacy(app.url);
    const answer = client.request('tools/call', { name: 'waits_for_cancel' });
    await asked.promise;
    expect((await send(app.url, '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}', client.headers)).status).toBe(202);
    expect((await answer).text).toContain('stopped');
  });
});

describe('multi-round-trip requests', () => {
  const name = 'test_input_required_result_request_state';
  const declared = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } };
  const start = async (): Promise<string> => (await modern(app.url, 'tools/call', { name, arguments: {}, _meta: declared })).json.result?.['requestState'] as string;
  const retry = async (requestState: unknown, more: Record<string, unknown> = {}): Promise<unknown> => {
    const { json } = await modern(app.url, 'tools/call', { name, arguments: {}, inputResponses: { confirm: { action: 'accept', content: { ok: true } } }, requestState, _meta: declared, ...more });
    return json.error?.code ?? json.result?.['resultType'];
  };
  it('gives the backend back its own state, which the client never reads', async () => {
    const state = await start();
    expect(Buffer.from(state, 'base64url').toString()).not.toContain('round-1');
    expect(await retry(state)).toBe('complete');
  });
  it.each([
    { change: 'a changed byte', made: (state: string) => `${state.slice(0, -2)}${state.endsWith('AA') ? 'BB' : 'AA'}` },
    { change: 'something appended', made: (state: string) => `${state}-TAMPERED` },
    { change: 'a number', made: () => 7 },
    { change: 'an empty text', made: () => '' },
  ])('refuses $change', async ({ made }) => { expect(await retry(made(await start()))).toBe(-32602); });
  it('refuses it for another tool, for other arguments, for another caller and after its time', async () => {
    const state = await start();
    expect(await retry(state, { name: 'test_input_required_result_tampered_state' })).toBe(-32602);
    expect(await retry(state, { arguments: { more: 1 } })).toBe(-32602);
    caller = { ...ANONYMOUS, subject: 'eve' };
    expect(await retry(state)).toBe(-32602);
    caller = ANONYMOUS;
    now += 600_001;
    expect(await retry(state)).toBe(-32602);
    expect(await retry(await start())).toBe('complete');
  });
});

describe('completion', () => {
  it('offers what the caller may see and knows nothing of the rest', async () => {
    expect(await completed({ type: 'ref/prompt', name: 'test_prompt_with_arguments' })).toEqual({ values: [], total: 0, hasMore: false });
    expect(await completed({ type: 'ref/prompt', name: 'nope' })).toBe(-32602);
    expect(await completed({ type: 'ref/resource', uri: 'test://template/{id}/data' })).toEqual({ values: [], total: 0, hasMore: false });
    expect(await completed({ type: 'ref/else' })).toBe(-32602);
  });
  it('offers declared values that begin with what was typed, at most a hundred, and says how many there are', async () => {
    expect(await offered('pA')).toEqual({ values: ['Paris', 'Palermo'], total: 2, hasMore: false });
    expect(await offered('city ')).toMatchObject({ total: 150, hasMore: true, values: expect.objectContaining({ length: 100 }) as unknown });
  });
});
