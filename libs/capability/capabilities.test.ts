import { createHash, generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { beforeEach, describe, expect, it } from 'vitest';
import type { AuthenticatedCall, ValidatedCall } from '#libs/core/call.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { ExchangeRefused, type Wanted } from './authority.js';
import { requestHash } from './canonical-request.js';
import { type Capabilities, createCapabilities, type Issued } from './capabilities.js';
import { keyRing } from './key-ring.js';
import { memoryMarks } from './memory-marks.js';

const SECRET = 'a secret of at least thirty-two bytes';
let time = 1_795_219_200_000;
let replays = 0;
const marks = () => memoryMarks(() => time);
const replica = (secrets: readonly string[] = [SECRET], shared = marks()): Capabilities => createCapabilities({
  ring: keyRing(secrets), issuer: 'https://gw.test/v1/token', audience: 'https://gw.test/mcp', marks: shared, now: () => time, observer: { replayed: () => { replays += 1; } },
});
let capabilities: Capabilities;
beforeEach(() => { time = 1_795_219_200_000; replays = 0; capabilities = replica(); });

const person = (more: Partial<Principal> = {}): Principal => ({
  tenant: tenantSlug('acme'), issuer: 'https://idp.test', subject: 'ada', clientId: 'agent', roles: new Set(['viewer']), scopes: new Set(['stoa:read']), expiresAt: time / 1000 + 3600, ...more,
});
async function issued(wanted: Wanted, parent: Principal = person(), of = capabilities, actor?: Principal): Promise<Issued> {
  const answer = await of.exchange(parent, { tools: ['get_pet'], ...wanted }, actor);
  if (answer instanceof ExchangeRefused) throw new Error(`${answer.error}: ${answer.description}`);
  return answer;
}
async function proved(token: string, of = capabilities): Promise<Principal> {
  const answer = await of.verify(token);
  if (answer instanceof Denial) throw new Error(answer.reason);
  return answer;
}
const exchange = { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false };
const call = (principal: Principal, name = 'get_pet', args: unknown = {}, kind: AuthenticatedCall['kind'] = 'tool'): AuthenticatedCall =>
  ({ requestId: 'r', door: 'rest', principal, kind, name, arguments: args, exchange, traceparent: undefined, tracestate: undefined, consumer: 'x', startedAt: 0 });
/** What the line knows by then does not matter here: the guard reads the principal alone. */
const validated = (of: AuthenticatedCall): ValidatedCall => of as ValidatedCall;
const spent = async (holder: Principal) => capabilities.spend(validated(call(holder)));
const checked = async (token: string, ...what: [name?: string, args?: unknown, kind?: AuthenticatedCall['kind']]): Promise<string> => (await capabilities.check(call(await proved(token), ...what)))?.code ?? 'ok';

describe('a capability token', () => {
  it('names who may do what for how long, signed with Ed25519, in the order that tells it from other tokens', async () => {
    const { token, expiresIn } = await issued({ tools: ['get_pet', 'list_pets'], ttlSeconds: 90, oneTime: true, requestHash: 'h' });
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'EdDSA', typ: 'stoa-capability+jwt', kid: expect.stringMatching(/^[\w-]{16}$/) });
    expect(decodeJwt(token)).toEqual({
      iss: 'https://gw.test/v1/token', aud: 'https://gw.test/mcp', sub: 'ada', sub_iss: 'https://idp.test', tenant: 'acme', client_id: 'agent', iat: time / 1000, exp: time / 1000 + 90,
      jti: expect.stringMatching(/^[\w-]{22}$/), scope: ['stoa:read'], roles: ['viewer'], tools: ['get_pet', 'list_pets'], ops: {}, act: { sub: 'agent' }, req: 'h', once: true, from: [],
    });
    expect(expiresIn).toBe(90);
    expect(capabilities.takes(token)).toBe(true);
    expect(await proved(token)).toMatchObject({ tenant: 'acme', issuer: 'https://idp.test', subject: 'ada', credential: 'capability', allowedTools: new Set(['get_pet', 'list_pets']), actors: ['agent'] });
  });
  it('is good for its tools alone, and for nothing that is not a tool', async () => {
    const { token } = await issued({});
    expect(await checked(token)).toBe('ok');
    expect(await checked(token, 'delete_pet')).toBe('FORBIDDEN');
    expect(await checked(token, 'get_pet', {}, 'resource')).toBe('FORBIDDEN');
    expect(await checked(token, 'get_pet', {}, 'prompt')).toBe('FORBIDDEN');
  });
  it('ends to the second, a cached one too', async () => {
    const { token } = await issued({ ttlSeconds: 60 });
    time += 59_999;
    await proved(token);
    time += 1;
    expect(await capabilities.verify(token)).toMatchObject({ code: 'UNAUTHENTICATED', message: 'Token has expired' });
    expect(await replica().verify(token)).toMatchObject({ message: 'Token has expired' });
  });
  it('confined to an operation refuses every other, and calls that name none', async () => {
    const { token } = await issued({ tools: ['stoa_catalog'], operation: 'list' });
    for (const args of [{ action: 'list' }, { operation: 'list' }]) expect(await checked(token, 'stoa_catalog', args)).toBe('ok');
    for (const args of [{ action: 'get' }, {}, undefined, { operation: 'get', action: 'list' }, { action: ['list'] }]) expect(await checked(token, 'stoa_catalog', args)).toBe('FORBIDDEN');
  });
  it('bound to a request is 401 with any other, and the order of members does not matter', async () => {
    const { token } = await issued({ requestHash: requestHash('get_pet', { id: 7, deep: { b: [1, 'x'], a: null } }) });
    expect(await checked(token, 'get_pet', { deep: { a: null, b: [1, 'x'] }, id: 7 })).toBe('ok');
    for (const args of [{ id: 8, deep: { b: [1, 'x'], a: null } }, { id: '7', deep: { b: [1, 'x'], a: null } }, { id: 7, deep: { b: ['x', 1], a: null } }, {}]) expect(await checked(token, 'get_pet', args)).toBe('UNAUTHENTICATED');
  });
  it('for one use is spent by the first call that goes through, of any number at once, and then opens no door', async () => {
    const { token } = await issued({ oneTime: true });
    await proved(token);
    expect(await checked(token)).toBe('ok');
    expect(await checked(token, 'delete_pet')).toBe('FORBIDDEN');
    const holder = await proved(token);
    const answers = await Promise.all(Array.from({ length: 20 }, async () => (await spent(holder))?.code ?? 'ok'));
    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(1);
    expect(replays).toBe(19);
    expect(await capabilities.verify(token)).toMatchObject({ code: 'UNAUTHENTICATED', message: 'Token has been used' });
    expect(replays).toBe(20);
  });
});

describe('an exchange', () => {
  it('of a one-time token is its one use, and the new one is for one use as well', async () => {
    const parent = await proved((await issued({ oneTime: true })).token);
    const child = await issued({}, parent);
    expect(child.grant.oneTime).toBe(true);
    expect(await capabilities.exchange(parent, { tools: ['get_pet'] })).toMatchObject({ error: 'invalid_grant', description: expect.stringContaining('used') });
    expect(await spent(parent)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
  it('of a capability token gives no other tool, no other request and no longer life', async () => {
    const bound = requestHash('get_pet', {});
    const parent = await proved((await issued({ ttlSeconds: 60, requestHash: bound })).token);
    time += 30_000;
    expect(await capabilities.exchange(parent, { tools: ['delete_pet'] })).toMatchObject({ error: 'invalid_scope' });
    expect(await capabilities.exchange(parent, { tools: ['get_pet'], requestHash: requestHash('get_pet', { id: 1 }) })).toMatchObject({ error: 'invalid_grant' });
    const child = await issued({ ttlSeconds: 120 }, parent);
    expect(child.grant).toMatchObject({ expiresAt: parent.expiresAt, requestHash: bound });
  });
  it('keeps the chain of who acts for whom, nearest first (RFC 8693 §4.1), and at most eight links', async () => {
    const actor = person({ subject: 'sub-agent', clientId: 'sub-agent' });
    const first = await issued({}, person(), capabilities, person({ subject: 'planner', clientId: 'planner' }));
    const second = await issued({}, await proved(first.token), capabilities, actor);
    expect(decodeJwt(second.token)).toMatchObject({ sub: 'ada', client_id: 'sub-agent', act: { sub: 'sub-agent', act: { sub: 'planner', act: { sub: 'agent' } } }, from: [first.id] });
    expect((await proved(second.token)).actors).toEqual(['sub-agent', 'planner', 'agent']);
    let parent = await proved(second.token);
    const chain = async (): Promise<ExchangeRefused> => { for (;;) { const next = await capabilities.exchange(parent, { tools: ['get_pet'] }, actor); if (next instanceof ExchangeRefused) return next; parent = await proved(next.token); } };
    expect(await chain()).toMatchObject({ error: 'invalid_grant', description: 'A chain has at most 8 exchanges.' });
    expect(parent.actors?.length).toBeLessThanOrEqual(8);
  });
  it('takes no actor of another tenant, and none that is confined itself', async () => {
    expect(await capabilities.exchange(person(), { tools: ['get_pet'] }, person({ tenant: tenantSlug('globex') }))).toMatchObject({ error: 'invalid_grant' });
    expect(await capabilities.exchange(person(), { tools: ['get_pet'] }, person({ allowedTools: new Set(['get_pet']) }))).toMatchObject({ error: 'invalid_request' });
  });
});

describe('keys', () => {
  it('are one for replicas with one secret, and rotate without a lost token', async () => {
    const { token } = await issued({});
    await proved(token, replica([SECRET]));
    const rotated = replica(['another secret of at least 32 bytes!', SECRET]);
    await proved(token, rotated);
    const next = await issued({}, person(), rotated);
    expect(decodeProtectedHeader(next.token).kid).not.toBe(decodeProtectedHeader(token).kid);
    expect(await capabilities.verify(next.token)).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await replica(['another secret of at least 32 bytes!']).verify(token)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
  it('under 32 bytes are refused, and without any each process has its own', async () => {
    expect(() => keyRing(['short'])).toThrow('openssl rand -hex 32');
    const { token } = await issued({}, person(), replica([]));
    expect(await replica([]).verify(token)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});

const forged = (header: object, key: Parameters<SignJWT['sign']>[0], claims: object = {}) => {
  const at = time / 1000;
  return new SignJWT({ iss: 'https://gw.test/v1/token', aud: 'https://gw.test/mcp', sub: 'ada', sub_iss: 'https://idp.test', client_id: 'agent', iat: at, exp: at + 60, jti: 'x', scope: [], roles: [], tools: ['get_pet'], ops: {}, act: { sub: 'a' }, from: [], ...claims })
    .setProtectedHeader({ alg: 'EdDSA', typ: 'stoa-capability+jwt', ...header }).sign(key);
};

describe('a forged token', () => {
  const ours = keyRing([SECRET]).signing;
  const theirs = generateKeyPairSync('ed25519').privateKey;
  it.each<{ name: string; token: () => Promise<string> }>([
    { name: 'of another key with our id', token: () => forged({ kid: ours.kid }, theirs) },
    { name: 'of an unknown key', token: () => forged({ kid: 'nobody' }, theirs) },
    { name: 'without a key id', token: () => forged({}, ours.privateKey) },
    { name: 'by HS256 over the public key', token: () => forged({ kid: ours.kid, alg: 'HS256' }, createHash('sha256').update(ours.publicKey.export({ format: 'der', type: 'spki' })).digest()) },
    { name: 'of another type', token: () => forged({ kid: ours.kid, typ: 'at+jwt' }, ours.privateKey) },
    { name: 'for another audience', token: () => forged({ kid: ours.kid }, ours.privateKey, { aud: 'https://other.test/mcp' }) },
    { name: 'of another issuer', token: () => forged({ kid: ours.kid }, ours.privateKey, { iss: 'https://idp.test' }) },
    { name: 'without an end', token: () => forged({ kid: ours.kid }, ours.privateKey, { exp: undefined }) },
    { name: 'without tools', token: () => forged({ kid: ours.kid }, ours.privateKey, { tools: [] }) },
    { name: 'of what is no tenant', token: () => forged({ kid: ours.kid }, ours.privateKey, { tenant: '../acme' }) },
    { name: 'with a changed payload', token: async () => (await forged({ kid: ours.kid }, ours.privateKey)).replace(/\.[^.]+\./, `.${Buffer.from('{"tools":["delete_pet"]}').toString('base64url')}.`) },
    { name: 'longer than 8,192 characters', token: async () => `${await forged({ kid: ours.kid }, ours.privateKey)}${'A'.repeat(8192)}` },
  ])('$name proves nobody', async ({ token }) => {
    expect(await capabilities.verify(await token())).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
  it('made like ours and signed by us is taken: what the cases above lack is what they are refused for', async () => {
    expect(await proved(await forged({ kid: ours.kid }, ours.privateKey))).toMatchObject({ subject: 'ada' });
  });
});

const refused = async (token: string): Promise<boolean> => await capabilities.verify(token) instanceof Denial;

describe('revocation and introspection', () => {
  const admin = person({ subject: 'root', roles: new Set(['cpi-admin']) });
  const tenantAdmin = (tenant: string) => person({ subject: 'boss', tenant: tenantSlug(tenant), roles: new Set(['tenant-admin']) });

  it.each<{ name: string; by: () => Principal; ends: boolean }>([
    { name: 'its own subject', by: () => person(), ends: true }, { name: 'the platform\'s administrator', by: () => admin, ends: true }, { name: 'the tenant\'s administrator', by: () => tenantAdmin('acme'), ends: true },
    { name: 'another subject', by: () => person({ subject: 'eve' }), ends: false }, { name: 'the same subject of another issuer', by: () => person({ issuer: 'https://other.test' }), ends: false },
    { name: 'another tenant\'s administrator', by: () => tenantAdmin('globex'), ends: false }, { name: 'a confined administrator', by: () => person({ subject: 'root', roles: new Set(['cpi-admin']), allowedTools: new Set(['x']) }), ends: false },
  ])('$name ends a token: $ends', async ({ by, ends }) => {
    const { token } = await issued({});
    await proved(token);
    await capabilities.revoke(token, by());
    expect(await refused(token)).toBe(ends);
  });
  it('ends what was derived from it, and not what it was derived from', async () => {
    const first = await issued({});
    const second = await issued({}, await proved(first.token));
    const third = await issued({}, await proved(second.token));
    await capabilities.revoke(second.token, person());
    expect([await refused(first.token), await refused(second.token), await refused(third.token)]).toEqual([false, true, true]);
  });
  it('a token ends itself, not its siblings', async () => {
    const [one, two] = [await issued({}), await issued({})];
    await capabilities.revoke(two.token, await proved(one.token));
    await capabilities.revoke(one.token, await proved(one.token));
    expect([await refused(one.token), await refused(two.token)]).toEqual([true, false]);
  });
  it('by id is for administrators of its tenant', async () => {
    const { token, id } = await issued({});
    await capabilities.revoke({ id, tenant: tenantSlug('acme') }, person());
    await capabilities.revoke({ id, tenant: tenantSlug('globex') }, tenantAdmin('globex'));
    expect(await refused(token)).toBe(false);
    await capabilities.revoke({ id, tenant: tenantSlug('acme') }, tenantAdmin('acme'));
    expect(await refused(token)).toBe(true);
  });
  it('tells administrators of its tenant what a good token says, and everybody else and of every other token that it is not active', async () => {
    const { token, id } = await issued({ oneTime: true });
    expect(await capabilities.introspect(token, tenantAdmin('acme'))).toMatchObject({ active: true, jti: id, sub: 'ada', tenant: 'acme', scope: 'stoa:read', tools: ['get_pet'], actors: ['agent'], one_time: true });
    for (const asker of [person(), tenantAdmin('globex')]) expect(await capabilities.introspect(token, asker)).toEqual({ active: false });
    for (const other of ['nonsense', `${token}x`, '']) expect(await capabilities.introspect(other, admin)).toEqual({ active: false });
    time += 3_600_000;
    expect(await capabilities.introspect(token, admin)).toEqual({ active: false });
  });
});

describe('marks in memory', () => {
  it('are never dropped for want of room: what has no room is refused', () => {
    const { replay } = memoryMarks(() => time, 2);
    const key = (id: string) => `acme:${id}` as Parameters<typeof replay.spend>[0];
    expect([replay.spend(key('a'), time + 10), replay.spend(key('b'), time + 20)]).toEqual([true, true]);
    expect(() => replay.spend(key('c'), time + 10)).toThrow(Unavailable);
    time += 10;
    expect([replay.spend(key('c'), time + 10), replay.spend(key('b'), time + 10)]).toEqual([true, false]);
  });
});
