import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attenuate, type Authority, ExchangeRefused, type Grant, meet, type Wanted } from './authority.js';

const NOW = 1_000_000;
// Small worlds, so that what is asked for is often to be had and often not.
const scope = fc.constantFrom('stoa:read', 'stoa:write', 'stoa:admin', 'stoa:tools:execute', 'break-glass');
const role = fc.constantFrom('cpi-admin', 'tenant-admin', 'viewer');
const tool = fc.constantFrom('a', 'b', 'c', 'ns:d');
const operation = fc.constantFrom('x', 'y', 'z');
const set = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 8, size: 'max' }).map((all) => new Set(all));
const authority: fc.Arbitrary<Authority> = fc.record({
  scopes: set(scope), roles: set(role), expiresAt: fc.integer({ min: NOW - 10, max: NOW + 400 }), oneTime: fc.boolean(),
  tools: fc.option(fc.array(fc.tuple(tool, fc.option(set(operation), { nil: undefined })), { minLength: 2, maxLength: 8, size: 'max' }).map((all) => new Map(all)), { nil: undefined }),
  requestHash: fc.option(fc.constantFrom('h1', 'h2'), { nil: undefined }),
});
const toolScope = fc.oneof(tool.map((name) => `tools:${name}:call`), fc.tuple(tool, operation).map(([name, op]) => `tools:${name}:op:${op}`));
const wanted: fc.Arbitrary<Wanted> = fc.record({
  scopes: fc.array(fc.oneof({ weight: 1, arbitrary: scope }, { weight: 1, arbitrary: toolScope }), { maxLength: 1 }), tools: fc.uniqueArray(tool, { minLength: 1, maxLength: 2 }),
  operation, ttlSeconds: fc.integer({ min: 58, max: 122 }), oneTime: fc.boolean(), requestHash: fc.constantFrom('h1', 'h2'),
}, { requiredKeys: [] });

/** Everything in which a child exceeds its parent; written on its own, not with the product's functions. */
function excess(child: Authority, parent: Authority): string[] {
  const faults: string[] = [];
  for (const one of child.scopes) if (!parent.scopes.has(one)) faults.push(`scope ${one}`);
  for (const one of child.roles) if (!parent.roles.has(one)) faults.push(`role ${one}`);
  if (parent.tools) {
    if (!child.tools) faults.push('any tool');
    for (const [name, operations] of child.tools ?? []) {
      const held = parent.tools.get(name);
      if (!parent.tools.has(name)) faults.push(`tool ${name}`);
      else if (held && !operations) faults.push(`any operation of ${name}`);
      else for (const one of operations ?? []) if (held && !held.has(one)) faults.push(`operation ${one} of ${name}`);
    }
  }
  if (child.expiresAt > parent.expiresAt) faults.push('outlives it');
  if (parent.oneTime && !child.oneTime) faults.push('many uses');
  if (parent.requestHash !== undefined && child.requestHash !== parent.requestHash) faults.push('another request');
  return faults;
}

describe('a token that was exchanged never exceeds the one that it was exchanged for', () => {
  it('in scopes, roles, tools, operations, lifetime, uses and request, over 100,000 random pairs', { timeout: 120_000 }, () => {
    let granted = 0;
    fc.assert(fc.property(authority, wanted, (parent, asked) => {
      const child = attenuate(parent, asked, NOW);
      if (child instanceof ExchangeRefused) return;
      granted += 1;
      expect(excess(child, parent)).toEqual([]);
      expect(child.expiresAt).toBeGreaterThan(NOW);
      expect(child.expiresAt).toBeLessThanOrEqual(NOW + 120);
      expect(child.roles.has('cpi-admin')).toBe(false);
      // A role stands for scopes: both narrowed scopes and roles would widen them again.
      expect(child.scopes === parent.scopes || child.roles.size === 0).toBe(true);
    }), { numRuns: 100_000 });
    // A property of refusals alone would say nothing.
    expect(granted).toBeGreaterThan(10_000);
  });

  it('nor any that came before it, over chains of exchanges', { timeout: 120_000 }, () => {
    let links = 0;
    fc.assert(fc.property(authority, fc.array(wanted, { minLength: 4, maxLength: 8, size: 'max' }), (root, asked) => {
      const above: Authority[] = [root];
      for (const one of asked) {
        const child = attenuate(above.at(-1) ?? root, one, NOW);
        if (child instanceof ExchangeRefused) continue;
        for (const ancestor of above) expect(excess(child, ancestor)).toEqual([]);
        above.push(child);
        links += 1;
      }
    }), { numRuns: 20_000 });
    expect(links).toBeGreaterThan(10_000);
  });

  it('nor what the actor may do who acts for the subject', { timeout: 60_000 }, () => {
    fc.assert(fc.property(authority, authority, wanted, (subject, actor, asked) => {
      const both = meet(subject, actor);
      const child = both instanceof ExchangeRefused ? both : attenuate(both, asked, NOW);
      if (child instanceof ExchangeRefused) return;
      expect(excess(child, subject)).toEqual([]);
      expect(excess(child, actor)).toEqual([]);
    }), { numRuns: 20_000 });
  });
});

describe('what is asked for', () => {
  const parent: Authority = { scopes: new Set(['stoa:read', 'stoa:write']), roles: new Set(['cpi-admin', 'tenant-admin']), tools: undefined, expiresAt: NOW + 1000, oneTime: false, requestHash: undefined };
  const granted = (asked: Wanted, of = parent): Grant => {
    const grant = attenuate(of, asked, NOW);
    if (grant instanceof ExchangeRefused) throw new Error(grant.description);
    return grant;
  };
  it.each<{ name: string; asked: Wanted; error: string; says: string }>([
    { name: 'no tool', asked: {}, error: 'invalid_request', says: 'at least one' },
    { name: '65 tools', asked: { tools: Array.from({ length: 65 }, (_, at) => `t${at}`) }, error: 'invalid_request', says: 'at most 64' },
    { name: 'a name with a space', asked: { tools: ['a b'] }, error: 'invalid_request', says: 'visible ASCII' },
    { name: '59 s', asked: { tools: ['a'], ttlSeconds: 59 }, error: 'invalid_request', says: 'from 60 to 120' },
    { name: '121 s', asked: { tools: ['a'], ttlSeconds: 121 }, error: 'invalid_request', says: 'from 60 to 120' },
    { name: '60.5 s', asked: { tools: ['a'], ttlSeconds: 60.5 }, error: 'invalid_request', says: 'whole number' },
    { name: 'a scope that the parent lacks', asked: { tools: ['a'], scopes: ['stoa:admin'] }, error: 'invalid_scope', says: 'stoa:admin' },
    { name: 'a scope of a tool that is not named', asked: { tools: ['a'], scopes: ['tools:b:call'] }, error: 'invalid_scope', says: 'tools:b:call' },
    { name: 'a level that does not exist here', asked: { scopes: ['tools:a:admin'] }, error: 'invalid_scope', says: 'neither' },
  ])('$name is refused by name', ({ asked, error, says }) => {
    const refused = attenuate(parent, asked, NOW);
    expect(refused).toMatchObject({ error, description: expect.stringContaining(says) });
  });
  it('roles are handed on without the administration of the platform, and not at all beside narrower scopes', () => {
    expect([...granted({ tools: ['a'] }).roles]).toEqual(['tenant-admin']);
    expect(granted({ tools: ['a'], scopes: ['stoa:read'] })).toMatchObject({ scopes: new Set(['stoa:read']), roles: new Set() });
  });
  it('a token with 30 s left gives one that ends with it; one without any gives none', () => {
    expect(granted({ tools: ['a'], ttlSeconds: 120 }, { ...parent, expiresAt: NOW + 30 }).expiresAt).toBe(NOW + 30);
    expect(attenuate({ ...parent, expiresAt: NOW + 0.9 }, { tools: ['a'] }, NOW)).toMatchObject({ error: 'invalid_grant' });
  });
  it('an operation of a tool is narrower than the tool, whichever way both are written', () => {
    expect(granted({ tools: ['a'], operation: 'x' }).tools).toEqual(new Map([['a', new Set(['x'])]]));
    expect(granted({ scopes: ['tools:a:call', 'tools:a:op:x', 'tools:a:op:y', 'tools:ns:d:call'] }).tools).toEqual(new Map([['a', new Set(['x', 'y'])], ['ns:d', undefined]]));
  });
});
