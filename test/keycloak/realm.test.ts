import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { grantedScopes, STOA_ROLES, STOA_SCOPES } from '#libs/auth/scopes.js';

interface Mapper { readonly protocolMapper: string; readonly config: Readonly<Record<string, string>> }
interface Scope { readonly name: string; readonly attributes: Readonly<Record<string, string>>; readonly protocolMappers: readonly Mapper[] }
interface Client { readonly clientId: string; readonly enabled: boolean | string; readonly publicClient: boolean; readonly standardFlowEnabled: boolean; readonly secret?: string; readonly attributes?: Readonly<Record<string, string>> }
const text = readFileSync(join(import.meta.dirname, '..', '..', 'keycloak', 'stoa-realm.json'), 'utf8');
const realm = JSON.parse(text) as {
  readonly roles: { readonly realm: readonly { readonly name: string }[] }; readonly clientScopes: readonly Scope[]; readonly clients: readonly Client[];
  readonly scopeMappings: readonly { readonly clientScope: string; readonly roles: readonly string[] }[]; readonly defaultOptionalClientScopes: readonly string[];
  readonly users: readonly { readonly username: string; readonly enabled: boolean | string; readonly realmRoles: readonly string[]; readonly credentials?: readonly { readonly value: string }[] }[];
};
const scope = (name: string): Scope => { const found = realm.clientScopes.find((one) => one.name === name); if (!found) throw new Error(`no scope ${name}`); return found; };
const rolesOf = (name: string): readonly string[] => realm.scopeMappings.find(({ clientScope }) => clientScope === name)?.roles ?? [];

it('has every role of the product', () => {
  expect(realm.roles.realm.map(({ name }) => name)).toEqual([...STOA_ROLES]);
});
it.each([...STOA_SCOPES])('%s is given to exactly those whose roles grant it, however it is asked for, and brings tenant, audience and roles along', (name) => {
  expect(rolesOf(name)).toEqual(STOA_ROLES.filter((role) => grantedScopes([], [role]).has(name)));
  const mappers = scope(name).protocolMappers.map(({ protocolMapper, config }) => config['claim.name'] ?? protocolMapper);
  expect(mappers).toEqual(['tenant_id', 'oidc-audience-mapper', 'realm_access.roles']);
  expect(scope(name).attributes['include.in.token.scope']).toBe('true');
  expect(realm.defaultOptionalClientScopes).toContain(name);
});
it('forces PKCE with S256 on each public client that has a login', () => {
  const clients = realm.clients.filter(({ publicClient, standardFlowEnabled }) => publicClient && standardFlowEnabled);
  expect(clients.map(({ clientId, attributes }) => [clientId, attributes?.['pkce.code.challenge.method']])).toEqual([['stoa-cli', 'S256'], ['stoa-console', 'S256']]);
});
it('holds no secret and no password, and what needs one is off until its switch is set', () => {
  for (const { enabled, secret } of realm.clients.filter((client) => client.secret !== undefined)) expect([secret, enabled]).toEqual([expect.stringMatching(/^\$\{STOA_\w+_SECRET\}$/), expect.stringMatching(/^\$\{STOA_\w+:false\}$/)]);
  for (const { enabled, credentials = [] } of realm.users) for (const { value } of credentials) expect([value, enabled]).toEqual(['${STOA_DEMO_PASSWORD}', '${STOA_DEMO:false}']);
});
it('lets nobody change a tenant but an administrator', () => {
  const [profile = ''] = /"kc\.user\.profile\.config": \[\s*(".*")/.exec(text)?.slice(1) ?? [];
  const { attributes } = JSON.parse(JSON.parse(profile) as string) as { attributes: { name: string; permissions: { edit: string[] } }[] };
  expect(attributes.find(({ name }) => name === 'tenant_id')?.permissions.edit).toEqual(['admin']);
});
