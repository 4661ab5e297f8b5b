import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { as } from '../fake-gateway.js';
import { type Asking, type Counted, billingWorld, type Door, DOORS, type World } from './world.js';

// BILL-09: the table "who pays" of docs/billing.md, each row through both eras of MCP and REST, from the door to the ledger.
let world: World;
beforeAll(async () => { world = await billingWorld(); });
afterAll(() => world.close());

const paid = (outcome: string, why = outcome): Partial<Counted> => ({ outcome, invoked: true, why, milli: 1 });
const free = (outcome: string, invoked = false, why = outcome): Partial<Counted> => ({ outcome, invoked, why, milli: 0 });

interface Row { readonly name: string; readonly tool: string; readonly asking?: Asking; readonly counts: Partial<Counted>; readonly receipts: number }
const ROWS: readonly Row[] = [
  { name: 'a success is paid for once', tool: 'works', counts: paid('success'), receipts: 1 },
  { name: 'arguments that were refused are free', tool: 'works', asking: { args: { id: 7 } }, counts: free('rejected'), receipts: 0 },
  { name: 'a name that is not there is free', tool: 'nothing', counts: free('rejected'), receipts: 0 },
  { name: 'a call that policy denies is free', tool: 'write', asking: { as: 'acme-viewer' }, counts: free('denied'), receipts: 0 },
  { name: 'a call over its limit is free', tool: 'limited', counts: free('rate_limited'), receipts: 0 },
  { name: 'a tool error is free', tool: 'fails', counts: free('error', true), receipts: 1 },
  { name: 'a tool error is paid for where its tool says so', tool: 'fails_billed', counts: paid('error'), receipts: 1 },
  { name: 'a timeout is free', tool: 'hangs', counts: free('timeout', true), receipts: 1 },
  { name: 'a timeout is paid for where its tool says so', tool: 'hangs_billed', counts: paid('timeout'), receipts: 1 },
  { name: 'a backend that cannot be reached is free', tool: 'away', counts: free('error', true), receipts: 0 },
  { name: 'something of ours that is away is free', tool: 'unserved', counts: free('unavailable'), receipts: 0 },
  { name: 'a round in which the tool asks is free', tool: 'asks', counts: free('input_required', true), receipts: 0 },
  { name: 'a tool of the platform is priced like any other', tool: 'stoa_platform_info', counts: paid('success'), receipts: 0 },
];

describe.each(DOORS)('who pays, through %s', (door: Door) => {
  it.each(ROWS)('$name', async ({ tool, asking, counts, receipts }) => {
    const id = world.newId();
    const before = world.receipts.length;
    const said = await world.call(door, tool, id, asking);
    const entries = await world.counted(id);
    expect(entries).toEqual([expect.objectContaining(counts)]);
    // The answer, the ledger and the backend know the call by one id.
    expect(said.headers.get('x-stoa-call-id')).toBe(entries[0]?.id);
    expect(world.receipts.slice(before).map(({ callId }) => callId)).toEqual(Array.from({ length: receipts }, () => entries[0]?.id));
  });

  it.each([{ tool: 'waits', counts: free('cancelled', true) }, { tool: 'waits_billed', counts: paid('cancelled') }])('a call whose client left before the backend answered: $tool is $counts.milli', async ({ tool, counts }) => {
    const id = world.newId();
    const leaving = new AbortController();
    const before = world.receipts.length;
    const gone = world.call(door, tool, id, { signal: leaving.signal }).then(() => 'answered', () => 'gone');
    await until(() => world.receipts.length > before);
    leaving.abort();
    expect(await gone).toBe('gone');
    await until(async () => (await world.counted(id)).length > 0);
    expect(await world.counted(id)).toEqual([expect.objectContaining(counts)]);
  });

  it.skipIf(door === 'mcp-legacy')('a call that must be agreed to is paid for once, in the round that ends it', async () => {
    const id = world.newId();
    const capable = { _meta: { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } } };
    const first = await world.call(door, 'drop', id, door === 'mcp' ? { params: capable } : {});
    expect(await world.counted(id)).toEqual([expect.objectContaining(free('input_required'))]);
    const result = first.json['result'] as { requestState?: string } | undefined;
    await world.call(door, 'drop', id, door === 'mcp'
      ? { params: { ...capable, requestState: result?.requestState, inputResponses: { stoa_confirm: { action: 'accept', content: { confirm: true } } } } } : { body: { confirm_token: first.json['confirm_token'] } });
    expect(await world.counted(id)).toEqual([expect.objectContaining(free('input_required')), expect.objectContaining(paid('success'))]);
  });

  it('the same call under one Idempotency-Key is made once and paid for once; its answer is told again, word for word', async () => {
    const [id, key] = [world.newId(), world.newId()];
    const before = world.receipts.length;
    const first = await world.call(door, 'works', id, { key, args: { id: 'a' } });
    const again = await world.call(door, 'works', id, { key, args: { id: 'a' } });
    expect(again.text).toBe(first.text);
    expect([first.headers.get('idempotent-replayed'), again.headers.get('idempotent-replayed')]).toEqual([null, 'true']);
    expect(await world.counted(id)).toEqual([expect.objectContaining(paid('success')), expect.objectContaining(free('success', false, 'not-invoked'))]);
    expect(world.receipts.length - before).toBe(1);
  });
  it('a tool error under a key is told again too: whether the backend did something is not known', async () => {
    const [id, key] = [world.newId(), world.newId()];
    const before = world.receipts.length;
    const [first, again] = [await world.call(door, 'fails_billed', id, { key }), await world.call(door, 'fails_billed', id, { key })];
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect((await world.counted(id)).map(({ milli }) => milli)).toEqual([1, 0]);
    expect(world.receipts.length - before).toBe(1);
  });
  it('a key is not for another call, and not for one that is under way: 409, free', async () => {
    const [id, key] = [world.newId(), world.newId()];
    await world.call(door, 'works', id, { key, args: { id: 'a' } });
    const other = await world.call(door, 'works', id, { key, args: { id: 'b' } });
    expect(other.status).toBe(door === 'rest' ? 409 : 200);
    expect(JSON.stringify(other.json)).toContain(door === 'rest' ? 'used for another call' : 'IDEMPOTENCY_CONFLICT');

    const [running, before] = [world.newId(), world.receipts.length];
    const first = world.call(door, 'waits', id, { key: running });
    await until(() => world.receipts.length > before);
    const second = await world.call(door, 'waits', id, { key: running });
    expect(JSON.stringify(second.json)).toContain('under way');
    world.waiting.at(-1)?.writeHead(200, { 'content-type': 'application/json' }).end('{"late":true}');
    await first;
    expect((await world.call(door, 'waits', id, { key: running })).text).toContain('late');
    expect((await world.counted(id)).map(({ outcome, milli }) => `${outcome} ${milli}`).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['rejected 0', 'rejected 0', 'success 0', 'success 1', 'success 1']);
    expect(world.receipts.length - before).toBe(1);
  });
  it('a call under a key runs to its end though its client leaves, and whoever comes again has its answer', async () => {
    const [id, key] = [world.newId(), world.newId()];
    const leaving = new AbortController();
    const before = world.receipts.length;
    const gone = world.call(door, 'waits', id, { key, signal: leaving.signal }).catch(() => 'gone');
    await until(() => world.receipts.length > before);
    const left = world.left();
    leaving.abort();
    expect(await gone).toBe('gone');
    // The gateway knows that its client left, before the backend answers.
    await until(() => world.left() > left);
    world.waiting.at(-1)?.writeHead(200, { 'content-type': 'application/json' }).end('{"kept":1}');
    await until(async () => (await world.counted(id)).length > 0);
    expect((await world.call(door, 'waits', id, { key })).text).toContain('kept');
    expect(await world.counted(id)).toEqual([expect.objectContaining(paid('success')), expect.objectContaining(free('success', false, 'not-invoked'))]);
    expect(world.receipts.length - before).toBe(1);
  });
  it('a key whose call reached no backend is free again', async () => {
    const [id, key] = [world.newId(), world.newId()];
    expect((await world.call(door, 'unserved', id, { key })).headers.get('idempotent-replayed')).toBeNull();
    await world.call(door, 'works', id, { key });
    expect((await world.counted(id)).map(({ outcome, milli }) => [outcome, milli])).toEqual([['unavailable', 0], ['success', 1]]);
  });
  it('one tenant\'s keys, and one person\'s, are nobody else\'s', async () => {
    const [id, key] = [world.newId(), world.newId()];
    const before = world.receipts.length;
    for (const who of ['acme-admin', 'acme-admin-2', 'globex-admin']) expect((await world.call(door, 'works', id, { key, as: who })).headers.get('idempotent-replayed')).toBeNull();
    expect((await world.counted(id)).map(({ milli }) => milli)).toEqual([1, 1, 1]);
    expect(world.receipts.length - before).toBe(3);
  });
  it.each(['', 'with space', 'x'.repeat(256), 'é'].filter((key) => key !== '' && key !== 'é'))('a key that is none (%#) is refused and free', async (key) => {
    const id = world.newId();
    const said = await world.call(door, 'works', id, { key });
    expect(JSON.stringify(said.json)).toContain('Idempotency-Key is 1 to 255');
    expect(await world.counted(id)).toEqual([expect.objectContaining(free('rejected'))]);
  });
});

describe('who pays beside tools', () => {
  it('a call that must be agreed to is paid for once, where the client is asked on the call\'s own stream', async () => {
    const id = world.newId();
    const client = new Client({ name: 't', version: '0' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { confirm: true } }));
    await client.connect(new StreamableHTTPClientTransport(new URL(`${world.url}/mcp`), { requestInit: { headers: { ...as('acme-admin'), 'x-request-id': id } } }));
    expect((await client.callTool({ name: 'drop', arguments: {} })).isError).toBeFalsy();
    await client.close();
    expect(await world.counted(id)).toEqual([expect.objectContaining(paid('success'))]);
  });
  it('lists are no calls; resources and prompts are counted and free', async () => {
    const id = world.newId();
    const headers = { ...as('acme-admin'), 'x-request-id': id };
    for (const path of ['tools', 'prompts', 'resources']) expect((await fetch(`${world.url}/mcp/v1/${path}`, { headers })).status).toBe(200);
    expect(await world.counted(id)).toEqual([]);
    expect((await fetch(`${world.url}/mcp/v1/resources/${encodeURIComponent('note://a')}`, { headers })).status).toBe(200);
    expect((await fetch(`${world.url}/mcp/v1/prompts/hello?who=x`, { headers })).status).toBeLessThan(500);
    expect((await world.counted(id)).map(({ milli }) => milli)).toEqual([0, 0]);
  });
  it('the key of a message counts before that of its request', async () => {
    const [id, key] = [world.newId(), world.newId()];
    for (const _ of [1, 2]) await world.call('mcp', 'works', id, { key: world.newId(), params: { _meta: { 'dev.gostoa/idempotency-key': key } } });
    expect((await world.counted(id)).map(({ milli }) => milli)).toEqual([1, 0]);
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!await holds()) await new Promise((resolve) => { setTimeout(resolve, 5); });
}
