import { describe, expect, it } from 'vitest';
import { grantedScopes, STOA_ROLES, STOA_SCOPES } from './scopes.js';

const ALL = ['stoa:admin:read', 'stoa:admin:write', 'stoa:catalog:read', 'stoa:catalog:write', 'stoa:observability:read', 'stoa:observability:write', 'stoa:security:read', 'stoa:security:write', 'stoa:subscription:read', 'stoa:subscription:write', 'stoa:tools:execute', 'stoa:tools:read'];
const READ = ['stoa:catalog:read', 'stoa:observability:read', 'stoa:subscription:read', 'stoa:tools:read'];
const WRITE = [...READ, 'stoa:catalog:write', 'stoa:observability:write', 'stoa:subscription:write', 'stoa:tools:execute'];

describe('the scopes that a role grants', () => {
  it.each([
    { role: 'cpi-admin', scopes: ['stoa:admin', 'stoa:write', 'stoa:read', ...ALL] },
    { role: 'tenant-admin', scopes: ['stoa:write', 'stoa:read', ...WRITE] },
    { role: 'devops', scopes: ['stoa:write', 'stoa:read', ...WRITE] },
    { role: 'viewer', scopes: ['stoa:read', ...READ] },
    { role: 'stoa.admin', scopes: ALL },
    { role: 'stoa.security', scopes: ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read', 'stoa:security:read', 'stoa:security:write', 'stoa:admin:read'] },
    { role: 'stoa.product_owner', scopes: ['stoa:catalog:read', 'stoa:catalog:write', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read'] },
    { role: 'stoa.developer', scopes: ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:subscription:write', 'stoa:observability:read', 'stoa:tools:read', 'stoa:tools:execute'] },
    { role: 'stoa.consumer', scopes: ['stoa:catalog:read', 'stoa:subscription:read', 'stoa:subscription:write', 'stoa:tools:read', 'stoa:tools:execute'] },
    { role: 'stoa.agent', scopes: ['stoa:catalog:read', 'stoa:tools:read', 'stoa:tools:execute'] },
    { role: 'admin', scopes: [] },
    { role: 'constructor', scopes: [] },
  ])('$role', ({ role, scopes }) => { expect([...grantedScopes([], [role])].toSorted()).toEqual([...new Set(scopes)].toSorted()); });
});

it.each([
  { scope: 'stoa:read', implies: READ },
  { scope: 'stoa:write', implies: WRITE },
  { scope: 'stoa:admin', implies: ALL },
  { scope: 'stoa:tools:execute', implies: [] },
  { scope: 'openid', implies: [] },
])('$scope in a token stands for itself and what it implies', ({ scope, implies }) => {
  expect([...grantedScopes([scope], [])].toSorted()).toEqual([...new Set([scope, ...implies])].toSorted());
});

it('publishes the fifteen scopes and ten roles of the product, and nothing of the issuer', () => {
  expect([...STOA_SCOPES].toSorted()).toEqual(['stoa:admin', 'stoa:read', 'stoa:write', ...ALL].toSorted());
  expect(STOA_ROLES).toEqual(['cpi-admin', 'tenant-admin', 'devops', 'viewer', 'stoa.admin', 'stoa.security', 'stoa.product_owner', 'stoa.developer', 'stoa.consumer', 'stoa.agent']);
});
