import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { createEgress, type Egress } from '#libs/egress/egress.js';
import { ActivePolicy } from '#libs/policy/active-policy.js';
import { type DecisionEvent, policyDecisionPoint } from '#libs/policy/decision-point.js';
import { callOf, decisionTable, principalOf, type TablePolicy, tablePolicies, targetOf } from '#libs/policy/decision-table.contract.js';
import { policyData } from '#libs/policy/policy-data.js';
import { bundleFiles, shippedBundle } from '#libs/policy/shipped-policy.js';
import { sidecarEngine } from '#libs/policy/sidecar-engine.js';
import { type OpaServer, startOpa } from './services/opa.js';

const shipped = shippedBundle();
const names = Object.keys(tablePolicies) as TablePolicy[];
let egress: Egress;
const servers = new Map<TablePolicy, OpaServer>();
const embedded = new Map<TablePolicy, ActivePolicy>();

beforeAll(async () => {
  for (const name of names) {
    servers.set(name, await startOpa(bundleFiles(shipped.rego, policyData(shipped.data, tablePolicies[name]), `revision-${names.indexOf(name)}`)));
    const active = new ActivePolicy();
    await active.activate({ operator: tablePolicies[name] });
    embedded.set(name, active);
  }
  egress = createEgress({ allow: [...servers.values()].map(({ url }) => new URL(url).host) });
}, 600_000);
afterAll(async () => {
  await egress.close();
  for (const server of servers.values()) await server.dispose();
});

describe('the OPA server and the embedded evaluator', () => {
  it.each(decisionTable)('decide alike, to the last member: $name', async ({ policy, who, tool, environment, args, action, expected }) => {
    const seen: DecisionEvent[] = [];
    const target = targetOf(tool);
    const principal = principalOf(who);
    const engines = [sidecarEngine({ url: servers.get(policy)!.url, outbound: egress, timeoutMs: 5000 }), embedded.get(policy)!.engine()!];
    for (const engine of engines) {
      const point = policyDecisionPoint({ engine: () => engine, environment, enforces: new Set(['confirm']), observe: (event) => { seen.push(event); } });
      if (action === 'list') await point.mayList(principal, target);
      else await point.decide(callOf(principal, target, args));
    }
    expect(seen).toHaveLength(2);
    expect(seen[0]!.decision).toEqual(seen[1]!.decision);
    expect(seen[0]!.decision?.ruleId).toBe('allow' in expected ? expected.allow : expected.deny);
    expect(seen[0]!.revision).toBe(`revision-${names.indexOf(policy)}`);
  });
});

describe('one OPA server, asked over one connection pool as the gateway asks it', () => {
  it('answers every one of 20,000 different decisions, and tells how many a second', async () => {
    const engine = sidecarEngine({ url: servers.get('shipped')!.url, outbound: egress, timeoutMs: 5000 });
    const point = policyDecisionPoint({ engine: () => engine, environment: 'dev', enforces: new Set(), cacheMs: 0 });
    const principal = principalOf({ tenant: 'acme', roles: ['viewer'] });
    const target = targetOf(['read_pet', 'read', 'acme']);
    const began = performance.now();
    let next = 0;
    let allowed = 0;
    await Promise.all(Array.from({ length: 64 }, async () => { for (let i = next++; i < 20_000; i = next++) if (!(await point.decide(callOf(principal, target, { petId: i })) instanceof Denial)) allowed += 1; }));
    console.info(`policy: ${Math.round(20_000_000 / (performance.now() - began))} decisions a second by the OPA server, 64 at a time`);
    expect(allowed).toBe(20_000);
  });
});

describe('when the OPA server is killed', () => {
  it('no call is allowed, each is answered 503, and the first call after it is back is decided', async () => {
    const server = servers.get('shipped')!;
    const events: DecisionEvent[] = [];
    const point = policyDecisionPoint({ engine: () => engine, environment: 'dev', enforces: new Set(), cacheMs: 0, observe: (event) => { events.push(event); } });
    const engine = sidecarEngine({ url: server.url, outbound: egress, timeoutMs: 2000 });
    const call = callOf(principalOf({ tenant: 'acme', roles: ['viewer'] }), targetOf(['read_pet', 'read', 'acme']), {});
    expect(await point.decide(call)).toMatchObject({ ruleId: 'scope-read' });
    await server.stop();
    for (let i = 0; i < 20; i++) {
      const verdict = await point.decide(call);
      expect(verdict).toBeInstanceOf(Denial);
      expect(verdict).toMatchObject({ code: 'UNAVAILABLE' });
    }
    expect(events.filter(({ outcome }) => outcome === 'error')).toHaveLength(20);
    await server.start();
    expect(await point.decide(call)).toMatchObject({ ruleId: 'scope-read' });
  });
});
