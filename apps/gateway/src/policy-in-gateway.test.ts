import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { PolicyEngine } from '#libs/policy/engine.js';
import { readArgumentRules } from '#libs/policy/argument-rules.js';
import { EngineFailure } from '#libs/policy/engine.js';
import { policyDecisionPoint } from '#libs/policy/decision-point.js';
import type { OperatorPolicy } from '#libs/policy/policy-data.js';
import { PolicyInForce } from '#libs/policy/policy-in-force.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { as, type FakeGateway, fakeGateway, fakeTarget } from '../../../test/fake-gateway.js';
import { createGateway } from './create-gateway.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
let now = 1_800_000_000_000;
let evaluated = 0;
let broken: EngineFailure | undefined;
const API = { id: 'pets', name: 'pets', version: '1', title: '', description: '', kind: 'openapi', status: 'active', category: 'x', tags: [], specHash: '', baseUrl: undefined, definitions: {}, slots: {}, credentials: {} } as const;

const tool = (name: string, operationClass: 'read' | 'write' | 'destructive') => fakeTarget('acme', 'tool', name, { operationClass, apiId: 'pets', category: operationClass, tags: [operationClass], description: `secret-${name}` });

async function start(base: OperatorPolicy = {}): Promise<void> {
  now = 1_800_000_000_000;
  broken = undefined;
  const policies = new PolicyInForce({ base });
  await policies.start();
  const engine: PolicyEngine = { ...policies.engine()!, evaluate: (input) => { evaluated += 1; if (broken) throw broken; return policies.engine()!.evaluate(input); } };
  fake = fakeGateway({ policy: policyDecisionPoint({ engine: () => engine, environment: 'dev', enforces: new Set(['confirm']), cacheMs: 0 }), now: () => now, validator: createArgumentValidator(), mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) } });
  app = await createGateway(fake.parts);
  fake.catalogue.put('acme', [tool('getPet', 'read'), tool('addPet', 'write'), tool('dropPet', 'destructive'), fakeTarget('acme', 'prompt', 'hello'), fakeTarget('acme', 'resource', 'note://a')], [{ ...API, tenant: 'acme' as never }]);
  fake.catalogue.put('globex', [fakeTarget('globex', 'tool', 'mine', { operationClass: 'destructive' })]);
}
afterEach(() => app.close());
const invoke = (who: string, name: string, body: object = {}, headers: Record<string, string> = {}) => app.inject({ method: 'POST', url: `/mcp/v1/tools/${name}/invoke`, payload: { arguments: {}, ...body }, headers: { ...as(who), ...headers } });
const get = (who: string, path: string) => app.inject({ url: `/mcp/v1/${path}`, headers: as(who) });
const mcp = async (who: string, method: string, params: Record<string, unknown> = {}, capabilities: object = { elicitation: {} }) => (await app.inject({
  method: 'POST', url: '/mcp', headers: { ...as(who), accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}) },
  payload: { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': capabilities, 'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' } } } },
})).json<{ result?: Record<string, unknown>; error?: { code: number; message: string } }>();
const names = async (who: string): Promise<string[]> => ((await mcp(who, 'tools/list')).result!['tools'] as { name: string }[]).map(({ name }) => name).filter((name) => !name.startsWith('stoa_'));

const check = (who: string, body: object) => app.inject({ method: 'POST', url: '/mcp/v1/policies/check', payload: body, headers: as(who) });

const ask = async (who = 'acme-admin', args: object = { id: '1' }): Promise<string> => {
  const reply = await invoke(who, 'dropPet', { arguments: args });
  expect([reply.statusCode, reply.json<{ detail: string }>().detail]).toEqual([428, expect.stringContaining('dropPet')]);
  return reply.json<{ confirm_token: string }>().confirm_token;
};

describe('lists show exactly what may be called', () => {
  it('over MCP, REST, search, counts, categories and tags, and one tool by name', async () => {
    await start({ destructive: 'allow' });
    expect(await names('acme-viewer')).toEqual(['getPet']);
    expect(await names('acme-admin')).toEqual(['getPet', 'addPet', 'dropPet']);
    const list = (await get('acme-viewer', 'tools')).json<{ tools: { name: string }[]; total_count: number }>();
    expect(list.tools.map(({ name }) => name).filter((name) => !name.startsWith('stoa_'))).toEqual(['getPet']);
    expect(list.total_count).toBe(list.tools.length);
    for (const path of ['tools?search=addPet', 'tools?tag=destructive', 'tools?category=write']) expect([path, (await get('acme-viewer', path)).json<{ total_count: number }>().total_count]).toEqual([path, 0]);
    for (const path of ['tools', 'tools/categories', 'tools/tags', 'tools/getPet', 'prompts', 'resources']) {
      const { body } = await get('acme-viewer', path);
      expect([path, /addPet|dropPet|secret-add|secret-drop|destructive/.exec(body)?.[0]]).toEqual([path, undefined]);
    }
    expect((await get('acme-viewer', 'tools/addPet')).body.replace('addPet', 'nothing')).toBe((await get('acme-viewer', 'tools/nothing')).body);
  });
  it('within the platform tools as well', async () => {
    await start();
    for (const [name, args] of [['stoa_tools', { action: 'list' }], ['stoa_tools', { action: 'search', query: 'pet' }], ['stoa_tools', { action: 'schema', tool_name: 'addPet' }], ['stoa_catalog', { action: 'get', api_id: 'pets' }], ['stoa_api_spec', { action: 'endpoints', api_id: 'pets' }], ['stoa_api_spec', { action: 'docs', api_id: 'pets' }]] as const) {
      const { body } = await invoke('acme-viewer', name, { arguments: args });
      expect([name, args.action, /addPet|dropPet/.exec(body.replace('Tool not found: addPet', ''))?.[0]]).toEqual([name, args.action, undefined]);
    }
    expect((await invoke('acme-admin', 'stoa_catalog', { arguments: { action: 'get', api_id: 'pets' } })).body).toContain('secret-addPet');
  });
  it('and hide destructive tools while they are off', async () => {
    await start();
    expect(await names('acme-admin')).toEqual(['getPet', 'addPet']);
    expect((await invoke('acme-admin', 'dropPet')).statusCode).toBe(403);
  });
  it('to a credential for certain tools those alone, and nothing else is called by it', async () => {
    await start();
    expect(((await mcp('acme-one-tool', 'tools/list')).result!['tools'] as { name: string }[]).map(({ name }) => name)).toEqual(['getPet']);
    expect((await mcp('acme-one-tool', 'prompts/list')).result?.['prompts']).toEqual([]);
    expect((await invoke('acme-one-tool', 'getPet')).statusCode).toBe(200);
    expect((await invoke('acme-one-tool', 'addPet')).statusCode).toBeGreaterThanOrEqual(403);
    expect((await get('acme-one-tool', 'prompts/hello?who=x')).statusCode).toBeGreaterThanOrEqual(403);
  });
  it('asking policy once for each class of principals: a thousand tools cost a few evaluations, a second look none', async () => {
    await start();
    fake.catalogue.put('acme', Array.from({ length: 1000 }, (_, i) => fakeTarget('acme', 'tool', `tool_${i}`, { operationClass: i % 2 === 0 ? 'read' : 'write' })));
    evaluated = 0;
    const first = (await get('acme-viewer', 'tools?limit=1000')).json<{ total_count: number }>().total_count;
    expect(first).toBeGreaterThanOrEqual(500);
    expect(evaluated).toBeLessThan(20);
    evaluated = 0;
    await get('acme-viewer', 'tools?limit=1000');
    expect(evaluated).toBe(0);
  });
  it('nothing at all, as 503, while policy cannot be asked', async () => {
    await start();
    broken = new EngineFailure('unreachable', 'x');
    expect((await get('acme-viewer', 'tools')).statusCode).toBe(503);
  });
});

describe('what is not allowed', () => {
  it('is refused with its reason where it is the caller\'s own tenant\'s, and is unknown where it is another\'s', async () => {
    await start({ destructive: 'allow' });
    const own = await invoke('acme-viewer', 'addPet');
    expect([own.statusCode, own.json(), own.headers['www-authenticate']]).toEqual([403, { detail: 'Tool addPet requires write scope' }, expect.stringContaining('insufficient_scope')]);
    expect((await invoke('acme-admin', 'mine')).body.replace('mine', 'none')).toBe((await invoke('acme-admin', 'none')).body);
    expect(fake.calls).toEqual([]);
  });
  it('carries rule and revision into the log, and counts', async () => {
    await start();
    await invoke('acme-viewer', 'addPet');
    expect(fake.logs().find(({ msg }) => msg === 'call')).toMatchObject({ rule: 'requires-write', policy: expect.stringMatching(/^[0-9a-f]{12}$/), reason: 'requires-write: Tool addPet requires write scope' });
    broken = new EngineFailure('timeout', 'late');
    expect((await invoke('acme-viewer', 'getPet')).statusCode).toBe(503);
    const text = await fake.parts.metrics!.render();
    expect(text).toContain('policy_decisions_total{outcome="deny",reason="policy"} 1');
    expect(text).toContain('policy_decisions_total{outcome="error",reason="timeout"} 1');
  });
});

describe('the dry run', () => {
  it('tells what a call would be answered, without making it, and nothing of another tenant', async () => {
    await start({ rules: readArgumentRules('r.yaml', 'policies: [{ name: limit, tool: getPet, rules: [{ condition: { field: n, operator: gt, value: 5 }, action: deny, message: much }] }, { name: note, tool: getPet, rules: [{ condition: { field: n, operator: eq, value: 5 }, action: warn, message: just }] }]') });
    expect((await check('acme-viewer', { tool_name: 'getPet', arguments: { n: 6 } })).json()).toMatchObject({ allowed: false, policy_name: 'limit', rule_index: 0, message: 'Policy violation: much', action: 'deny' });
    expect((await check('acme-viewer', { tool_name: 'getPet', arguments: { n: 5 } })).json()).toMatchObject({ allowed: true, policy_name: 'note', rule_index: 1, message: 'just', action: 'warn' });
    expect((await check('acme-viewer', { tool_name: 'addPet' })).json()).toMatchObject({ allowed: false, policy_name: 'requires-write' });
    expect((await check('acme-viewer', { tool_name: 'mine' })).json()).toEqual({ detail: 'Tool not found: mine' });
    expect((await check('acme-viewer', {})).statusCode).toBe(422);
    expect(fake.calls).toEqual([]);
  });
});

describe('what asks first', () => {
  it('is done over REST with the token that came back, once', async () => {
    await start({ destructive: 'confirm' });
    const token = await ask();
    expect(fake.calls).toHaveLength(0);
    expect((await invoke('acme-admin', 'dropPet', { arguments: { id: '1' }, confirm_token: token })).statusCode).toBe(200);
    expect(fake.calls).toHaveLength(1);
    expect(fake.calls[0]?.decision.obligations).toEqual([{ kind: 'confirm' }, { kind: 'confirmed', message: 'token' }]);
    expect((await invoke('acme-admin', 'dropPet', { arguments: { id: '1' }, confirm_token: token })).statusCode).toBe(428);
    expect((await invoke('acme-admin', 'dropPet', { arguments: { id: '1' } }, { 'x-confirm-token': await ask() })).statusCode).toBe(200);
  });
  it.each([
    ['other arguments', { arguments: { id: '2' } }, 'acme-admin', 'dropPet'], ['another principal', { arguments: { id: '1' } }, 'acme-admin-2', 'dropPet'], ['a made-up token', { arguments: { id: '1' }, confirm_token: 'A'.repeat(60) }, 'acme-admin', 'dropPet'],
  ])('is not done with the token of another call: %s', async (_, body, who, name) => {
    await start({ destructive: 'confirm' });
    expect((await invoke(who, name, { confirm_token: await ask(), ...body })).statusCode).toBe(428);
    expect(fake.calls).toEqual([]);
  });
  it('is not done with a token of more than two minutes', async () => {
    await start({ destructive: 'confirm' });
    const token = await ask();
    now += 120_001;
    expect((await invoke('acme-admin', 'dropPet', { arguments: { id: '1' }, confirm_token: token })).statusCode).toBe(428);
  });
  it('is not asked about where the arguments are wrong, nor for who may not call it', async () => {
    await start({ destructive: 'confirm' });
    expect((await invoke('acme-admin', 'dropPet', { arguments: { id: 1 } })).statusCode).toBe(422);
    expect((await invoke('acme-viewer', 'dropPet', { arguments: { id: '1' } })).statusCode).toBe(403);
  });
  it('is asked by input_required in 2026-07-28, done when agreed to and not when declined', async () => {
    await start({ destructive: 'confirm' });
    const asked = (await mcp('acme-admin', 'tools/call', { name: 'dropPet', arguments: { id: '1' } })).result as { resultType: string; requestState: string; inputRequests: Record<string, { method: string }> };
    expect(asked).toMatchObject({ resultType: 'input_required', inputRequests: { stoa_confirm: { method: 'elicitation/create' } } });
    const answer = (inputResponses: object) => mcp('acme-admin', 'tools/call', { name: 'dropPet', arguments: { id: '1' }, requestState: asked.requestState, inputResponses });
    for (const no of [{ action: 'decline' }, { action: 'cancel' }, { action: 'accept', content: { confirm: false } }, { action: 'accept' }]) expect((await answer({ stoa_confirm: no })).result).toMatchObject({ isError: true });
    expect(fake.calls).toEqual([]);
    expect((await answer({ stoa_confirm: { action: 'accept', content: { confirm: true } } })).result).toMatchObject({ resultType: 'complete' });
    expect(fake.calls).toHaveLength(1);
    expect((await answer({ stoa_confirm: { action: 'accept', content: { confirm: true } } })).result).toMatchObject({ resultType: 'input_required' });
    expect(fake.calls).toHaveLength(1);
    expect((await mcp('acme-admin', 'tools/call', { name: 'dropPet', arguments: { id: '1' } }, {})).error).toMatchObject({ message: expect.stringContaining('elicitation') });
  });
  it('is marked in the record where somebody broke the glass', async () => {
    await start();
    const policy = fake.parts.policy!;
    const target = fake.catalogue.snapshot('acme' as never)!.tools.get('dropPet')!;
    const verdict = await policy.decide({ principal: { tenant: 'acme', issuer: 'i', subject: 's', clientId: 'c', roles: new Set(['tenant-admin']), scopes: new Set(['stoa:break-glass']), expiresAt: 4e9 }, target, door: 'rest', arguments: {}, name: 'dropPet', requestId: 'r' } as never);
    expect(verdict).toMatchObject({ obligations: [{ kind: 'audit', flag: 'break_glass', level: 'verbose' }] });
  });
});
