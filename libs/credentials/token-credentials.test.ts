import { describe, expect, it } from 'vitest';
import { sealToken } from '#libs/core/caller-token.js';
import { Denial } from '#libs/core/errors.js';
import { OutboundFailure, type OutboundRequest, type OutboundResponse } from '#libs/core/outbound.js';
import type { Principal } from '#libs/core/principal.js';
import type { ClientCredentialsReference, TokenExchangeReference } from '#libs/core/rest-binding.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import { createTokenCredentials } from './token-credentials.js';

const slug = (text: string): TenantSlug => tenantSlug(text) ?? (() => { throw new Error(text); })();
const ACME = slug('acme');
const OWN: ClientCredentialsReference = { from: 'client-credentials', tokenUrl: 'https://id.test/token', clientId: 'stoa agent', secret: { from: 'environment', name: 's' }, scope: 'read write', audience: 'shop' };
const EXCHANGE: TokenExchangeReference = { from: 'token-exchange', clientId: 'stoa', secret: { from: 'environment', name: 's' }, audience: 'shop' };
const person = (subject: string, more: Partial<Principal> = {}): Principal => ({ tenant: ACME, issuer: 'https://idp.test/realms/a', subject, clientId: 'app', roles: new Set(), scopes: new Set(), expiresAt: 4e9, ...more });
const METADATA = { issuer: 'https://idp.test/realms/a', token_endpoint: 'https://idp.test/realms/a/token' };

const response = (status: number, value: object): OutboundResponse => ({ status, headers: {}, body: Buffer.from(JSON.stringify(value)) });

const called = (subject: string, token: string, more: Partial<Principal> = {}): Principal => { const principal = person(subject, more); sealToken(principal, token); return principal; };

/** A token endpoint that counts, and a clock that stands until it is told. */
function world(answer: (form: URLSearchParams, request: OutboundRequest) => object | number | Promise<object> = () => ({})) {
  const asked: { url: string; form: URLSearchParams; authorization: string | undefined }[] = [];
  let at = 1_000_000;
  let issued = 0;
  let secret: string | Denial = 'hunter2 & co';
  const outbound = {
    request: async (request: OutboundRequest): Promise<OutboundResponse> => {
      if (request.method === 'GET') return request.url.endsWith('/realms/a/.well-known/openid-configuration') ? response(200, METADATA) : response(404, {});
      const form = new URLSearchParams(String(request.body));
      asked.push({ url: request.url, form, authorization: request.headers.find(([name]) => name === 'authorization')?.[1] });
      const made = await answer(form, request);
      if (typeof made === 'number') return response(made, { error: 'invalid_client', error_description: 'hunter2' });
      return response(200, { access_token: `token-${++issued}`, token_type: 'Bearer', expires_in: 100, ...made });
    },
  };
  const credentials = createTokenCredentials({ secrets: { resolve: () => secret }, outbound, now: () => at });
  return { asked, credentials, pass: (ms: number) => { at += ms; }, rotate: (to: string | Denial) => { secret = to; } };
}
const settled = async (): Promise<void> => { for (let i = 0; i < 10; i += 1) await Promise.resolve(); };

describe('a token of our own client', () => {
  it('is asked for as RFC 6749 says, by Basic or in the form', async () => {
    const { asked, credentials } = world();
    expect(await credentials.resolve(ACME, OWN)).toBe('token-1');
    expect(await credentials.resolve(ACME, { ...OWN, authentication: 'post' })).toBe('token-2');
    expect(asked.map(({ url, form, authorization }) => [url, Object.fromEntries(form), authorization && Buffer.from(authorization.slice(6), 'base64').toString()])).toEqual([
      ['https://id.test/token', { grant_type: 'client_credentials', scope: 'read write', audience: 'shop' }, 'stoa+agent:hunter2+%26+co'],
      ['https://id.test/token', { grant_type: 'client_credentials', scope: 'read write', audience: 'shop', client_id: 'stoa agent', client_secret: 'hunter2 & co' }, undefined],
    ]);
  });
  it('is fetched once for all who ask at the same time, and kept', async () => {
    const { asked, credentials } = world();
    expect(new Set(await Promise.all(Array.from({ length: 100 }, async () => credentials.resolve(ACME, OWN))))).toEqual(new Set(['token-1']));
    expect(credentials.resolve(ACME, OWN)).toBe('token-1');
    expect(asked).toHaveLength(1);
  });
  it('is renewed behind the calls before its end, once, and never sent after it', async () => {
    const { asked, credentials, pass } = world();
    await credentials.resolve(ACME, OWN);
    pass(80_000);
    expect(credentials.resolve(ACME, OWN)).toBe('token-1');
    expect(credentials.resolve(ACME, OWN)).toBe('token-1');
    await settled();
    expect(credentials.resolve(ACME, OWN)).toBe('token-2');
    expect(asked).toHaveLength(2);
    pass(96_000);
    expect(await credentials.resolve(ACME, OWN)).toBe('token-3');
  });
  it('lives on while its endpoint is away, as long as it is good', async () => {
    let away = false;
    const { credentials, pass } = world(() => { if (away) throw new OutboundFailure('unreachable', 'connection refused'); return {}; });
    await credentials.resolve(ACME, OWN);
    away = true;
    pass(90_000);
    expect(credentials.resolve(ACME, OWN)).toBe('token-1');
    await settled();
    expect(credentials.resolve(ACME, OWN)).toBe('token-1');
    pass(10_000);
    expect(await credentials.resolve(ACME, OWN)).toMatchObject({ code: 'CREDENTIAL_MISSING', message: expect.stringContaining('connection refused') as unknown });
  });
  it('is another for another tenant, client, secret, scope or audience', async () => {
    const { credentials, rotate } = world();
    const tokens = [await credentials.resolve(ACME, OWN), await credentials.resolve(slug('globex'), OWN), await credentials.resolve(ACME, { ...OWN, scope: 'read' }), await credentials.resolve(ACME, { ...OWN, audience: 'x' }), await credentials.resolve(ACME, { ...OWN, clientId: 'y' })];
    rotate('another');
    tokens.push(await credentials.resolve(ACME, OWN));
    expect(new Set(tokens).size).toBe(6);
  });
  it('that a backend refuses is given up, but not by each call', async () => {
    const { asked, credentials } = world();
    await credentials.resolve(ACME, OWN);
    expect(credentials.refused?.('token-1')).toBe(true);
    expect(await credentials.resolve(ACME, OWN)).toBe('token-2');
    expect([credentials.refused?.('token-2'), credentials.refused?.('token-1'), credentials.refused?.('a secret of the file')]).toEqual([false, false, false]);
    expect(asked).toHaveLength(2);
  });
  it('that nobody gives is a denial with the endpoint\'s code and nothing else of it; the next second asks again, and no sooner', async () => {
    const { asked, credentials, pass } = world(() => 401);
    const denial = await credentials.resolve(ACME, OWN);
    expect(denial).toMatchObject({ code: 'CREDENTIAL_MISSING', message: 'the token endpoint answered 401: invalid_client' });
    expect(JSON.stringify(denial)).not.toContain('hunter2');
    await credentials.resolve(ACME, OWN);
    expect(asked).toHaveLength(1);
    pass(1001);
    await credentials.resolve(ACME, OWN);
    expect(asked).toHaveLength(2);
  });
  it.each([[{ access_token: 'a\nb' }], [{ access_token: 5 }], [{ token_type: 'N_A' }]])('is refused as %j', async (made) => {
    expect(await world(() => made).credentials.resolve(ACME, OWN)).toBeInstanceOf(Denial);
  });
  it('is not asked for without its secret', async () => {
    const { asked, credentials, rotate } = world();
    rotate(new Denial({ code: 'CREDENTIAL_MISSING', message: 'not set' }));
    expect([await credentials.resolve(ACME, OWN), asked]).toMatchObject([{ message: 'not set' }, []]);
  });
});

describe('a token on behalf of the caller', () => {
  it('is exchanged at the issuer that proved the caller, as RFC 8693 says', async () => {
    const { asked, credentials } = world();
    expect(await credentials.resolve(ACME, EXCHANGE, { principal: called('ada', 'inbound') })).toBe('token-1');
    expect(asked.map(({ url, form }) => [url, Object.fromEntries(form)])).toEqual([['https://idp.test/realms/a/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'inbound', subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token', audience: 'shop',
    }]]);
  });
  it('is never another caller\'s, nor another token\'s of the same caller', async () => {
    const { credentials } = world((form) => ({ access_token: `for-${form.get('subject_token')}` }));
    const callers = ['ada', 'bob'].flatMap((subject) => [1, 2].map((at) => called(subject, `${subject}-${at}`)));
    const answers = await Promise.all(Array.from({ length: 1000 }, async (_, at) => { const index = at % callers.length; return [index, await credentials.resolve(ACME, EXCHANGE, { principal: callers[index] ?? person('x') })] as const; }));
    for (const [index, token] of answers) expect(token).toBe(`for-${['ada-1', 'ada-2', 'bob-1', 'bob-2'][index]}`);
  });
  it('ends with the caller\'s own', async () => {
    const { asked, credentials, pass } = world();
    const principal = called('ada', 'inbound', { expiresAt: 1010 });
    await credentials.resolve(ACME, EXCHANGE, { principal });
    pass(10_001);
    await credentials.resolve(ACME, EXCHANGE, { principal });
    expect(asked).toHaveLength(2);
  });
  it('is not had for nobody, nor for a caller whose token was not kept, nor at an issuer that does not say where', async () => {
    const { asked, credentials } = world();
    for (const use of [undefined, { principal: person('ada') }, { principal: called('ada', 'inbound', { issuer: 'https://other.test' }) }]) expect(await credentials.resolve(ACME, EXCHANGE, use)).toMatchObject({ code: 'CREDENTIAL_MISSING' });
    expect(asked).toEqual([]);
  });
});
