import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TenantSlug, tenantKey, tenantSlug } from './tenant.js';

describe('tenantSlug', () => {
  it.each(['a', 'acme', 'team-alpha', '0', 'a'.repeat(63)])('takes %s', (text) => { expect(tenantSlug(text)).toBe(text); });
  it.each(['', '-a', 'a-', 'A', 'a_b', 'a.b', 'a/b', '../a', 'a'.repeat(64), 'ä', 7, undefined, null, ['a']])('refuses %j', (text) => { expect(tenantSlug(text)).toBeUndefined(); });
});

describe('tenantKey', () => {
  const slug = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/).map((s) => s as TenantSlug);
  it('never gives two different lists of parts the same key, so that no cache is shared across tenants', () => {
    fc.assert(fc.property(slug, fc.array(fc.string()), slug, fc.array(fc.string()), (a, as, b, bs) => {
      const same = a === b && JSON.stringify(as) === JSON.stringify(bs);
      expect(tenantKey(a, ...as) === tenantKey(b, ...bs)).toBe(same);
    }));
  });
});
