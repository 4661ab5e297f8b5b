import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import { type DoorApp, fixtureListing, startDoor } from '../../../../test/conformance/door-app.js';
import { ANONYMOUS, FixtureCatalogue } from '../../../../test/conformance/fixture-world.js';
import { eventsOf, legacy, type LegacyClient, Listener, modern, modernBody, modernHeaders, send } from '../../../../test/conformance/raw-client.js';
import type { McpDoorOptions } from './options.js';

let app: DoorApp | undefined;
const listeners: Listener[] = [];
afterEach(async () => { for (const listener of listeners.splice(0)) listener.close(); await app?.close(); app = undefined; });

const door = async (options: Parameters<typeof startDoor>[0] = {}): Promise<DoorApp> => (app = await startDoor(options));
const listening = async (opened: Promise<Listener>): Promise<Listener> => { const listener = await opened; listeners.push(listener); return listener; };
const within = async (version: string): Promise<{ client: LegacyClient; listener: Listener; catalogue: FixtureCatalogue }> => {
  const { url, catalogue } = await door();
  const client = await legacy(url, version, { sampling: {}, elicitation: {} });
  return { client, listener: await listening(Listener.legacy(url, client)), catalogue };
};
const plain = (text: string): string => text.replace(/"correlation_id":"[^"]*"/, '');
const ALL = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true };

describe('subscriptions/listen', () => {
  it('acknowledges what it honours, first, and tags every notification with its id', async () => {
    const { url, catalogue } = await door();
    const listener = await listening(Listener.modern(url, { toolsListChanged: true, resourceSubscriptions: ['test://watched-resource', 'test://nope'] }));
    const tag = { 'io.modelcontextprotocol/subscriptionId': 'sub-1' };
    expect(await listener.message()).toEqual({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { _meta: tag, notifications: { toolsListChanged: true, resourceSubscriptions: ['test://watched-resource'] } } });
    catalogue.changed('tool');
    expect(await listener.message()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { _meta: tag } });
    catalogue.tell({ resourceUris: ['test://static-text', 'test://watched-resource'] });
    expect(await listener.message()).toEqual({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'test://watched-resource', _meta: tag } });
    expect(listener.response.headers.get('x-accel-buffering')).toBe('no');
  });
  it('sends no type that was not asked for', async () => {
    const { url, catalogue } = await door();
    const listener = await listening(Listener.modern(url, { promptsListChanged: true }));
    await listener.next();
    catalogue.changed('tool');
    catalogue.changed('prompt');
    expect((await listener.message()).method).toBe('notifications/prompts/list_changed');
  });
  it('tells nothing of a change that the caller cannot see', async () => {
    const catalogue = new FixtureCatalogue();
    const all = fixtureListing(catalogue);
    const hidden: McpDoorOptions['listing'] = { ...all, list: (kind, principal) => { const list = all.list(kind, principal) as { items: readonly Target[]; revision: number }; return { ...list, items: list.items.filter(({ name }) => !/_\d+$/.test(name)), key: 'few' }; } };
    const { url } = await door({ catalogue, listing: hidden });
    const listener = await listening(Listener.modern(url, ALL));
    await listener.next();
    catalogue.changed('tool');
    catalogue.tell({ resourcesChanged: true, promptsChanged: true });
    catalogue.tell({ resourceUris: ['test://watched-resource'] });
    await app?.close();
    // Nothing came between the acknowledgement and the end of the subscription.
    expect(await listener.message()).toMatchObject({ id: 'sub-1', result: { resultType: 'complete', _meta: { 'io.modelcontextprotocol/subscriptionId': 'sub-1' } } });
    app = undefined;
  });
  it('ends with a complete result when the server closes', async () => {
    const { url } = await door();
    const listener = await listening(Listener.modern(url, ALL));
    await listener.next();
    const closed = app?.close();
    expect(await listener.message()).toMatchObject({ id: 'sub-1', result: { resultType: 'complete' } });
    expect(await listener.next()).toBeUndefined();
    await closed;
    app = undefined;
  });
  it('ends when the credential that opened it ends', async () => {
    const { url } = await door({ principalOf: () => ({ ...ANONYMOUS, expiresAt: Date.now() / 1000 - 1 }) });
    const listener = await listening(Listener.modern(url, ALL));
    await listener.next();
    expect(await listener.message()).toMatchObject({ id: 'sub-1', result: { resultType: 'complete' } });
    expect(await listener.next()).toBeUndefined();
  });
  it('gives one caller five streams and another caller its own, and takes one back when it ends', async () => {
    let caller: Principal = ANONYMOUS;
    const ended: (() => void)[] = [];
    const { url } = await door({ principalOf: () => caller, onStreams: () => { for (const tell of ended.splice(0)) tell(); } });
    const first = await listening(Listener.modern(url, ALL));
    for (let i = 1; i < 5; i++) await listening(Listener.modern(url, ALL));
    const sixth = await modern(url, 'subscriptions/listen', { notifications: ALL });
    expect([sixth.status, sixth.json.error?.code, sixth.headers.get('retry-after')]).toEqual([429, -31008, '60']);
    caller = { ...ANONYMOUS, subject: 'bob' };
    expect((await listening(Listener.modern(url, ALL))).response.status).toBe(200);
    caller = ANONYMOUS;
    const gone = new Promise<void>((resolve) => { ended.push(resolve); });
    first.close();
    await gone;
    expect((await listening(Listener.modern(url, ALL))).response.status).toBe(200);
  });
  it('holds no more streams than the process may', async () => {
    let subject = 0;
    const { url } = await door({ principalOf: () => ({ ...ANONYMOUS, subject: String(subject++) }), limits: { streams: 2 } });
    for (let i = 0; i < 2; i++) await listening(Listener.modern(url, ALL));
    expect((await modern(url, 'subscriptions/listen', { notifications: ALL })).status).toBe(429);
  });
  it.each([{ notifications: undefined }, { notifications: [] }, { notifications: { resourceSubscriptions: 'x' } }, { notifications: { resourceSubscriptions: [1] } }])('refuses $notifications', async (params) => {
    const { url } = await door();
    expect((await modern(url, 'subscriptions/listen', params)).json.error?.code).toBe(-32602);
  });
  it.each([{ random: 0, retry: 2400 }, { random: 0.999, retry: 2800 }])('hints at a reconnection time with 20 to 40 % of jitter: $retry ms', async ({ random, retry }) => {
    const { url } = await door({ random: () => random });
    const reply = await fetch(url, { method: 'POST', body: modernBody('subscriptions/listen', { notifications: ALL }), headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...modernHeaders('subscriptions/listen') } });
    const reader = reply.body!.getReader();
    expect(eventsOf(Buffer.from((await reader.read()).value ?? []).toString())[0]?.retry).toBe(retry);
    await reader.cancel();
  });
  it('sends comments while nothing happens', async () => {
    const { url } = await door({ limits: { heartbeatMs: 5 } });
    const reply = await fetch(url, { method: 'POST', body: modernBody('subscriptions/listen', { notifications: ALL }), headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...modernHeaders('subscriptions/listen') } });
    const reader = reply.body!.getReader();
    let text = '';
    while (!text.includes(':\n\n')) text += Buffer.from((await reader.read()).value ?? []).toString();
    await reader.cancel();
    expect(eventsOf(text).filter(({ data }) => data !== '')).toHaveLength(1);
  });
});

describe('a reader that does not read', () => {
  it('makes nothing grow: the oldest waiting events are dropped, it is told, and the stream ends', async () => {
    const { url, catalogue } = await door({ limits: { queueEvents: 20 } });
    const { port, hostname } = new URL(url);
    const socket = connect(Number(port), hostname);
    const body = modernBody('subscriptions/listen', { notifications: { resourceSubscriptions: ['test://watched-resource'] } }, 'x'.repeat(200_000));
    socket.write(`POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    await once(socket, 'readable');
    socket.pause();
    // Each notification carries the 200 kB id: the socket's buffers are full long before the last.
    for (let i = 0; i < 200; i++) { catalogue.tell({ resourceUris: ['test://watched-resource'] }); await new Promise(setImmediate); }
    let text = '';
    socket.on('data', (chunk) => { text += String(chunk); });
    socket.resume();
    await once(socket, 'end').catch(() => undefined);
    expect(text).toContain('event: error\nretry: ');
    expect(Number(/"code":"STREAM_OVERFLOW","message":"[^"]*","dropped":(\d+)/.exec(text)?.[1])).toBeGreaterThan(0);
    expect(text.split('notifications/resources/updated').length).toBeLessThan(150);
    expect((await modern(url, 'server/discover')).status).toBe(200);
  });
});

describe('sessions', () => {
  it('end by DELETE, and are then unknown', async () => {
    const { url } = await door();
    const client = await legacy(url);
    expect((await client.request('ping')).json.result).toEqual({});
    const remove = (): Promise<Response> => fetch(url, { method: 'DELETE', headers: client.headers });
    expect((await remove()).status).toBe(204);
    expect((await remove()).status).toBe(404);
    expect((await client.request('ping')).status).toBe(404);
  });
  it("are another caller's secret: the same bytes as for one that never was", async () => {
    let caller: Principal = ANONYMOUS;
    const { url } = await door({ principalOf: () => caller });
    const client = await legacy(url);
    caller = { ...ANONYMOUS, subject: 'eve' };
    const [stolen, invented] = [await client.request('ping'), await send(url, '{"jsonrpc":"2.0","id":1,"method":"ping"}', { 'mcp-session-id': 'A'.repeat(32), 'mcp-protocol-version': '2025-11-25' })];
    expect([stolen.status, plain(stolen.text)]).toEqual([404, plain(invented.text)]);
    expect((await fetch(url, { method: 'DELETE', headers: client.headers })).status).toBe(404);
    expect((await fetch(url, { method: 'GET', headers: { accept: 'text/event-stream', ...client.headers } })).status).toBe(404);
    caller = ANONYMOUS;
    expect((await client.request('ping')).status).toBe(200);
  });
  it('have ids of at least 128 random bits in visible ASCII, never the same', async () => {
    const { url } = await door();
    const ids = new Set<string>();
    for (let i = 0; i < 20; i++) ids.add((await legacy(url)).session);
    expect(ids.size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^[\x21-\x7e]{22,}$/);
  });
  it('are forgotten when they were idle for too long', async () => {
    let now = 0;
    const { url } = await door({ now: () => now, limits: { sessionIdleMs: 1_000 } });
    const client = await legacy(url);
    now = 1_000;
    expect((await client.request('ping')).status).toBe(200);
    now = 2_001;
    expect((await client.request('ping')).status).toBe(404);
  });
  it("give way to the caller's own newer ones, and are refused when the process is full", async () => {
    let caller: Principal = ANONYMOUS;
    const { url } = await door({ principalOf: () => caller, limits: { sessions: 3, sessionsPerPrincipal: 2 } });
    const [first, second] = [await legacy(url), await legacy(url)];
    const third = await legacy(url);
    expect([await first.request('ping'), await second.request('ping'), await third.request('ping')].map(({ status }) => status)).toEqual([404, 200, 200]);
    caller = { ...ANONYMOUS, subject: 'bob' };
    expect((await legacy(url)).session).not.toBe('');
    caller = { ...ANONYMOUS, subject: 'carol' };
    expect((await legacy(url)).session).toBe('');
  });
  it('are ignored in 2026-07-28, which has none', async () => {
    const { url } = await door();
    const reply = await modern(url, 'server/discover', {}, { 'mcp-session-id': 'whatever' });
    expect([reply.status, reply.headers.get('mcp-session-id')]).toEqual([200, null]);
    for (const method of ['GET', 'DELETE']) expect((await fetch(url, { method, headers: { 'mcp-protocol-version': '2026-07-28' } })).status).toBe(405);
  });

  it.each(['2025-11-25', '2025-06-18'])('of %s are told of changed lists and of resources that they subscribed to', async (version) => {
    const { client, listener, catalogue } = await within(version);
    // The stream is open once its head is here; a request after it finds it in place.
    expect((await client.request('resources/subscribe', { uri: 'test://watched-resource' })).json.result).toEqual({});
    catalogue.changed('tool');
    expect(await listener.message()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: {} });
    catalogue.tell({ resourceUris: ['test://watched-resource'] });
    expect(await listener.message()).toEqual({ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'test://watched-resource' } });
    await client.request('resources/unsubscribe', { uri: 'test://watched-resource' });
    catalogue.tell({ resourceUris: ['test://watched-resource'] });
    catalogue.changed('prompt');
    expect((await listener.message()).method).toBe('notifications/prompts/list_changed');
    expect((await client.request('resources/subscribe', { uri: 'test://nope' })).json.error?.code).toBe(-32002);
  });
  it('ask the client on the stream of the call that needs it', async () => {
    const { url } = await door();
    const client = await legacy(url, '2025-11-25', { sampling: {} });
    const call = await listening(Listener.open(url, { method: 'POST', body: '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"test_sampling","arguments":{"prompt":"Hi"}}}', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...client.headers } }));
    const asked = await call.message();
    expect(asked).toMatchObject({ method: 'sampling/createMessage', params: { maxTokens: 100 } });
    const other = await legacy(url, '2025-11-25', { sampling: {} });
    const answer = JSON.stringify({ jsonrpc: '2.0', id: asked.id, result: { role: 'assistant', model: 'm', content: { type: 'text', text: 'Ho' } } });
    // Another session's answer to our question is not an answer.
    expect((await send(url, answer.replace('Ho', 'Evil'), other.headers)).status).toBe(202);
    expect((await send(url, answer, client.headers)).status).toBe(202);
    expect(await call.message()).toMatchObject({ id: 9, result: { content: [{ type: 'text', text: 'LLM response: Ho' }] } });
  });
  it('never ask for what the client did not declare', async () => {
    const { url } = await door();
    const client = await legacy(url);
    const reply = await client.request('tools/call', { name: 'test_sampling', arguments: { prompt: 'Hi' } });
    expect(reply.text).not.toContain('sampling/createMessage');
    expect(reply.json.error?.code).toBe(-32603);
  });
  it('tell log messages from the least severity that the client asked for', async () => {
    const { url } = await door();
    const client = await legacy(url);
    const logs = async (): Promise<number> => (await client.request('tools/call', { name: 'test_tool_with_logging' })).text.split('notifications/message').length - 1;
    expect(await logs()).toBe(3);
    await client.request('logging/setLevel', { level: 'error' });
    expect(await logs()).toBe(0);
    expect((await client.request('logging/setLevel', { level: 'loud' })).json.error?.code).toBe(-32602);
  });
  it('have one GET stream: a client that comes back takes the place of its own lost one', async () => {
    const { url, catalogue } = await door();
    const client = await legacy(url);
    const lost = await listening(Listener.legacy(url, client));
    const found = await listening(Listener.legacy(url, client));
    expect(await lost.next()).toBeUndefined();
    catalogue.changed('tool');
    expect((await found.message()).method).toBe('notifications/tools/list_changed');
  });
});
