import { describe, expect, it } from 'vitest';
import { Denial, Unavailable } from '#libs/core/errors.js';
import { type Outbound, OutboundFailure, type OutboundRequest } from '#libs/core/outbound.js';
import type { Principal } from '#libs/core/principal.js';
import { type ClientCredentialsOptions, clientCredentialsVerifier } from './client-credentials.js';
import { FakeClock, ISSUER, START } from './fake-issuer.contract.js';

const basic = (id: string, secret: string): string => Buffer.from(`${id}:${secret}`).toString('base64');
const json = (status: number, value: unknown, headers: Record<string, string> = {}) => ({ status, headers: { 'content-type': 'application/json', ...headers }, body: new TextEncoder().encode(JSON.stringify(value)) });

/** A token endpoint that knows one secret for each client; its tokens are the client's id. */
function setUp(more: Partial<ClientCredentialsOptions> = {}) {
  const secrets = new Map([['robot', 's3cret:with colon & more']]);
  const state = { up: true, exchanges: 0, sent: [] as OutboundRequest[], status: 401, headers: {} as Record<string, string> };
  const outbound: Pick<Outbound, 'request'> = {
    request: async (request) => {
      if (!state.up) throw new OutboundFailure('unreachable', 'nobody answers');
      if (request.url.endsWith('openid-configuration')) return json(200, { issuer: ISSUER, token_endpoint: `${ISSUER}/token` });
      state.exchanges += 1; state.sent.push(request);
      const [, given = ''] = request.headers.find(([name]) => name.toLowerCase() === 'authorization') ?? [];
      const [id = '', secret = ''] = Buffer.from(given.slice(6), 'base64').toString().split(':').map((part) => new URLSearchParams(`x=${part}`).get('x') ?? '');
      return secrets.get(id) === secret ? json(200, { access_token: id, token_type: 'Bearer', expires_in: 300 }) : json(state.status, { error: 'invalid_client' }, state.headers);
    },
  };
  const clock = new FakeClock();
  const principal: Principal = { tenant: undefined, issuer: ISSUER, subject: 'service-account-robot', clientId: 'robot', roles: new Set(['viewer']), scopes: new Set(), expiresAt: START + 300 };
  const verify = clientCredentialsVerifier({ issuer: ISSUER, resource: 'https://gw.example/mcp', outbound, clock: clock.now, tokens: { verify: (token) => (token === 'robot' ? principal : new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' })) }, ...more });
  const says = async (credential: string): Promise<string> => { const answer = await verify(credential); return answer instanceof Denial ? `${answer.code}: ${answer.message}` : `${answer.subject} ${String(answer.credential)} ${String(answer.credentialId)}`; };
  return { secrets, state, clock, verify, says };
}
const GOOD = 'service-account-robot client-secret client:robot', BAD = 'UNAUTHENTICATED: Invalid client credentials';
const RIGHT = basic('robot', 's3cret:with colon & more');

describe('client credentials by Basic', () => {
  it('are exchanged at the issuer, the resource named, and what it gave is proved', async () => {
    const { says, state } = setUp();
    expect(await says(RIGHT)).toBe(GOOD);
    expect(state.sent[0]).toMatchObject({ url: `${ISSUER}/token`, method: 'POST' });
    expect(Object.fromEntries(new URLSearchParams(String(state.sent[0]?.body)))).toEqual({ grant_type: 'client_credentials', resource: 'https://gw.example/mcp' });
  });
  it('with a wrong secret are refused right after a success, and a failure is not kept', async () => {
    const { says, secrets, state } = setUp();
    expect(await says(RIGHT)).toBe(GOOD);
    for (const secret of ['s3cret:with colon & mor', 's3cret:with colon & more!', 's3cret:']) expect(await says(basic('robot', secret))).toBe(BAD); // oxlint-disable-line no-await-in-loop -- in order
    expect(await says(basic('robot', 'next'))).toBe(BAD);
    secrets.set('robot', 'next');
    expect(await says(basic('robot', 'next'))).toBe(GOOD);
    expect(state.exchanges).toBe(6);
  });
  it('are believed for 30 s and not longer: then the end at the issuer is the end here', async () => {
    const { says, secrets, clock, state } = setUp();
    await says(RIGHT);
    secrets.delete('robot');
    clock.advance(29.9);
    expect(await says(RIGHT)).toBe(GOOD);
    expect(state.exchanges).toBe(1);
    clock.advance(0.1);
    expect(await says(RIGHT)).toBe(BAD);
  });
  it('are never believed past the end of the token', async () => {
    const { says, clock, state } = setUp({ keepMs: 60_000 });
    clock.advance(290);
    await says(RIGHT); clock.advance(11); await says(RIGHT);
    expect(state.exchanges).toBe(2);
    expect(() => setUp({ keepMs: 60_001 })).toThrow('keepMs');
  });
  it('are exchanged once for many calls at the same time', async () => {
    const { says, state } = setUp();
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => says(RIGHT))))).toEqual(new Set([GOOD]));
    expect(state.exchanges).toBe(1);
  });
  it('are no flood at the issuer: past 16 at once nobody is proved', async () => {
    const { verify, state } = setUp();
    const answers = await Promise.allSettled(Array.from({ length: 40 }, async (_, n) => verify(basic('robot', `guess-${n}`))));
    expect(state.exchanges).toBe(16);
    expect(answers.filter(({ status }) => status === 'rejected')).toHaveLength(24);
  });
  it.each([
    { name: 'no colon', credential: Buffer.from('robot').toString('base64') },
    { name: 'no id', credential: basic('', 'x') },
    { name: 'no secret', credential: basic('robot', '') },
    { name: 'a line break', credential: basic('robot', 'a\nb') },
    { name: 'no base64', credential: 'robot:secret' },
    { name: 'bytes that are no text', credential: Buffer.from([0xff, 0x3a, 0xff]).toString('base64') },
    { name: '3 KiB', credential: basic('robot', 'x'.repeat(3000)) },
  ])('with $name are refused without asking anybody', async ({ credential }) => {
    const { says, state } = setUp();
    expect(await says(credential)).toBe(BAD);
    expect(state.exchanges).toBe(0);
  });
  it.each([400, 401, 403])('are refused where the issuer answers %i, also with a challenge', async (status) => {
    const { says, state } = setUp();
    state.status = status;
    expect(await says(basic('robot', 'wrong'))).toBe(BAD);
    state.headers = { 'www-authenticate': 'Basic realm="x"' };
    expect(await says(basic('robot', 'wrong'))).toBe(BAD);
  });
  it('prove nobody while the issuer is away or failing, and say so', async () => {
    const { verify, says, state } = setUp();
    state.up = false;
    await expect(verify(RIGHT)).rejects.toBeInstanceOf(Unavailable);
    state.up = true;
    expect(await says(RIGHT)).toBe(GOOD);
    for (const status of [500, 503, 429]) {
      state.status = status;
      await expect(verify(basic('robot', 'wrong'))).rejects.toBeInstanceOf(Unavailable); // oxlint-disable-line no-await-in-loop -- in order
    }
  });
  it('whose token is not for us are refused', async () => {
    const { says } = setUp({ tokens: { verify: () => new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' }) } });
    expect(await says(RIGHT)).toBe('UNAUTHENTICATED: Invalid token');
  });
});
