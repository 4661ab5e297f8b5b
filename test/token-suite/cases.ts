import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { bearer, type Credential } from './doors.js';
import { encrypted, keyPair, part, signer } from './mint.js';
import type { Trial } from './trial.js';

export interface Case {
  readonly number: number;
  readonly title: string;
  run(trial: Trial): Promise<void>;
}

const flip = (url: string): string => url.replace(/^https?:\/\/[^/]+/, (origin) => origin.toUpperCase());

async function hmac(trial: Trial, secret: string): Promise<string> {
  const input = `${part({ alg: 'HS256', typ: 'JWT', kid: trial.mint.kid })}.${part(trial.mint.claims(trial.owner))}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}
const header = (trial: Trial, more: object = {}): string => JSON.stringify({ alg: 'RS256', kid: trial.mint.kid, ...more });
const payload = (trial: Trial, more: Readonly<Record<string, unknown>> = {}): string => JSON.stringify(trial.mint.claims(trial.owner, more));
/** Signed by nobody: enough where the key must not even be found. */
const unsigned = (trial: Trial, kid: string): string => `${part({ alg: 'RS256', typ: 'JWT', kid })}.${part(trial.mint.claims(trial.owner))}.${randomBytes(256).toString('base64url')}`;
const impostor = async (trial: Trial) => signer({ issuer: trial.mint.issuer, audience: trial.mint.audience, key: await keyPair(trial.mint.kid) });

/** The resource-server suite, by number. Every refusal is a 401 with a challenge unless the title says otherwise. */
export const CASES: readonly Case[] = [
  { number: 1, title: 'a valid RS256 token is taken', run: async (t) => t.accepted('RS256', await t.good()) },
  { number: 2, title: 'valid PS256, ES256 and EdDSA tokens are taken', run: async (t) => {
    for (const algorithm of ['PS256', 'ES256', 'EdDSA'] as const) await t.accepted(algorithm, await t.mint.signedBy(algorithm, t.owner));
  } },
  { number: 3, title: 'alg none', run: async (t) => {
    for (const alg of ['none', 'None', 'nOnE', 'NONE']) {
      await t.refused(`alg ${alg}, no signature`, `${part({ alg, kid: t.mint.kid })}.${part(t.mint.claims(t.owner))}.`);
      await t.refused(`alg ${alg}, some signature`, `${part({ alg, kid: t.mint.kid })}.${part(t.mint.claims(t.owner))}.c2ln`);
    }
    await t.refused('RS256 with its signature cut off', (await t.good()).replace(/[^.]*$/, ''));
  } },
  { number: 4, title: 'HS256 with the public key as the secret', run: async (t) => {
    await t.refused('the PEM', await hmac(t, t.mint.publicPem));
    await t.refused('the PEM without its last line end', await hmac(t, t.mint.publicPem.trimEnd()));
    await t.refused('the JWK', await hmac(t, JSON.stringify(t.mint.publicJwk)));
    await t.refused('the modulus', await hmac(t, t.mint.publicJwk.n ?? ''));
    await t.refused('an empty secret', await hmac(t, ''));
  } },
  { number: 5, title: 'the signature of another key under the same kid', run: async (t) => {
    await t.refused('another key', await (await impostor(t)).sign(t.mint.claims(t.owner)));
    const good = await t.good();
    await t.accepted('the token before it was changed', good);
    const [head = '', body = '', signature = ''] = good.split('.');
    await t.refused('the changed payload of a token that was taken', `${head}.${part(t.mint.claims(t.owner, { sub: 'admin' }))}.${signature}`);
    await t.refused('the changed signature of a token that was taken', `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`);
  } },
  { number: 6, title: 'an unknown kid', run: async (t) => t.refused('an unknown kid', await t.good({}, { kid: randomUUID() })) },
  { number: 7, title: '1000 unknown kids cost at most one fetch of the key set', run: async (t) => {
    await t.refused('the first', unsigned(t, randomUUID()));
    const before = t.mint.keyFetches?.();
    let wrong: string | undefined;
    for (let batch = 0; batch < 40; batch += 1) {
      const answers = await Promise.all(Array.from({ length: 25 }, () => t.door.ask(bearer(unsigned(t, randomUUID())))));
      wrong ??= answers.map(({ status }) => status).filter((status) => status !== 401).map(String)[0];
    }
    t.unnoticed(1000);
    if (wrong !== undefined) t.fault(`one of them was answered ${wrong}, expected 401`);
    const fetched = before === undefined ? 0 : (t.mint.keyFetches?.() ?? 0) - before;
    if (fetched > 1) t.fault(`the key set was fetched ${fetched} times in a moment`);
    await t.accepted('a good token after them', await t.good());
  } },
  { number: 8, title: 'a kid that is a path, SQL, or 10 KiB', run: async (t) => {
    for (const kid of ['../../dev/null', '/dev/null', "' OR '1'='1", "x' UNION SELECT 'key", '__proto__', 'k'.repeat(257)]) await t.refused(`kid ${kid.slice(0, 30)}`, await t.good({}, { kid }));
    await t.refused('a kid of 10 KiB', unsigned(t, 'k'.repeat(5000)));
    await t.refused('a kid that is a number', `${part({ alg: 'RS256', kid: 1 })}.${part(t.mint.claims(t.owner))}.c2ln`);
  } },
  { number: 9, title: 'keys that the header brings along are neither used nor fetched', run: async (t) => {
    const { canary } = t.world;
    const before = canary.hits();
    const own = await keyPair('mine');
    const bad = await signer({ issuer: t.mint.issuer, audience: t.mint.audience, key: own });
    for (const [name, more] of Object.entries({ jwk: { jwk: own.publicJwk }, jku: { jku: `${canary.url}/jwks` }, x5u: { x5u: `${canary.url}/cert` }, x5c: { x5c: ['MIIB'] } })) {
      await t.refused(name, await bad.sign(t.mint.claims(t.owner), more));
      await t.refused(`${name} under the trusted kid`, await bad.sign(t.mint.claims(t.owner), { ...more, kid: t.mint.kid }));
    }
    if (canary.hits() !== before) t.fault(`the server fetched an address that only the token names (${canary.hits() - before} times)`);
  } },
  { number: 10, title: 'expired for 31 s; within the tolerance of clocks it is taken', run: async (t) => {
    await t.refused('expired for 31 s', await t.good({ iat: t.seconds() - 331, exp: t.seconds() - 31 }));
    await t.refused('expired long ago', await t.good({ iat: 0, exp: 1 }));
    await t.accepted('expired for 20 s', await t.good({ iat: t.seconds() - 320, exp: t.seconds() - 20 }));
  } },
  { number: 11, title: 'not valid yet', run: async (t) => t.refused('nbf 60 s from now', await t.good({ nbf: t.seconds() + 60 })) },
  { number: 12, title: 'without exp', run: async (t) => t.refused('no exp', await t.good({ exp: undefined })) },
  { number: 13, title: 'exp as text, null, or beyond every date', run: async (t) => {
    for (const exp of [String(t.seconds() + 300), null, true, [t.seconds() + 300], 1e300]) await t.refused(`exp ${JSON.stringify(exp)}`, await t.good({ exp }));
    await t.refused('exp 1e400', await t.mint.signRaw(header(t), payload(t, { exp: 0 }).replace('"exp":0', '"exp":1e400')));
    // RFC 7519 §2 allows fractions.
    await t.accepted('exp with a fraction', await t.good({ exp: t.seconds() + 300.5 }));
  } },
  { number: 14, title: 'without aud', run: async (t) => {
    for (const aud of [undefined, null, '', []]) await t.refused(`aud ${JSON.stringify(aud) ?? 'missing'}`, await t.good({ aud }));
  } },
  { number: 15, title: 'aud of another resource', run: async (t) => {
    for (const aud of ['https://other.example/mcp', 'account', ['account', 'https://other.example/mcp']]) await t.refused(`aud ${JSON.stringify(aud)}`, await t.good({ aud }));
  } },
  { number: 16, title: 'aud with ours and another is taken', run: async (t) => t.accepted('two audiences', await t.good({ aud: ['https://other.example/mcp', t.mint.audience] })) },
  { number: 17, title: 'aud that only looks like ours', run: async (t) => {
    const { audience } = t.mint;
    const looks = [`${audience}.evil.example`, `${audience}/`, `${audience}x`, ` ${audience}`, `${audience}#`, audience.slice(0, -1), flip(audience), audience.replace(/^(\w+:\/\/)?/, '$1evil@')];
    for (const aud of new Set(looks.filter((one) => one !== audience))) await t.refused(`aud ${JSON.stringify(aud)}`, await t.good({ aud }));
    await t.refused('ours inside another', await t.good({ aud: { [audience]: true } }));
  } },
  { number: 18, title: 'iss of another realm of the same server', run: async (t) => {
    const other = t.mint.issuer.replace(/[^/]*\/?$/, 'other');
    await t.refused('another iss under the trusted key', await t.good({ iss: other }));
    if (!t.mint.otherRealm) return;
    const before = t.mint.otherRealm.fetches();
    await t.refused('a true token of the other realm', await t.mint.otherRealm.token(t.owner));
    if (t.mint.otherRealm.fetches() !== before) t.fault('the server fetched the keys of an issuer that only the token names');
  } },
  { number: 19, title: 'iss with a trailing slash, or in other letters', run: async (t) => {
    for (const iss of [`${t.mint.issuer}/`, flip(t.mint.issuer), undefined, [t.mint.issuer]]) await t.refused(`iss ${JSON.stringify(iss) ?? 'missing'}`, await t.good({ iss }));
  } },
  { number: 20, title: 'a token of tenant B on a thing of tenant A gets the bytes of an unknown one', run: foreignThing },
  { number: 21, title: 'an ID token', run: async (t) => {
    const real = await t.mint.others?.();
    if (real) await t.refused('an ID token as the issuer gives it', real.idToken);
    await t.refused('typ ID in the payload', await t.good({ typ: 'ID' }));
    await t.refused('with at_hash', await t.good({ at_hash: 'x' }));
    await t.refused('for the client', await t.good({ aud: 'token-suite', nonce: 'n', auth_time: t.seconds() }));
  } },
  { number: 22, title: 'a refresh token', run: async (t) => {
    const real = await t.mint.others?.();
    if (real) await t.refused('a refresh token as the issuer gives it', real.refreshToken);
    for (const typ of ['Refresh', 'Offline', 'Logout']) await t.refused(`typ ${typ} in the payload`, await t.good({ typ }));
    await t.refused('typ logout+jwt in the header', await t.good({}, { typ: 'logout+jwt' }));
  } },
  { number: 23, title: 'a token in the query string', run: async (t) => {
    await t.refused('access_token', { query: `access_token=${await t.good()}` });
    await t.refused('none at all', {});
  } },
  { number: 24, title: 'two Authorization headers, or two tokens in one', run: async (t) => {
    const [one, two] = [await t.good(), await t.good()];
    await t.refused('two headers', { authorization: [`Bearer ${one}`, `Bearer ${two}`] });
    await t.refused('a good one and a bad one', { authorization: [`Bearer ${one}`, 'Bearer x'] });
    await t.refused('joined by a comma', { authorization: [`Bearer ${one}, Bearer ${two}`] }, true);
  } },
  { number: 25, title: 'the scheme: any case of bearer is taken, another scheme is not', run: async (t) => {
    const token = await t.good();
    for (const scheme of ['bearer', 'BEARER']) await t.accepted(scheme, { authorization: [`${scheme} ${token}`] });
    for (const line of [`Basic ${Buffer.from(`token-suite:${token}`).toString('base64')}`, `Token ${token}`, token, 'Bearer', `Bearer${token}`]) await t.refused(line.slice(0, 10), { authorization: [line] });
  } },
  { number: 26, title: 'a token of 9 KiB', run: async (t) => t.refused('9 KiB', await t.good({ pad: 'x'.repeat(6500) })) },
  { number: 27, title: 'a JWE, and a nested token', run: async (t) => {
    await t.refused('a JWE', await encrypted(t.mint, await t.good()));
    await t.refused('cty JWT', await t.good({}, { cty: 'JWT' }));
    await t.refused('a token in a token', await t.mint.signRaw(header(t, { cty: 'JWT' }), await t.good()));
  } },
  { number: 28, title: 'a claim twice', run: async (t) => {
    await t.refused('sub', await t.mint.signRaw(header(t), payload(t).replace('{', '{"sub":"admin",')));
    await t.refused('exp, once escaped', await t.mint.signRaw(header(t), payload(t, { exp: 1 }).replace('{', `{"e\\u0078p":${t.seconds() + 300},`)));
    await t.refused('kid', await t.mint.signRaw(header(t).replace('{', `{"kid":${JSON.stringify(t.mint.kid)},`), payload(t)));
  } },
  { number: 29, title: 'an unknown critical header', run: async (t) => {
    await t.refused('crit', await t.mint.signRaw(header(t, { crit: ['https://example.com/x'], 'https://example.com/x': 1 }), payload(t)));
    await t.refused('an empty crit', await t.mint.signRaw(header(t, { crit: [] }), payload(t)));
  } },
  { number: 30, title: 'b64 false', run: async (t) => {
    await t.refused('critical', await t.mint.signRaw(header(t, { crit: ['b64'], b64: false }), payload(t)));
    await t.refused('alone', await t.mint.signRaw(header(t, { b64: false }), payload(t)));
  } },
  { number: 31, title: 'too little scope is 403, naming the scopes that are missing', run: tooLittle },
  { number: 32, title: 'a scope that stands for the one needed is enough', run: async (t) => {
    const thing = await ownThing(t);
    if (thing === undefined) return;
    const caller = byRoles(t) ? t.owner : { tenant: t.owner.tenant, role: undefined, scope: 'stoa:write' };
    const answer = await t.door.execute(bearer(await t.mint.sign(t.mint.claims(caller))), thing);
    if (!byRoles(t)) t.effectsDue += EFFECTS_OF_A_CALL;
    if (answer.status !== 200 || /"isError":\s*true/.test(answer.body)) t.fault(`answered ${answer.status} ${answer.body.slice(0, 200)}, expected 200`);
  } },
  { number: 33, title: 'a credential that was taken back ends within 2 s', run: takenBack },
  { number: 34, title: 'keys are rotated without a lost request, and the old one ends', run: async () => { throw new Error('runs for all doors at once'); } },
];

/** A call that is let through reaches its backend, and is one record of usage. */
const EFFECTS_OF_A_CALL = 2;
const byRoles = (t: Trial): boolean => t.door.name.startsWith('admin');

/** What the owner has and the stranger has not: a tool, or at the admin API its tenant. */
async function ownThing(t: Trial): Promise<string | undefined> {
  if (byRoles(t)) return t.owner.tenant;
  if (t.world.tool !== undefined) return t.world.tool;
  const theirs = new Set(await t.door.names(await as(t, t.world.stranger)));
  const own = (await t.door.names(await as(t, t.owner))).find((name) => !theirs.has(name));
  if (own === undefined) t.fault(`tenant ${t.owner.tenant} lists no tool that ${t.world.stranger.tenant} has not: name one with --tool`);
  return own;
}
const as = async (t: Trial, caller: Trial['owner']): Promise<Credential> => bearer(await t.mint.sign(t.mint.claims(caller)));

async function foreignThing(t: Trial): Promise<void> {
  const thing = await ownThing(t);
  if (thing === undefined) return;
  const unknown = `no-such-${randomBytes(4).toString('hex')}`;
  if ((await t.door.names(await as(t, t.world.stranger))).includes(thing)) t.fault(`${t.world.stranger.tenant} is shown ${thing} of ${t.owner.tenant}`);
  for (let sent = 0; sent < (t.cache === 'warm' ? 2 : 1); sent += 1) {
    const [foreign, nothing] = [await t.door.reach(await as(t, t.world.stranger), thing), await t.door.reach(await as(t, t.world.stranger), unknown)];
    const [one, other] = [seen(foreign, thing), seen(nothing, unknown)];
    if (one !== other) t.fault(`${t.world.stranger.tenant} can tell ${thing} of ${t.owner.tenant} from what does not exist: ${one.slice(0, 200)} against ${other.slice(0, 200)}`);
    if (foreign.status === 200 && !/error/i.test(foreign.body)) t.fault(`${t.world.stranger.tenant} reached ${thing}: ${foreign.body.slice(0, 160)}`);
  }
}
/** An answer without what differs in every request: its ids, and the name that was asked for. */
const seen = ({ status, body }: { readonly status: number; readonly body: string }, name: string): string =>
  `${status} ${body.replaceAll(name, 'NAME').replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'ID')}`;

async function tooLittle(t: Trial): Promise<void> {
  const thing = await ownThing(t);
  if (thing === undefined) return;
  const poor = bearer(await t.mint.sign(t.mint.claims({ tenant: t.owner.tenant, role: undefined, scope: 'email' })));
  for (let sent = 0; sent < (t.cache === 'warm' ? 2 : 1); sent += 1) {
    const { status, challenge = '', body } = await t.door.execute(poor, thing);
    if (status !== 403) { t.fault(`answered ${status} ${body.slice(0, 160)}, expected 403`); return; }
    // At the admin API roles decide: there is no scope to name.
    if (byRoles(t)) continue;
    if (!/error="insufficient_scope"/.test(challenge)) t.fault(`the challenge does not say insufficient_scope: ${challenge}`);
    if (!/scope="[^"]+"/.test(challenge)) t.fault(`the challenge names no scope: ${challenge}`);
  }
}

async function takenBack(t: Trial): Promise<void> {
  if (!t.world.revocable) { t.fault('not run: the server has no credential that can be taken back'); return; }
  const { credential, revoke } = await t.world.revocable();
  await t.accepted('before', credential);
  await revoke();
  await t.world.wait(2);
  await t.refused('2 s after', credential, true);
}

/**
 * Case 34, for all doors together since it takes a minute: a new key beside the old one, both in use; then the old one gone.
 * Between each step the server gets the 30 s after which it may look for a key that it does not know.
 */
export async function rotation(trials: readonly Trial[]): Promise<void> {
  const [first] = trials;
  if (!first) return;
  const { mint, world, owner } = first;
  const fail = (what: string): void => { for (const trial of trials) trial.fault(what); };
  if (!mint.rotation) { fail('not run: the keys of this issuer cannot be changed from here'); return; }
  for (const trial of trials) trial.primes = false;
  const { publish, withNewKey, withOldKey, retireOld } = mint.rotation;
  for (const trial of trials) await trial.accepted('the old key before', await withOldKey(owner));
  await publish();
  for (const trial of trials) await trial.accepted('the old key as soon as there is a new one', await withOldKey(owner));
  await world.wait(31);
  for (const trial of trials) {
    await trial.accepted('the new key', await withNewKey(owner));
    await trial.accepted('the old key beside it', await withOldKey(owner));
  }
  await retireOld();
  await world.wait(31);
  for (const trial of trials) {
    await trial.accepted('the new key alone', await withNewKey(owner));
    await trial.refused('an unknown key, which makes the server look again', unsigned(trial, randomUUID()));
    await trial.refused('a fresh token of the old key', await withOldKey(owner));
    await trial.accepted('the new key after that', await withNewKey(owner));
  }
}
