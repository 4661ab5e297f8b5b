import { afterAll, beforeAll, expect, it } from 'vitest';
import { type KeycloakServer, startKeycloak } from './services/keycloak.js';

/** The shipped realm, imported by somebody who set none of its variables: Keycloak then leaves each placeholder as it is, for everyone to read. */
let keycloak: KeycloakServer;
beforeAll(async () => { keycloak = await startKeycloak({}, { bare: true }); });
afterAll(() => keycloak.dispose());

const grant = (parameters: Readonly<Record<string, string>>): Promise<Response> => fetch(`${keycloak.issuer}/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams(parameters) });

it.each([['stoa-mcp-gateway', '${STOA_GATEWAY_SECRET}'], ['stoa-agent', '${STOA_AGENT_SECRET}'], ['stoa-agent', '']])('gives %s no token for %j', async (client, secret) => {
  expect((await grant({ grant_type: 'client_credentials', client_id: client, client_secret: secret })).status).toBe(401);
});
it('lets no demo user in', async () => {
  for (const client of ['stoa-demo', 'stoa-cli', 'stoa-console', 'admin-cli']) expect((await grant({ grant_type: 'password', client_id: client, username: 'root', password: '${STOA_DEMO_PASSWORD}' })).ok).toBe(false);
});
it('has the roles of the product, each scope for exactly the roles that give it, and PKCE for every public client', async () => {
  const roles = (await keycloak.admin('GET', '/roles') as { name: string }[]).map(({ name }) => name);
  for (const role of ['cpi-admin', 'tenant-admin', 'devops', 'viewer', 'stoa.admin', 'stoa.security', 'stoa.product_owner', 'stoa.developer', 'stoa.consumer', 'stoa.agent']) expect(roles).toContain(role);
  const discovered = await (await fetch(`${keycloak.issuer}/.well-known/openid-configuration`)).json() as { scopes_supported: string[] };
  expect(discovered.scopes_supported).toEqual(expect.arrayContaining(['stoa:read', 'stoa:tools:execute', 'stoa:security:write']));
});
