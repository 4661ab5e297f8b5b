import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { policyDecisionPoint } from '#libs/policy/decision-point.js';
import type { PolicyFiles } from '#libs/policy/policy-files.js';
import { PolicyInForce } from '#libs/policy/policy-in-force.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { eventsOf, legacy, Listener, type LegacyClient } from '../../../test/conformance/raw-client.js';
import { as, type FakeGateway, fakeGateway, fakeTarget } from '../../../test/fake-gateway.js';
import { createGateway } from './create-gateway.js';

let app: NestFastifyApplication | undefined;
let fake: FakeGateway;
const listeners: Listener[] = [];
afterEach(async () => { for (const listener of listeners.splice(0)) listener.close(); await app?.close(); app = undefined; });

/** A gateway whose operator's policy is these files, and the way to put others in force. */
async function start(files: PolicyFiles): Promise<{ readonly url: string; readonly put: (next: PolicyFiles) => Promise<void> }> {
  let now = files;
  const inForce = new PolicyInForce({ folder: { read: async () => ({ operator: now, tenants: {} }), watch: () => () => undefined } });
  await inForce.start();
  const point = policyDecisionPoint({ engine: inForce.engine, environment: 'dev', enforces: new Set(['confirm']) });
  fake = fakeGateway({
    policy: { ...point, onChange: (listener) => inForce.onChange(() => { listener(); }), rules: inForce.rules },
    validator: createArgumentValidator(), mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) },
  });
  app = await createGateway(fake.parts);
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet'), fakeTarget('acme', 'tool', 'dropPet', { operationClass: 'destructive' }), fakeTarget('acme', 'prompt', 'hello')]);
  await app.listen(0, '127.0.0.1');
  return { url: `${await app.getUrl()}/mcp`, put: async (next) => { now = next; await inForce.reload(); } };
}
const settings = (destructive: string): PolicyFiles => ({ 'settings.yaml': `destructive: ${destructive}` });
const rules = (name: string, tool = '"*"'): string => `policies: [{ name: ${name}, description: why, tool: ${tool}, priority: 3, rules: [{ action: deny, message: no, condition: { field: id, operator: eq, value: x } }] }, { name: off, tool: getPet, enabled: false, rules: [{ action: warn, message: w }] }]`;
const opened = async (listener: Promise<Listener>): Promise<Listener> => { const one = await listener; listeners.push(one); return one; };
const session = (url: string, who: string, capabilities: object = {}): Promise<LegacyClient> => legacy(url, '2025-11-25', capabilities, as(who));

describe('when another policy comes in force', () => {
  it('those whose visible tools it changed are told, in both eras, and nobody else', async () => {
    const { url, put } = await start(settings('deny'));
    const all = { toolsListChanged: true, promptsListChanged: true };
    const modern = { admin: await opened(Listener.modern(url, all, as('acme-admin'))), viewer: await opened(Listener.modern(url, all, as('acme-viewer'))) };
    for (const listener of Object.values(modern)) expect((await listener.message()).method).toBe('notifications/subscriptions/acknowledged');
    const old = { admin: await opened(Listener.legacy(url, await session(url, 'acme-admin'))), viewer: await opened(Listener.legacy(url, await session(url, 'acme-viewer'))) };

    await put(settings('allow'));
    expect((await modern.admin.message()).method).toBe('notifications/tools/list_changed');
    expect((await old.admin.message()).method).toBe('notifications/tools/list_changed');
    // A viewer sees no destructive tool under either: what it hears first is what happened later.
    fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet'), fakeTarget('acme', 'prompt', 'other')]);
    expect((await modern.viewer.message()).method).toBe('notifications/prompts/list_changed');
    expect((await old.viewer.message()).method).toBe('notifications/prompts/list_changed');
  });

  it('and the one that is refused tells nothing, since the last good one stays in force', async () => {
    const { url, put } = await start(settings('deny'));
    const listener = await opened(Listener.modern(url, { toolsListChanged: true }, as('acme-admin')));
    await listener.message();
    await put(settings('perhaps'));
    await put(settings('allow'));
    expect((await listener.message()).method).toBe('notifications/tools/list_changed');
  });
});

describe('GET /mcp/v1/policies/rules', () => {
  it('lists the argument policies in force, those switched off too, and follows a change', async () => {
    const { url, put } = await start({ 'rules.yaml': rules('first') });
    const get = async (): Promise<unknown> => (await fetch(url.replace(/mcp$/, 'mcp/v1/policies/rules'), { headers: as('acme-viewer') })).json();
    expect(await get()).toEqual({
      rules: [{ name: 'first', description: 'why', tool: '*', enabled: true, priority: 3, rules_count: 1 }, { name: 'off', description: null, tool: 'getPet', enabled: false, priority: 0, rules_count: 1 }],
      total_count: 2, engine_enabled: true,
    });
    await put({ 'rules.yaml': rules('second') });
    expect(await get()).toMatchObject({ rules: [{ name: 'second' }, { name: 'off' }] });
    await put({ 'rules.yaml': 'policies: nonsense' });
    expect(await get()).toMatchObject({ rules: [{ name: 'second' }, { name: 'off' }] });
  });
});

/** Calls it as a client that can be asked, and gives this answer to the question. */
async function call(said: object): Promise<{ readonly question: { readonly message: string; readonly requestedSchema: object } | undefined; readonly result: { readonly isError?: boolean; readonly content: readonly { readonly text: string }[] } }> {
  const { url } = await start(settings('confirm'));
  const client = await session(url, 'acme-admin', { elicitation: {} });
  const stream = await opened(Listener.open(url, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...client.headers }, body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'dropPet', arguments: { id: '1' } } }) }));
  const asked = await stream.message();
  expect(asked.method).toBe('elicitation/create');
  expect(fake.calls).toHaveLength(0);
  const taken = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...client.headers }, body: JSON.stringify({ jsonrpc: '2.0', id: asked.id, ...said }) });
  expect(taken.status).toBe(202);
  const { id, result } = await stream.message();
  expect(id).toBe(7);
  return { question: asked.params as never, result: result as never };
}

describe('a destructive tool that asks first, in the 2025 revisions', () => {
  it('is called once the person behind the client agreed, and the record says so', async () => {
    const { question, result } = await call({ result: { action: 'accept', content: { confirm: true } } });
    expect(question).toMatchObject({ message: expect.stringContaining('dropPet'), requestedSchema: { required: ['confirm'] } });
    expect(result.isError).not.toBe(true);
    expect(fake.calls).toHaveLength(1);
    expect(fake.calls[0]?.decision.obligations).toEqual([{ kind: 'confirm' }, { kind: 'confirmed', message: 'elicitation' }]);
  });
  it.each([
    ['declines', { result: { action: 'decline' } }], ['cancels', { result: { action: 'cancel' } }], ['says no', { result: { action: 'accept', content: { confirm: false } } }],
    ['says nothing', { result: { action: 'accept' } }], ['answers an error', { error: { code: -32_603, message: 'broken' } }],
  ])('is not called where it %s', async (_, said) => {
    const { result } = await call(said);
    expect(result).toMatchObject({ isError: true });
    expect(JSON.stringify(result)).toContain('dropPet was not confirmed');
    expect(fake.calls).toEqual([]);
  });
  it('is refused to a client that cannot be asked, which is told what would do', async () => {
    const { url } = await start(settings('confirm'));
    const { text } = await (await session(url, 'acme-admin')).request('tools/call', { name: 'dropPet', arguments: { id: '1' } });
    expect(text).toContain('connect one that declares elicitation');
    expect(eventsOf(text).some(({ data }) => data.includes('elicitation/create'))).toBe(false);
    expect(fake.calls).toEqual([]);
  });
});
