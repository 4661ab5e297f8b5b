import { afterAll, beforeAll, expect, it } from 'vitest';
import { clientCredentialsVerifier } from '#libs/auth/client-credentials.js';
import { createTokenVerifier } from '#libs/auth/token-verifier.js';
import { Denial } from '#libs/core/errors.js';
import { createEgress } from '#libs/egress/egress.js';
import { CLIENT_SECRET, type KeycloakServer, startKeycloak } from './services/keycloak.js';

const RESOURCE = 'http://127.0.0.1:8080/mcp';
let keycloak: KeycloakServer;
beforeAll(async () => { keycloak = await startKeycloak({ STOA_RESOURCE_URL: RESOURCE }); }, 180_000);
afterAll(() => keycloak.dispose());

it('a machine signs in with the id and secret that Keycloak knows; a wrong secret is refused right after, and so is everything when Keycloak is away', async () => {
  const egress = createEgress({ allow: ['127.0.0.1'] });
  let ahead = 0;
  const clock = (): number => Date.now() + ahead;
  const tokens = createTokenVerifier({ issuers: [{ issuer: keycloak.issuer, audiences: [RESOURCE], keys: { from: 'discovery' } }], outbound: egress, clock });
  const verify = clientCredentialsVerifier({ issuer: keycloak.issuer, resource: RESOURCE, outbound: egress, tokens, clock });
  const says = async (id: string, secret: string): Promise<string> => {
    const answer = await verify(Buffer.from(`${id}:${secret}`).toString('base64'));
    return answer instanceof Denial ? answer.message : `${answer.tenant ?? 'no tenant'} ${[...answer.roles].join(' ')} ${String(answer.credentialId)}`;
  };
  expect(await says('stoa-agent', CLIENT_SECRET)).toMatch(/^acme .*stoa\.agent.* client:stoa-agent$/);
  expect(await says('stoa-agent', `${CLIENT_SECRET}x`)).toBe('Invalid client credentials');
  expect(await says('nobody', CLIENT_SECRET)).toBe('Invalid client credentials');
  expect(await says('stoa-agent', CLIENT_SECRET)).toMatch(/^acme /);
  await keycloak.dispose();
  expect(await says('stoa-agent', CLIENT_SECRET)).toMatch(/^acme /);
  ahead = 30_001;
  await expect(says('stoa-agent', CLIENT_SECRET)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await egress.close();
}, 60_000);
