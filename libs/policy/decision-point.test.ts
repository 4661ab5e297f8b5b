import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Denial, Unavailable } from '#libs/core/errors.js';
import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import { ActivePolicy } from './active-policy.js';
import { callOf, principalOf, tablePolicies, targetOf } from './decision-table.contract.js';
import { type DecisionEvent, type DecisionPointOptions, policyDecisionPoint } from './decision-point.js';
import { EngineFailure, type PolicyEngine } from './engine.js';
import { matcher, type TenantPolicy } from './policy-data.js';
import { sidecarEngine } from './sidecar-engine.js';

const viewer = principalOf({ tenant: 'acme', roles: ['viewer'] });
const tool = targetOf(['read_pet', 'read', 'acme']);
const call = (args: unknown = {}) => callOf(viewer, tool, args);
const allowing = { allow: true, reason: 'yes', rule_id: 'r', obligations: [], varies: [] };

function recording(result: unknown) {
  const inputs: unknown[] = [];
  const engine: PolicyEngine = { evaluate: (input) => { inputs.push(JSON.parse(input)); return { result, revision: '1' }; } };
  return { inputs, engine };
}
const point = (engine: PolicyEngine | undefined, more: Partial<DecisionPointOptions> = {}) => policyDecisionPoint({ engine: () => engine, environment: 'dev', enforces: new Set(), ...more });

describe('fails closed', () => {
  it.each<[string, unknown]>([
    ['undefined', undefined], ['null', null], ['true', true], ['a text', 'allow'], ['a list', [allowing]], ['{}', {}], ['allow as a text', { ...allowing, allow: 'true' }],
    ['no reason', { ...allowing, reason: undefined }], ['no rule', { ...allowing, rule_id: '' }], ['obligations that are none', { ...allowing, obligations: [7] }], ['an unknown dependence', { ...allowing, varies: ['moon'] }],
  ])('on an answer that is no decision: %s', async (_, result) => {
    const events: DecisionEvent[] = [];
    const verdict = await point(recording(result).engine, { observe: (event) => { events.push(event); } }).decide(call());
    expect(verdict).toBeInstanceOf(Denial);
    expect(verdict).toMatchObject({ code: 'FORBIDDEN', message: 'No policy allows this call' });
    expect(events).toMatchObject([{ outcome: 'error', failure: result === undefined ? 'undefined' : 'malformed' }]);
  });

  it.each([
    { kind: 'unreachable', code: 'UNAVAILABLE' }, { kind: 'timeout', code: 'UNAVAILABLE' }, { kind: 'failed', code: 'FORBIDDEN' }, { kind: 'malformed', code: 'FORBIDDEN' },
  ] as const)('when the engine is $kind, at once or later', async ({ kind, code }) => {
    for (const evaluate of [() => { throw new EngineFailure(kind, 'x'); }, async () => { throw new EngineFailure(kind, 'x'); }]) {
      expect(await point({ evaluate }).decide(call())).toMatchObject({ code, reason: `engine-${kind}: x` });
    }
  });
  it('on an engine that throws a text', async () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    expect(await point({ evaluate: () => { throw 'boom'; } }).decide(call())).toMatchObject({ code: 'FORBIDDEN', reason: 'engine-failed: boom' });
  });
  it('with nothing in force: a call is answered 503 and a list is empty', () => {
    expect(() => point(undefined).decide(call())).toThrow(Unavailable);
    expect(point(undefined).mayList(viewer, tool)).toBe(false);
  });
  it('on an obligation that nobody enforces', async () => {
    const { engine } = recording({ ...allowing, obligations: [{ kind: 'confirm' }] });
    expect(await point(engine).decide(call())).toMatchObject({ code: 'FORBIDDEN', message: 'Tool read_pet needs a confirm that this door cannot ask for' });
    expect(await point(engine, { enforces: new Set(['confirm']) }).decide(call())).toMatchObject({ ruleId: 'r', obligations: [{ kind: 'confirm' }] });
  });
  it.each<[string, Outbound['request'], string]>([
    ['a timeout', async () => { throw new OutboundFailure('timeout', 't'); }, 'UNAVAILABLE'],
    ['no connection', async () => { throw new OutboundFailure('unreachable', 'u'); }, 'UNAVAILABLE'],
    ['status 500', async () => ({ status: 500, headers: {}, body: Buffer.from('{"result":{}}') }), 'FORBIDDEN'],
    ['status 404', async () => ({ status: 404, headers: {}, body: Buffer.from('') }), 'FORBIDDEN'],
    ['no JSON', async () => ({ status: 200, headers: {}, body: Buffer.from('<html>') }), 'FORBIDDEN'],
    ['JSON null', async () => ({ status: 200, headers: {}, body: Buffer.from('null') }), 'FORBIDDEN'],
    ['no result', async () => ({ status: 200, headers: {}, body: Buffer.from('{}') }), 'FORBIDDEN'],
    ['the bare true of another policy', async () => ({ status: 200, headers: {}, body: Buffer.from('{"result":true}') }), 'FORBIDDEN'],
  ])('on a policy server with %s', async (_, request, code) => {
    expect(await point(sidecarEngine({ url: 'http://127.0.0.1:8181', outbound: { request } })).decide(call())).toMatchObject({ code });
  });
});

describe('remembers', () => {
  it('a decision that depends on nothing else, until its time is over', async () => {
    const { engine, inputs } = recording(allowing);
    let at = 0;
    const policy = point(engine, { now: () => at, cacheMs: 1000 });
    await policy.decide(call({ a: 1 }));
    await policy.decide(call({ a: 2 }));
    expect(inputs).toHaveLength(1);
    at = 1000;
    await policy.decide(call());
    expect(inputs).toHaveLength(2);
  });
  it('nothing that depends on arguments or on time, or that does not say', async () => {
    for (const varies of [['arguments'], ['time'], undefined]) {
      const { engine, inputs } = recording({ ...allowing, varies });
      const policy = point(engine);
      await policy.decide(call());
      await policy.decide(call());
      expect(inputs).toHaveLength(2);
    }
  });
  it('no failure', async () => {
    let times = 0;
    const policy = point({ evaluate: () => { times += 1; throw new EngineFailure('timeout', 'x'); } });
    await policy.decide(call());
    await policy.decide(call());
    expect(times).toBe(2);
  });
  it('by tenant, by principal, by tool and by door, and nothing of another policy', async () => {
    const { engine, inputs } = recording(allowing);
    const other = recording(allowing);
    let now = engine;
    const policy = policyDecisionPoint({ engine: () => now, environment: 'dev', enforces: new Set() });
    for (const [who, what] of [[viewer, tool], [principalOf({ tenant: 'globex', roles: ['viewer'] }), tool], [principalOf({ roles: ['viewer'] }), tool], [principalOf({ tenant: 'acme', roles: ['devops'] }), tool], [viewer, targetOf(['x', 'read', 'acme'])]] as const) await policy.decide(callOf(who, what, {}));
    await policy.decide({ ...call(), door: 'rest' });
    expect(inputs).toHaveLength(6);
    // The same facts in another token are the same principal.
    await policy.decide(callOf(principalOf({ tenant: 'acme', roles: ['viewer'] }), tool, {}));
    expect(inputs).toHaveLength(6);
    now = other.engine;
    await policy.decide(call());
    expect(other.inputs).toHaveLength(1);
  });
});

describe('the input', () => {
  it('holds the facts of the parsed call, and no credential', async () => {
    const { engine, inputs } = recording({ ...allowing, varies: undefined });
    await point(engine, { now: () => Date.UTC(2026, 0, 1, 13) }).decide(call({ petId: 7 }));
    expect(inputs).toEqual([{
      principal: { subject: 'ada', client: 'cli', issuer: 'https://issuer.test', tenant: 'acme', roles: ['viewer'], scopes: [...viewer.scopes].toSorted() },
      tool: { kind: 'tool', name: 'read_pet', tenant: 'acme', class: 'read', tags: [], category: null, backend: 'builtin', api: null },
      environment: 'dev', action: 'invoke', door: 'mcp', time: { unix: 1_767_272_400, hour: 13, weekday: 4 }, arguments: { petId: 7 },
    }]);
  });
  it('leaves arguments out once the policy said that it does not look at them', async () => {
    const { engine, inputs } = recording(allowing);
    const policy = point(engine, { cacheMs: 0 });
    await policy.decide(call({ blob: 'x' }));
    await policy.decide(call({ blob: 'x'.repeat(1e6) }));
    expect(inputs[1]).not.toHaveProperty('arguments');
    expect(inputs[1]).not.toHaveProperty('time');
  });
});

describe('a tenant', () => {
  const base = new ActivePolicy();
  beforeAll(async () => { await base.activate({ operator: { destructive: 'confirm' } }); });
  const globs = fc.array(fc.constantFrom('read_pet', 'add_pet', 'delete_pet', '*_pet', '*', 'stoa_list_tools'), { maxLength: 3 });
  const access = fc.record({ default_action: fc.constantFrom('deny', 'allow'), roles: fc.dictionary(fc.constantFrom('viewer', 'devops', 'cpi-admin'), globs.map(matcher)), workspaces: fc.constant({}), tools: fc.constant({}) }) as fc.Arbitrary<NonNullable<TenantPolicy['access']>>;
  const rules = fc.array(fc.record({ id: fc.constant('x'), tools: globs.map(matcher), action: fc.constantFrom('deny', 'warn'), message: fc.constant('m'), always: fc.boolean(), any: fc.constant([[]]) })) as fc.Arbitrary<NonNullable<TenantPolicy['rules']>>;
  const tenant = fc.record({ rules, access, denied: globs.map(matcher), destructive: fc.constantFrom('deny', 'confirm') }, { requiredKeys: [] }) as fc.Arbitrary<TenantPolicy>;
  it('can only narrow: whatever its part says, nothing is allowed that is denied without it', async () => {
    await fc.assert(fc.asyncProperty(tenant, async (part) => {
      const narrowed = new ActivePolicy();
      await narrowed.activate({ operator: { destructive: 'confirm', tenants: { acme: part } } });
      const enforces = new Set(['confirm']);
      for (const roles of [[], ['viewer'], ['devops'], ['cpi-admin']]) for (const name of [['read_pet', 'read'], ['add_pet', 'write'], ['delete_pet', 'destructive']] as const) for (const owner of ['acme', 'globex', undefined]) {
        const asked = callOf(principalOf({ tenant: 'acme', roles }), targetOf([...name, owner]), {});
        const [without, within] = await Promise.all([base, narrowed].map(async ({ engine }) => policyDecisionPoint({ engine, environment: 'dev', enforces }).decide(asked)));
        expect(within instanceof Denial || !(without instanceof Denial)).toBe(true);
      }
    }), { numRuns: 25 });
  });
  it('has its arguments in the input only where a rule looks at them', async () => {
    const active = new ActivePolicy();
    await active.activate({ operator: tablePolicies['argument rules'] });
    const events: DecisionEvent[] = [];
    const policy = policyDecisionPoint({ engine: active.engine, environment: 'dev', enforces: new Set(), observe: (event) => { events.push(event); } });
    const devops = principalOf({ tenant: 'acme', roles: ['devops'] });
    for (const name of ['pay', 'pay', 'add_pet', 'add_pet']) await policy.decide(callOf(devops, targetOf([name, 'write', 'acme']), { amount: 1 }));
    expect(events.map(({ cached }) => cached)).toEqual([false, false, false, true]);
  });
});
