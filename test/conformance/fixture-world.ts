import type { ValidatedCall } from '#libs/core/call.js';
import type { CatalogueChange } from '#libs/core/catalogue.js';
import { callLine, type RunCall } from '#libs/core/pipeline.js';
import type { Principal } from '#libs/core/principal.js';
import type { BackendAnswer } from '#libs/core/call.js';
import { invoke, validate } from '#libs/core/stages/govern.js';
import { resolve } from '#libs/core/stages/resolve.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { McpDoorOptions } from '#apps/gateway/src/mcp/options.js';
import { type Fixture, FIXTURES, type FixtureWorld } from './fixtures.js';

/** The anonymous caller of the conformance profile. */
export const ANONYMOUS: Principal = { tenant: 'conformance' as TenantSlug, issuer: 'urn:stoa:conformance', subject: 'anonymous', clientId: 'conformance', roles: new Set(), scopes: new Set(), expiresAt: Number.MAX_SAFE_INTEGER };

const required = (target: Target): readonly string[] => (typeof target.inputSchema === 'object' && Array.isArray(target.inputSchema['required']) ? (target.inputSchema['required'] as string[]) : []);

/** Fixtures behind the real call line, without a tenant's catalogue, policy or limits: for tests of the door alone. */
export function fixtureDoor(fixtures: readonly Fixture[] = FIXTURES): Pick<McpDoorOptions, 'runCall' | 'catalogue' | 'listing'> & FixtureWorld & { readonly calls: ValidatedCall[] } {
  const listeners = new Set<(change: CatalogueChange) => void>();
  const calls: ValidatedCall[] = [];
  let revision = 1;
  const extra: Target[] = [];
  const all = (): Target[] => [...fixtures.map(({ target }) => target), ...extra];
  const find = (kind: Target['kind'], name: string): Target | undefined =>
    all().find((target) => target.kind === kind && (target.name === name || (target.name.includes('{') && new RegExp(`^${target.name.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`).test(name))));
  const changed = (kind: 'tool' | 'prompt'): void => {
    revision++;
    const before = fixtures.find(({ target }) => target.kind === kind)?.target;
    if (before) extra.push({ ...before, name: `${before.name}_${revision}`, hash: String(revision), listed: JSON.stringify({ ...(JSON.parse(before.listed) as object), name: `${before.name}_${revision}` }) });
    for (const listener of listeners) listener({ tenant: ANONYMOUS.tenant!, revision, toolsChanged: kind === 'tool', promptsChanged: kind === 'prompt', resourcesChanged: false, resourceUris: [] });
  };
  const world: FixtureWorld = { changed };
  const builtin = { async invoke(call: ValidatedCall): Promise<BackendAnswer> {
    calls.push(call);
    const fixture = fixtures.find(({ target }) => target.name === call.target.name && target.kind === call.target.kind) ?? fixtures[0]!;
    return { result: await fixture.answer(call, world), outcome: 'success', latencyMs: 0, bytes: 0 };
  } };
  const check = validate({ validate: (target, args) => {
    const input = args as Readonly<Record<string, unknown>>;
    const issues = required(target).filter((name) => !Object.hasOwn(input, name)).map((name) => ({ pointer: '', message: `must have required property '${name}'` }));
    return issues.length > 0 ? { issues } : { input };
  } });
  const runCall: RunCall = callLine({
    resolve: resolve({ snapshot: () => undefined, onChange: () => () => undefined }, { find }),
    authorize: (call) => Object.assign(call, { decision: { ruleId: 'conformance', policyRevision: '0' } }),
    rateLimit: (call) => Object.assign(call, { quota: undefined }),
    validate: check,
    invoke: invoke({ builtin }),
    redact: (call) => Object.assign(call, { result: call.answer.result }),
    settle: () => undefined,
  });
  return {
    calls, changed, runCall,
    catalogue: { onChange: (listener) => { listeners.add(listener); return () => { listeners.delete(listener); }; } },
    listing: {
      list: (kind) => ({ items: all().filter((target) => target.kind === kind), revision, key: 'all' }),
      find: (kind, name) => find(kind, name),
    },
  };
}
