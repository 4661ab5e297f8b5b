import { beforeAll, expect, it } from 'vitest';
import type { Outbound } from '#libs/core/outbound.js';
import { AUDIENCE, claims, FakeClock, FakeIssuer, ISSUER, sign, type SigningKey, signingKey } from './fake-issuer.contract.js';
import { issuerSelfCheck } from './self-check.js';
import { createTokenVerifier } from './token-verifier.js';

let key: SigningKey;
beforeAll(async () => { key = await signingKey('k'); });

const encode = (body: object): Uint8Array => new TextEncoder().encode(JSON.stringify(body));
/** An issuer whose token endpoint answers what `token` makes. */
function setUp(token: () => Promise<{ readonly status: number; readonly body: object }>) {
  const issuer = new FakeIssuer([key.publicJwk]);
  const clock = new FakeClock();
  const asked: string[] = [];
  const outbound: Pick<Outbound, 'request'> = {
    request: async (request) => {
      if (request.url === `${ISSUER}/token`) { asked.push(String(request.body)); const { status, body } = await token(); return { status, headers: { 'content-type': 'application/json' }, body: encode(body) }; }
      if (request.url === `${ISSUER}/.well-known/openid-configuration`) return { status: 200, headers: {}, body: encode({ issuer: ISSUER, jwks_uri: `${ISSUER}/certs`, token_endpoint: `${ISSUER}/token` }) };
      return issuer.outbound.request(request);
    },
  };
  const tokens = createTokenVerifier({ issuers: [{ issuer: ISSUER, audiences: [AUDIENCE], keys: { from: 'discovery' } }], outbound, clock: clock.now });
  return { asked, clock, check: issuerSelfCheck({ issuer: ISSUER, clientId: 'stoa-mcp-gateway', clientSecret: 's', outbound, tokens, clock: clock.now }) };
}
const given = (more: Readonly<Record<string, unknown>> = {}) => async () => ({ status: 200, body: { access_token: await sign(key, claims(more)), token_type: 'Bearer', expires_in: 300 } });

it.each([
  { name: 'audience and tenant', token: given(), says: /^all is well$/ },
  { name: 'no aud', token: given({ aud: undefined }), says: /would be refused here \(missing required "aud" claim\): add an audience mapper for RESOURCE_URL/ },
  { name: 'another aud', token: given({ aud: 'account' }), says: /unexpected "aud" claim value.*audience mapper/ },
  { name: 'no tenant', token: given({ tenant_id: undefined }), says: /name no tenant: map it/ },
  { name: 'a tenant that cannot be one', token: given({ tenant_id: 'A B' }), says: /would be refused here \(.*tenant/ },
  { name: 'another iss', token: given({ iss: 'http://keycloak:8080/realms/stoa' }), says: /would be refused here \(issuer is not configured\)/ },
  { name: 'nothing, for the secret is wrong', token: async () => ({ status: 401, body: { error: 'invalid_client' } }), says: /gives stoa-mcp-gateway no token.*KEYCLOAK_CLIENT_SECRET/ },
  { name: 'nothing, for it fails', token: async () => ({ status: 500, body: {} }), says: /no token of .* could be had/ },
])('an issuer whose tokens have $name', async ({ token, says }) => {
  expect(await setUp(token).check() ?? 'all is well').toMatch(says);
});

it('asks once when all is well, however often it is asked', async () => {
  const { check, asked, clock } = setUp(given());
  await Promise.all([check(), check(), check()]);
  clock.advance(86_400);
  expect([await check(), asked.length]).toEqual([undefined, 1]);
});

it('asks again 5 s after a failure, not sooner, and sees that it was mended', async () => {
  let mended = false;
  const { check, asked, clock } = setUp(() => given(mended ? {} : { aud: undefined })());
  expect(await check()).toMatch(/aud/);
  mended = true;
  clock.advance(4);
  expect(await check()).toMatch(/aud/);
  clock.advance(1);
  expect([await check(), asked.length]).toEqual([undefined, 2]);
});
