import { CompactEncrypt, exportSPKI, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import { AUDIENCE, claims, FakeClock, FakeIssuer, ISSUER, part, sign, type SigningKey, signingKey, signRaw, START } from './fake-issuer.contract.js';
import type { IssuerConfig } from './issuer-config.js';
import { createTokenVerifier, type ReadyTokenVerifier, type TokenVerifierOptions } from './token-verifier.js';

const CONFIG: IssuerConfig = { issuer: ISSUER, audiences: [AUDIENCE], keys: { from: 'discovery' } };

let rsa: SigningKey, rsa2: SigningKey, pss: SigningKey, ec: SigningKey, ed: SigningKey, stranger: SigningKey;
beforeAll(async () => {
  [rsa, rsa2, pss, ec, ed, stranger] = await Promise.all([signingKey('rsa'), signingKey('rsa-2'), signingKey('pss', 'PS256'), signingKey('ec', 'ES256'), signingKey('ed', 'EdDSA'), signingKey('rsa')]);
});

function setUp(options: Partial<TokenVerifierOptions> = {}, keys = [rsa, pss, ec, ed]): { readonly issuer: FakeIssuer; readonly clock: FakeClock; readonly verifier: ReadyTokenVerifier } {
  const issuer = new FakeIssuer(keys.map(({ publicJwk }) => publicJwk));
  const clock = new FakeClock();
  return { issuer, clock, verifier: createTokenVerifier({ issuers: [CONFIG], outbound: issuer.outbound, clock: clock.now, ...options }) };
}
const says = (answer: Principal | Denial): string => (answer instanceof Denial ? `${answer.code}: ${answer.message}` : `principal ${answer.subject}`);

type Made = () => Promise<string>;
interface Case { readonly name: string; readonly token: Made; readonly answer: string; readonly issuer?: Partial<IssuerConfig>; readonly at?: number }
const GOOD = 'principal user-1', BAD = 'UNAUTHENTICATED: Invalid token', NO_KEY = 'UNAUTHENTICATED: Unable to find appropriate key';
const body = (more: object): string => JSON.stringify(claims({ ...more }));
const rsaHeader = '{"alg":"RS256","kid":"rsa"}';

/** The resource-server suite of security.md §3.3, in its numbers; what belongs to the door or to policy is tested there. */
const CASES: readonly Case[] = [
  { name: '1 RS256', token: () => sign(rsa), answer: GOOD },
  { name: '2 PS256', token: () => sign(pss), answer: GOOD },
  { name: '2 ES256', token: () => sign(ec), answer: GOOD },
  { name: '2 EdDSA', token: () => sign(ed), answer: GOOD },
  { name: '2 an algorithm that this issuer may not use', token: () => sign(ec), answer: BAD, issuer: { keys: { from: 'discovery', algorithms: ['RS256'] } } },
  ...['none', 'None', 'nOnE'].map((alg): Case => ({ name: `3 alg ${alg}`, token: async () => `${part({ alg, kid: 'rsa' })}.${part(claims())}.c2ln`, answer: BAD })),
  { name: '3 alg none with an empty signature', token: async () => `${part({ alg: 'none' })}.${part(claims())}.`, answer: BAD },
  { name: '3 a good header with an empty signature', token: async () => (await sign(rsa)).replace(/[^.]*$/, ''), answer: BAD },
  { name: '4 HS256 with the public PEM as the secret', token: async () => hmac(await exportSPKI(rsa.publicKey)), answer: BAD },
  { name: '4 HS256 with the public JWK as the secret', token: () => hmac(JSON.stringify(rsa.publicJwk)), answer: BAD },
  { name: '5 another key under the same kid', token: () => sign(stranger), answer: BAD },
  { name: '5 a changed payload', token: async () => { const [header, , signature] = (await sign(rsa)).split('.'); return `${header}.${part(claims({ tenant_id: 'globex' }))}.${signature}`; }, answer: BAD },
  { name: '6 an unknown kid', token: () => sign(rsa2), answer: NO_KEY },
  { name: '6 no kid', token: () => sign(rsa, claims(), { kid: undefined }), answer: 'UNAUTHENTICATED: Token missing key ID' },
  { name: '6 the kid of a key of another type', token: () => sign(rsa, claims(), { kid: 'ec' }), answer: NO_KEY },
  { name: '6 a key that the issuer keeps for another algorithm', token: () => sign(pss, claims(), { kid: 'rsa' }), answer: NO_KEY },
  { name: '8 a kid that is a path', token: () => sign(rsa, claims(), { kid: '../../dev/null' }), answer: NO_KEY },
  { name: '8 a kid that is SQL', token: () => sign(rsa, claims(), { kid: "' OR 1=1 --" }), answer: NO_KEY },
  { name: '8 a kid that is a member of every object', token: () => sign(rsa, claims(), { kid: '__proto__' }), answer: NO_KEY },
  { name: '8 a kid of 10 KiB', token: () => sign(rsa, claims(), { kid: 'k'.repeat(10_240) }), answer: BAD },
  { name: '8 a kid of 257 characters', token: () => sign(rsa, claims(), { kid: 'k'.repeat(257) }), answer: BAD },
  { name: '9 keys in the header, signed by them', token: () => sign(stranger, claims(), { jwk: stranger.publicJwk, jku: 'https://canary.example/jwks', x5u: 'https://canary.example/cert', x5c: ['MIIB'] }), answer: BAD },
  { name: '9 keys in the header, signed by the issuer', token: () => sign(rsa, claims(), { jku: 'https://canary.example/jwks' }), answer: GOOD },
  { name: '10 expired for 31 s', token: () => sign(rsa, claims({ exp: START - 31 })), answer: 'UNAUTHENTICATED: Token has expired' },
  { name: '10 expired for 30 s', token: () => sign(rsa, claims({ exp: START - 30 })), answer: 'UNAUTHENTICATED: Token has expired' },
  { name: '10 expired for 29 s', token: () => sign(rsa, claims({ exp: START - 29 })), answer: GOOD },
  { name: '11 not before 31 s from now', token: () => sign(rsa, claims({ nbf: START + 31 })), answer: BAD },
  { name: '11 not before 29 s from now', token: () => sign(rsa, claims({ nbf: START + 29 })), answer: GOOD },
  ...['exp', 'iat', 'sub', 'aud', 'iss'].map((claim): Case => ({ name: `12, 14 no ${claim}`, token: () => sign(rsa, claims({ [claim]: undefined })), answer: BAD })),
  { name: '12 an empty sub', token: () => sign(rsa, claims({ sub: '' })), answer: BAD },
  { name: '13 exp as text', token: () => sign(rsa, claims({ exp: String(START + 300) })), answer: BAD },
  { name: '13 exp with a fraction, which RFC 7519 §2 allows', token: () => sign(rsa, claims({ exp: START + 300.5 })), answer: GOOD },
  { name: '13 exp of 1e400', token: () => signRaw(rsa, rsaHeader, body({ exp: 0 }).replace('"exp":0', '"exp":1e400')), answer: BAD },
  { name: '13 exp of 1e300', token: () => sign(rsa, claims({ exp: 1e300 })), answer: BAD },
  { name: '13 exp null', token: () => sign(rsa, claims({ exp: null })), answer: BAD },
  { name: '15 aud of another resource', token: () => sign(rsa, claims({ aud: 'https://other.example/mcp' })), answer: BAD },
  { name: '16 a list with ours and another', token: () => sign(rsa, claims({ aud: ['account', AUDIENCE] })), answer: GOOD },
  { name: '16 an empty list', token: () => sign(rsa, claims({ aud: [] })), answer: BAD },
  ...['https://gw.example.evil/mcp', 'https://gw.example', 'https://gw.example/mcp/', 'https://GW.example/mcp', 'https://gw.example/mcpx', ' https://gw.example/mcp']
    .map((aud): Case => ({ name: `17 aud ${JSON.stringify(aud)}`, token: () => sign(rsa, claims({ aud })), answer: BAD })),
  { name: '18 another realm of the same server', token: () => sign(rsa, claims({ iss: 'https://login.example/realms/master' })), answer: BAD },
  { name: '19 iss with a trailing slash', token: () => sign(rsa, claims({ iss: `${ISSUER}/` })), answer: BAD },
  { name: '19 iss that is a member of every object', token: () => sign(rsa, claims({ iss: '__proto__' })), answer: BAD },
  { name: '21 an ID token of Keycloak', token: () => sign(rsa, claims({ typ: 'ID' }), { typ: 'JWT' }), answer: BAD },
  { name: '21 an ID token with at_hash', token: () => sign(rsa, claims({ at_hash: 'x' }), { typ: 'JWT' }), answer: BAD },
  { name: '21 an ID token of Cognito', token: () => sign(rsa, claims({ token_use: 'id' }), { typ: 'JWT' }), answer: BAD },
  ...['Refresh', 'Offline', 'Logout'].map((typ): Case => ({ name: `22 a ${typ} token of Keycloak`, token: () => sign(rsa, claims({ typ }), { typ: 'JWT' }), answer: BAD })),
  { name: '22 an access token of Keycloak', token: () => sign(rsa, claims({ typ: 'Bearer' }), { typ: 'JWT' }), answer: GOOD },
  { name: '22 typ of a logout token', token: () => sign(rsa, claims(), { typ: 'logout+jwt' }), answer: BAD },
  { name: '22 typ application/at+jwt', token: () => sign(rsa, claims(), { typ: 'application/AT+JWT' }), answer: GOOD },
  { name: '22 no typ', token: () => sign(rsa, claims(), { typ: undefined }), answer: GOOD },
  { name: '22 bound to a key that the caller does not prove', token: () => sign(rsa, claims({ cnf: { jkt: 'x' } })), answer: BAD },
  ...[8191, 8192].map((length): Case => ({ name: `26 a token of ${length} characters`, token: () => sized(length), answer: GOOD })),
  ...[8193, 9216].map((length): Case => ({ name: `26 a token of ${length} characters`, token: () => sized(length), answer: BAD })),
  { name: '27 a JWE', token: async () => new CompactEncrypt(new TextEncoder().encode('x')).setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM' }).encrypt({ ...rsa.publicJwk, use: 'enc', alg: 'RSA-OAEP' }), answer: BAD },
  { name: '27 nested', token: () => sign(rsa, claims(), { cty: 'JWT' }), answer: BAD },
  { name: '28 a claim twice', token: () => signRaw(rsa, rsaHeader, body({}).replace('{', '{"sub":"admin",')), answer: BAD },
  { name: '28 a claim twice, once escaped', token: () => signRaw(rsa, rsaHeader, body({}).replace('{', String.raw`{"s\u0075b":"admin",`)), answer: BAD },
  { name: '28 a claim twice further in', token: () => signRaw(rsa, rsaHeader, body({}).replace('"roles":', '"roles":["cpi-admin"],"roles":')), answer: BAD },
  { name: '28 a header member twice', token: () => signRaw(rsa, '{"alg":"RS256","kid":"rsa","kid":"rsa"}', body({})), answer: BAD },
  { name: '28 the same name in two objects', token: () => sign(rsa, claims({ a: { x: 1 }, b: [{ x: 1 }, { x: 2 }] })), answer: GOOD },
  { name: '29 an unknown critical extension', token: () => signRaw(rsa, '{"alg":"RS256","kid":"rsa","crit":["x"],"x":1}', body({})), answer: BAD },
  { name: '30 an unencoded payload', token: () => signRaw(rsa, '{"alg":"RS256","kid":"rsa","crit":["b64"],"b64":false}', body({})), answer: BAD },
  { name: 'a compressed payload', token: () => sign(rsa, claims(), { zip: 'DEF' }), answer: BAD },
  { name: 'a payload that is no object', token: () => signRaw(rsa, rsaHeader, '[1]'), answer: BAD },
  { name: 'a payload that is not UTF-8', token: () => signRaw(rsa, rsaHeader, Buffer.from(body({ name: '\u00FF' }), 'latin1')), answer: BAD },
  { name: 'text that is no token', token: async () => 'stoa_sk_0123456789', answer: BAD },
  { name: 'nothing', token: async () => '', answer: BAD },
  { name: 'two tokens joined by a comma', token: async () => `${await sign(rsa)}, ${await sign(rsa)}`, answer: BAD },
  { name: 'a tenant that cannot be one', token: () => sign(rsa, claims({ tenant_id: '../acme' })), answer: BAD },
  { name: 'a tenant that is an object', token: () => sign(rsa, claims({ tenant_id: { name: 'acme' } })), answer: BAD },
];
/** A good token of exactly this many characters, whatever base64 makes of it: header and payload share the padding. */
async function sized(length: number): Promise<string> {
  for (const pad of ['', 'x', 'xx']) {
    const bare = await sign(rsa, claims({ pad: '' }), { x: pad }); // oxlint-disable-line no-await-in-loop -- three at most
    const payload = bare.split('.')[1]?.length ?? 0;
    for (let more = Math.floor((length - bare.length) * 0.75) - 3; Math.ceil((Buffer.from(part(claims({ pad: '' })), 'base64url').length + more) * 4 / 3) - payload + bare.length <= length; more += 1) {
      const token = await sign(rsa, claims({ pad: 'x'.repeat(more) }), { x: pad }); // oxlint-disable-line no-await-in-loop -- a few
      if (token.length === length) return token;
    }
  }
  throw new Error(`no token of ${length} characters`);
}
async function hmac(secret: string): Promise<string> {
  return new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'rsa' }).sign(new TextEncoder().encode(secret));
}

describe.each(['cold', 'warm'])('tokens on a %s cache', (state) => {
  it.each(CASES)('$name', async ({ token, answer, issuer: more }) => {
    const { issuer, verifier } = setUp({ issuers: [{ ...CONFIG, ...more }] });
    const made = await token();
    if (state === 'warm') { await verifier.verify(await sign(rsa)); await verifier.verify(made); }
    expect(says(await verifier.verify(made))).toBe(answer);
    expect(issuer.requested.every((url) => url.startsWith(`${ISSUER}/`))).toBe(true);
  });
});

describe('the cache of proved tokens', () => {
  it('answers a token seen before at once, without a promise', async () => {
    const { verifier } = setUp();
    const token = await sign(rsa);
    const first = verifier.verify(token);
    expect(first).toBeInstanceOf(Promise);
    expect(verifier.verify(token)).toBeInstanceOf(Promise);
    expect(verifier.verify(await first instanceof Denial ? '' : token)).toBe(await first);
  });
  it('forgets after 60 s, and at the end of the token', async () => {
    const { verifier, clock } = setUp();
    const long = await sign(rsa), short = await sign(rsa, claims({ exp: START + 40 }));
    await verifier.verify(long); await verifier.verify(short);
    clock.advance(39.9);
    expect(verifier.verify(short)).not.toBeInstanceOf(Promise);
    clock.advance(0.1);
    expect(verifier.verify(short)).toBeInstanceOf(Promise);
    clock.advance(19.9);
    expect(verifier.verify(long)).not.toBeInstanceOf(Promise);
    clock.advance(0.1);
    expect(verifier.verify(long)).toBeInstanceOf(Promise);
    clock.advance(10);
    expect(says(await verifier.verify(short))).toBe('UNAUTHENTICATED: Token has expired');
  });
  it('takes the whole token as its key, so that a changed signature is never a hit', async () => {
    const { verifier } = setUp();
    const token = await sign(ec);
    await verifier.verify(token);
    const [header, payload, signature = ''] = token.split('.');
    const other = signature.startsWith('A') ? 'B' : 'A';
    expect(says(await verifier.verify(`${header}.${payload}.${other}${signature.slice(1)}`))).toBe(BAD);
  });
  it('is bounded', async () => {
    const { verifier } = setUp({ cacheSize: 2 });
    const tokens = await Promise.all([1, 2, 3].map((n) => sign(ec, claims({ n }))));
    for (const token of tokens) await verifier.verify(token); // oxlint-disable-line no-await-in-loop -- in this order
    expect(tokens.map((token) => verifier.verify(token) instanceof Promise)).toEqual([true, false, false]);
  });
});

const kidToken = (kid: string): Promise<string> => sign(rsa2, claims({ nonce: Math.random() }), { kid });

describe('keys of an issuer', () => {
  it('7 are fetched at most once in 30 s for a flood of unknown ids, cold or warm', async () => {
    for (const warm of [false, true]) {
      const { issuer, verifier, clock } = setUp({}, [ec]);
      /* oxlint-disable no-await-in-loop -- a flood in order */
      if (warm) { await verifier.verify(await sign(ec)); clock.advance(100); }
      const before = issuer.keyFetches;
      for (let n = 0; n < 100; n += 1) { await verifier.verify(await kidToken(`unknown-${n}`)); clock.advance(0.29); }
      await Promise.all(Array.from({ length: 20 }, async (_, n) => verifier.verify(await kidToken(`more-${n}`))));
      expect(issuer.keyFetches - before).toBe(1);
      clock.advance(2);
      await verifier.verify(await kidToken('later'));
      await verifier.verify(await kidToken('latest'));
      expect(issuer.keyFetches - before).toBe(2);
      /* oxlint-enable no-await-in-loop */
    }
  });
  it('34 rotate without a lost request: the new key at its first token, the old one until the next refresh', async () => {
    const { issuer, verifier, clock } = setUp({ cacheSize: 0 }, [rsa]);
    expect(says(await verifier.verify(await sign(rsa)))).toBe(GOOD);
    clock.advance(10);
    issuer.keys = [rsa2.publicJwk];
    expect(says(await verifier.verify(await sign(rsa)))).toBe(GOOD);
    const answers = await Promise.all(Array.from({ length: 10 }, async () => says(await verifier.verify(await sign(rsa2)))));
    expect(new Set(answers)).toEqual(new Set([GOOD]));
    expect(issuer.keyFetches).toBe(2);
    expect(says(await verifier.verify(await sign(rsa)))).toBe(NO_KEY);
  });
  it('are refreshed behind the call after 300 s, one fetch at a time', async () => {
    const { issuer, verifier, clock } = setUp({ cacheSize: 0 }, [rsa]);
    const tokens = await Promise.all(Array.from({ length: 10 }, (_, n) => sign(rsa, claims({ n }))));
    await Promise.all(tokens.map(async (token) => verifier.verify(token)));
    expect(issuer.keyFetches).toBe(1);
    clock.advance(299); await verifier.verify(await sign(rsa, claims({ exp: START + 999_999 })));
    expect(issuer.keyFetches).toBe(1);
    clock.advance(1); issuer.keys = [rsa2.publicJwk];
    expect(says(await verifier.verify(await sign(rsa, claims({ exp: START + 999_999 }))))).toBe(GOOD);
    await new Promise(setImmediate);
    expect(issuer.keyFetches).toBe(2);
    expect(says(await verifier.verify(await sign(rsa, claims({ exp: START + 999_999 }))))).toBe(NO_KEY);
  });
  it('of a process that was idle are fetched before they are used again', async () => {
    const { issuer, verifier, clock } = setUp({ cacheSize: 0 }, [rsa]);
    await verifier.verify(await sign(rsa));
    clock.advance(3600); issuer.keys = [rsa2.publicJwk];
    expect(says(await verifier.verify(await sign(rsa, claims({ exp: START + 999_999 }))))).toBe(NO_KEY);
  });
  it('stay in force while the issuer is away, until the bound; then nobody is proved, and never an unknown key', async () => {
    const { issuer, verifier, clock } = setUp({ cacheSize: 0 }, [rsa]);
    const token = await sign(rsa, claims({ exp: START + 999_999 }));
    await verifier.verify(token);
    issuer.up = false;
    clock.advance(23 * 3600 + 3599);
    expect(says(await verifier.verify(token))).toBe(GOOD);
    expect(says(await verifier.verify(await sign(rsa2, claims({ exp: START + 999_999 }))))).toBe(NO_KEY);
    clock.advance(1);
    await expect(verifier.verify(token)).rejects.toBeInstanceOf(Unavailable);
    expect(await verifier.ready()).toMatchObject({ ok: false });
    issuer.up = true; clock.advance(31);
    expect(says(await verifier.verify(token))).toBe(GOOD);
    expect(await verifier.ready()).toEqual({ ok: true });
  });
  it('that never came make the verifier unavailable, and are asked for again after 1, 2, 4 … 30 s', async () => {
    const { issuer, verifier, clock } = setUp({}, [rsa]);
    issuer.up = false;
    const token = await sign(rsa, claims({ exp: START + 9999 }));
    const fetchesAt: number[] = [];
    /* oxlint-disable no-await-in-loop -- seconds pass one by one */
    for (let second = 0, seen = 0; second < 100; second += 1, clock.advance(1)) {
      await expect(verifier.verify(token)).rejects.toBeInstanceOf(Unavailable);
      const tries = issuer.requested.filter((url) => url.endsWith('openid-configuration')).length;
      if (tries > seen) { fetchesAt.push(second); seen = tries; }
    }
    /* oxlint-enable no-await-in-loop */
    expect(fetchesAt).toEqual([0, 1, 3, 7, 15, 31, 61, 91]);
    issuer.up = true; clock.advance(30);
    expect(says(await verifier.verify(token))).toBe(GOOD);
  });
  it.each([
    { name: 'an empty set', body: '{"keys":[]}' },
    { name: 'no set', body: '{}' },
    { name: 'no JSON', body: '<html>' },
    { name: 'a symmetric key only', body: '{"keys":[{"kty":"oct","kid":"rsa","k":"c2VjcmV0"}]}' },
    { name: 'an encryption key only', body: '{"keys":[{"kty":"RSA","kid":"rsa","use":"enc","n":"x","e":"AQAB"}]}' },
  ])('are not replaced by $name', async ({ body: text }) => {
    const { issuer, verifier, clock } = setUp({ cacheSize: 0 }, [rsa]);
    await verifier.verify(await sign(rsa));
    issuer.body = text;
    clock.advance(301);
    await verifier.verify(await sign(rsa));
    await new Promise(setImmediate);
    expect(says(await verifier.verify(await sign(rsa, claims({ exp: START + 9999 }))))).toBe(GOOD);
  });
  it('are never those of metadata that names another issuer', async () => {
    const { issuer } = setUp();
    const verifier = createTokenVerifier({ issuers: [{ ...CONFIG, issuer: 'https://other.example', keys: { from: 'discovery', metadataUrl: `${ISSUER}/.well-known/openid-configuration` } }], outbound: issuer.outbound });
    await expect(verifier.verify(await sign(rsa, claims({ iss: 'https://other.example' })))).rejects.toBeInstanceOf(Unavailable);
    expect(await verifier.ready()).toMatchObject({ ok: false, reason: expect.stringContaining('another issuer') as string });
  });
  it('of an https issuer are never fetched over plain http', async () => {
    const { issuer, verifier } = setUp();
    issuer.jwksUri = 'http://login.example/realms/stoa/certs';
    await expect(verifier.verify(await sign(rsa))).rejects.toBeInstanceOf(Unavailable);
    expect(issuer.requested).not.toContain(issuer.jwksUri);
  });
  it('are told to the observer, and so is each answer', async () => {
    const events: string[] = [];
    const { verifier } = setUp({ observer: {
      cacheHit: () => events.push('hit'), verified: () => events.push('verified'), denied: (reason) => events.push(`denied: ${reason}`), keysFetched: (issuer, failure) => events.push(`keys ${issuer} ${failure ?? 'ok'}`),
    } });
    const token = await sign(rsa);
    await verifier.verify(token); await verifier.verify(token); await verifier.verify('x');
    expect(events).toEqual([`keys ${ISSUER} ok`, 'verified', 'hit', 'denied: not a JWS in compact form']);
  });
});

describe('several issuers side by side', () => {
  const SECRET = 'a shared secret of at least 32 bytes';
  const issuers: readonly IssuerConfig[] = [
    CONFIG,
    { issuer: 'https://partner.example', audiences: ['partner-audience'], keys: { from: 'secret', secret: SECRET }, claims: { tenant: 'https://partner.example/org', roles: 'groups', scopes: 'scp', subject: 'uid' } },
  ];
  const shared = (payload: Record<string, unknown>, secret = SECRET): Promise<string> => new SignJWT(payload).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret));
  const partner = claims({ iss: 'https://partner.example', aud: 'partner-audience', uid: 'u7', 'https://partner.example/org': ['globex', 'acme'], groups: ['tenant-admin'], scp: ['custom:thing'] });

  it('each have their audience, algorithm and claim names', async () => {
    const { verifier } = setUp({ issuers });
    const answer = await verifier.verify(await shared(partner)) as Principal;
    expect(answer).toMatchObject({ tenant: 'globex', subject: 'u7', issuer: 'https://partner.example', roles: new Set(['tenant-admin']) });
    expect([...answer.scopes]).toEqual(expect.arrayContaining(['custom:thing', 'stoa:write', 'stoa:tools:execute']));
    expect(says(await verifier.verify(await sign(rsa)))).toBe(GOOD);
  });
  it('never answer for one another', async () => {
    const { verifier } = setUp({ issuers });
    expect(says(await verifier.verify(await shared(claims())))).toBe(BAD);
    expect(says(await verifier.verify(await sign(rsa, partner)))).toBe(BAD);
    expect(says(await verifier.verify(await shared({ ...partner, aud: AUDIENCE })))).toBe(BAD);
    expect(says(await verifier.verify(await shared(partner, `${SECRET}!`)))).toBe(BAD);
  });
  it.each([
    { name: 'no issuer', wrong: [], says: /none configured/ },
    { name: 'the same issuer twice', wrong: [CONFIG, CONFIG], says: /configured twice/ },
    { name: 'no audience', wrong: [{ ...CONFIG, audiences: [] }], says: /audiences: name at least one/ },
    { name: 'a short secret', wrong: [{ ...CONFIG, keys: { from: 'secret' as const, secret: 'short' } }], says: /32 bytes/ },
    { name: 'a key set that is no URL', wrong: [{ ...CONFIG, keys: { from: 'jwks' as const, uri: 'file:///etc/passwd' } }], says: /keys\.uri/ },
    { name: 'HS256 with a key set', wrong: [{ ...CONFIG, keys: { from: 'discovery' as const, algorithms: ['HS256' as 'RS256'] } }], says: /is not one of RS256/ },
  ])('are refused at start with $name', ({ wrong, says: message }) => {
    expect(() => createTokenVerifier({ issuers: wrong, outbound: new FakeIssuer([]).outbound })).toThrow(message);
  });
});

const LONG = START + 999_999;
const settled = async (config: Partial<IssuerConfig>, more: Readonly<Record<string, unknown>>, at = 0): Promise<string> => {
  const { verifier, clock } = setUp({ issuers: [{ ...CONFIG, ...config }] });
  clock.advance(at);
  return says(await verifier.verify(await sign(rsa, claims({ exp: LONG, ...more }))));
};
const EXPIRED = 'UNAUTHENTICATED: Token has expired';

describe('what an issuer is configured to demand', () => {
  it.each([
    { name: 'an age below the limit', config: { maxTokenAgeSeconds: 3600 }, more: { iat: START - 3599 }, answer: GOOD },
    { name: 'the age of the limit', config: { maxTokenAgeSeconds: 3600 }, more: { iat: START - 3600 }, answer: EXPIRED },
    { name: 'an age of 61 minutes where 60 are allowed, whatever the clocks differ by', config: { maxTokenAgeSeconds: 3600, clockSkewSeconds: 600 }, more: { iat: START - 3660 }, answer: EXPIRED },
    { name: 'any age where there is no limit', config: { maxTokenAgeSeconds: 0 }, more: { iat: START - 999_999 }, answer: GOOD },
    { name: 'a birth 31 s from now, with a limit', config: { maxTokenAgeSeconds: 3600 }, more: { iat: START + 31 }, answer: BAD },
    { name: 'a birth 29 s from now, with a limit', config: { maxTokenAgeSeconds: 3600 }, more: { iat: START + 29 }, answer: GOOD },
    { name: 'an end 5 s ago, clocks alike', config: { clockSkewSeconds: 0 }, more: { exp: START - 5 }, answer: EXPIRED },
    { name: 'an end now, clocks alike', config: { clockSkewSeconds: 0 }, more: { exp: START }, answer: EXPIRED },
    { name: 'an end 100 s ago, clocks two minutes apart', config: { clockSkewSeconds: 120 }, more: { exp: START - 100 }, answer: GOOD },
    { name: 'a version in the list', config: { apiVersions: ['1.0', '1.1'] }, more: { v: '1.1' }, answer: GOOD },
    { name: 'a version as a number', config: { apiVersions: ['1.1'] }, more: { v: 1.1 }, answer: GOOD },
    { name: 'another version', config: { apiVersions: ['1.1'] }, more: { v: 9 }, answer: BAD },
    { name: 'no version', config: { apiVersions: ['1.1'] }, more: {}, answer: BAD },
    { name: 'a list of versions', config: { apiVersions: ['1.1'] }, more: { v: ['1.1'] }, answer: BAD },
    { name: 'the group', config: { requiredGroups: ['mcp.users'] }, more: { groups: ['x', 'mcp.users'] }, answer: GOOD },
    { name: 'the group as text', config: { requiredGroups: ['mcp.users'] }, more: { groups: 'mcp.users' }, answer: GOOD },
    { name: 'one group of two', config: { requiredGroups: ['mcp.users', 'staff'] }, more: { groups: ['mcp.users'] }, answer: 'FORBIDDEN: Access denied: a required group is missing' },
    { name: 'no group', config: { requiredGroups: ['mcp.users'] }, more: {}, answer: 'FORBIDDEN: Access denied: a required group is missing' },
    { name: 'a wrong tenant and no group: a bad token stays a bad token', config: { requiredGroups: ['mcp.users'] }, more: { tenant_id: 'A B' }, answer: BAD },
  ])('$name', async ({ config, more, answer }) => { expect(await settled(config, more)).toBe(answer); });

  it('is asked of the claims by their configured names, and of no other', async () => {
    const names: Partial<IssuerConfig> = { claims: { tenant: ['tid', 'org_id'], subject: 'uid', expiresAt: 'end', issuedAt: 'start', apiVersion: 'ver', groups: 'teams' }, apiVersions: ['2'], requiredGroups: ['a'] };
    const good = { exp: undefined, iat: undefined, sub: undefined, tenant_id: undefined, uid: 'u7', end: START + 300, start: START, ver: '2', teams: ['a'], org_id: 'globex' };
    expect(await settled(names, good)).toBe('principal u7');
    for (const missing of ['uid', 'end', 'start', 'ver']) expect(await settled(names, { ...good, [missing]: undefined, sub: 'x', exp: START + 300, iat: START, v: '2' })).toBe(BAD); // oxlint-disable-line no-await-in-loop -- four
    expect(await settled(names, { ...good, end: START - 31 })).toBe(EXPIRED);
    // A token's own end holds even where another is configured.
    expect(await settled(names, { ...good, exp: START - 31 })).toBe(EXPIRED);
  });
  it.each([
    { name: 'the first name that the token has', more: { tid: 'acme', org_id: 'globex' }, tenant: 'acme' },
    { name: 'the second where the first is missing or empty', more: { tid: '', org_id: 'globex' }, tenant: 'globex' },
    { name: 'none where no configured name is there', more: { tenant_id: 'acme', workspace: 'acme' }, tenant: undefined },
  ])('the tenant is $name', async ({ more, tenant }) => {
    const { verifier } = setUp({ issuers: [{ ...CONFIG, claims: { tenant: ['tid', 'org_id'] } }] });
    expect(await verifier.verify(await sign(rsa, claims({ tenant_id: undefined, ...more })))).toMatchObject({ tenant });
  });
  it('a warm cache does not outlast the age', async () => {
    const { verifier, clock } = setUp({ issuers: [{ ...CONFIG, maxTokenAgeSeconds: 60 }] });
    const token = await sign(rsa, claims({ exp: LONG, iat: START - 30 }));
    expect(says(await verifier.verify(token))).toBe(GOOD);
    clock.advance(29.9);
    expect(says(await verifier.verify(token))).toBe(GOOD);
    clock.advance(0.1);
    expect(says(await verifier.verify(token))).toBe(EXPIRED);
  });
  it('the credential and the strength of the sign-in are facts of the principal', async () => {
    expect(await of({ jti: 'id-7', acr: 'totp' })).toMatchObject({ credentialId: 'id-7', acr: 'totp' });
    expect(await of({ jti: 7, acr: { x: 1 } })).not.toHaveProperty('credentialId');
    expect(await of({ jti: 'x'.repeat(257) })).not.toHaveProperty('credentialId');
  });
});

const of = async (more: Readonly<Record<string, unknown>>): Promise<Principal> => await setUp().verifier.verify(await sign(rsa, claims(more))) as Principal;

describe('the principal', () => {
  it('has tenant, roles, scopes, client and end from the claims', async () => {
    expect(await of({})).toEqual({
      tenant: 'acme', issuer: ISSUER, subject: 'user-1', clientId: 'agent', roles: new Set(['viewer']), expiresAt: START + 300,
      scopes: new Set(['email', 'stoa:read', 'stoa:catalog:read', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read']),
    });
  });
  it.each([
    { name: 'no tenant claim', more: { tenant_id: undefined }, tenant: undefined },
    { name: 'an empty tenant', more: { tenant_id: '' }, tenant: undefined },
    { name: 'an empty list of tenants', more: { tenant_id: [] }, tenant: undefined },
    { name: 'a list of tenants', more: { tenant_id: ['globex', 'acme'] }, tenant: 'globex' },
  ])('of $name', async ({ more, tenant }) => { expect((await of(more)).tenant).toBe(tenant); });
  it('has no role from claims of another shape', async () => {
    expect((await of({ realm_access: 'cpi-admin' })).roles.size).toBe(0);
    expect((await of({ realm_access: { roles: { 0: 'cpi-admin' } } })).roles.size).toBe(0);
    expect((await of({ realm_access: null })).roles.size).toBe(0);
  });
});
