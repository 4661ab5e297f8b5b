import { expect, it } from 'vitest';
import { grantedScopes } from '#libs/auth/scopes.js';
import type { Principal } from '#libs/core/principal.js';
import { beyond } from './key-rights.js';

const maker = (...roles: string[]): Principal => ({ tenant: undefined, issuer: 'i', subject: 's', clientId: 'c', roles: new Set(roles), scopes: grantedScopes([], roles), expiresAt: 0 });

it.each([
  // The scopes of these two are the same: rank alone tells them apart.
  { makes: ['devops'], role: 'tenant-admin', may: false },
  { makes: ['devops'], role: 'devops', may: true },
  { makes: ['devops'], role: 'viewer', may: true },
  { makes: ['viewer'], role: 'stoa.agent', may: false },
  { makes: ['viewer'], role: 'devops', may: false },
  { makes: ['stoa.developer'], role: 'stoa.agent', may: true },
  { makes: ['stoa.developer'], role: 'viewer', may: false },
  { makes: [], role: 'viewer', may: false },
  { makes: ['tenant-admin'], role: 'unknown', may: false },
  { makes: ['cpi-admin'], role: 'unknown', may: true },
  { makes: ['cpi-admin'], role: 'stoa.security', may: false },
])('$makes hands on $role: $may', ({ makes, role, may }) => {
  expect(beyond(maker(...makes), { roles: [role], scopes: [] }) === undefined).toBe(may);
});
