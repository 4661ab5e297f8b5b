import { beforeEach, describe, expect, it } from 'vitest';
import type { ApiKeyDraft, ApiKeyRecord } from '#libs/core/api-key.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { newApiKeySecret } from './api-key-secret.js';
import { draftOf } from './api-key-store.contract.js';
import { ApiKeyVerifier, type ApiKeyVerifierOptions } from './api-key-verifier.js';
import { FakeApiKeyStore } from './fake-api-key-store.js';

const ACME = tenantSlug('acme') ?? expect.unreachable();
const START = Date.parse('2026-11-21T00:00:00Z');
const BAD = 'UNAUTHENTICATED: Invalid API key';

let store: FakeApiKeyStore;
let now: number;
let made: { readonly key: ApiKeyRecord; readonly secret: string };
const at = (ms: number): void => { now = START + ms; };
const verifierOf = (more: Partial<ApiKeyVerifierOptions> = {}): ApiKeyVerifier => new ApiKeyVerifier({ directory: store, grantedScopes: (scopes, roles) => new Set([...scopes, ...roles.map((role) => `of:${role}`)]), clock: () => now, ...more });
const create = async (more: Partial<ApiKeyDraft> = {}): Promise<typeof made> => { const { secret, ...draft } = draftOf({ expiresAt: new Date(START + 3_600_000), ...more }); return { key: await store.create(ACME, draft), secret }; };
const says = async (verifier: ApiKeyVerifier, secret: string): Promise<string> => { const answer = await verifier.verify(secret); return answer instanceof Denial ? `${answer.code}: ${answer.message}` : answer.subject; };
beforeEach(async () => {
  at(0);
  store = new FakeApiKeyStore(() => new Date(now));
  store.tenants.add(ACME);
  made = await create();
});

describe('an API key', () => {
  it('stands for its owner, with its own roles, scopes, tools and end', async () => {
    const { key, secret } = await create({ roles: ['viewer'], scopes: ['custom:thing'], tools: ['a', 'b'] });
    expect(await verifierOf().verify(secret)).toEqual({
      tenant: 'acme', issuer: 'https://issuer.test', subject: 'ada', clientId: 'api-key', credentialId: key.id, credential: 'api-key', roles: new Set(['viewer']), scopes: new Set(['custom:thing', 'of:viewer']),
      allowedTools: new Set(['a', 'b']), expiresAt: START / 1000 + 3600,
    });
    expect(await verifierOf().verify((await create({ tools: undefined })).secret)).not.toHaveProperty('allowedTools');
  });
  it.each([
    { name: 'one that never was', change: () => newApiKeySecret().secret },
    { name: 'another end', change: (secret: string) => `${secret.slice(0, -1)}${secret.endsWith('A') ? 'E' : 'A'}` },
    { name: 'the same beginning only', change: (secret: string) => secret.slice(0, 12).padEnd(51, 'x') },
    { name: 'one character less', change: (secret: string) => secret.slice(0, -1) },
    { name: 'one character more', change: (secret: string) => `${secret}A` },
    { name: 'SQL', change: () => "stoa_sk_' OR 1=1 --" },
    { name: 'its prefix alone', change: (secret: string) => secret.slice(0, 12) },
  ])('is not opened by $name, right after the right one', async ({ change }) => {
    const verifier = verifierOf();
    expect(await says(verifier, made.secret)).toBe('ada');
    expect(await says(verifier, change(made.secret))).toBe(BAD);
  });
  it('ends at its end, also when it is remembered', async () => {
    const verifier = verifierOf();
    at(3_599_000);
    expect(await says(verifier, made.secret)).toBe('ada');
    at(3_600_000);
    expect(await says(verifier, made.secret)).toBe(BAD);
  });
  it('works by both secrets while the grace after a rotation lasts, then by the new one alone', async () => {
    const verifier = verifierOf();
    const next = newApiKeySecret();
    await says(verifier, made.secret);
    await store.rotate(ACME, made.key.id, next, new Date(START + 60_000));
    at(59_000);
    expect([await says(verifier, made.secret), await says(verifier, next.secret)]).toEqual(['ada', 'ada']);
    at(60_000);
    expect([await says(verifier, made.secret), await says(verifier, next.secret)]).toEqual([BAD, 'ada']);
  });
});

describe('revocation', () => {
  it('holds at once where it is heard of', async () => {
    const verifier = verifierOf();
    await store.watch((id) => { verifier.forget(id); });
    await says(verifier, made.secret);
    await store.revoke(ACME, made.key.id);
    expect(await says(verifier, made.secret)).toBe(BAD);
  });
  it('holds after 1.5 s where nobody was heard, in use or not', async () => {
    const verifier = verifierOf();
    await says(verifier, made.secret);
    await store.revoke(ACME, made.key.id);
    at(1499);
    expect(await says(verifier, made.secret)).toBe('ada');
    at(1500);
    expect(await says(verifier, made.secret)).toBe(BAD);
  });
  it('is found by the look at the keys in use, which is one question for all of them', async () => {
    const verifier = verifierOf();
    const secrets = await Promise.all(Array.from({ length: 20 }, async () => (await create()).secret));
    await Promise.all(secrets.map((secret) => says(verifier, secret)));
    await says(verifier, made.secret);
    await store.revoke(ACME, made.key.id);
    const before = store.asked;
    at(700);
    await verifier.refresh();
    expect(await says(verifier, made.secret)).toBe(BAD);
    // The first key asks at once, the others wait for it and share the next question; the refused one asked on its own.
    expect(store.asked - before).toBeLessThanOrEqual(3);
  });
  it('is not undone by an answer that was under way when it was heard of', async () => {
    const answers = Promise.withResolvers<undefined>();
    const verifier = verifierOf({ directory: { watch: (heard) => store.watch(heard), find: async (digests) => { const found = await store.find(digests); await answers.promise; return found; } } });
    const early = says(verifier, made.secret);
    await store.revoke(ACME, made.key.id);
    verifier.forget(made.key.id);
    answers.resolve(undefined);
    await early;
    expect(await says(verifier, made.secret)).toBe(BAD);
  });
  it('cannot be put off by a longer belief', () => { expect(() => verifierOf({ believedMs: 1501 })).toThrow('believedMs'); });
});

describe('the store', () => {
  it('is not asked about a key that was just looked up, nor in the background about one that nobody uses', async () => {
    const verifier = verifierOf();
    await says(verifier, made.secret);
    const before = store.asked;
    at(1000);
    for (let n = 0; n < 100; n += 1) expect(verifier.verify(made.secret)).not.toBeInstanceOf(Promise);
    expect(store.asked).toBe(before);
    await verifier.refresh(); await verifier.refresh(); await verifier.refresh();
    expect(store.asked).toBe(before + 1);
  });
  it('is asked one question at a time, however many unknown keys come', async () => {
    let running = 0, most = 0;
    const verifier = verifierOf({ directory: { watch: (heard) => store.watch(heard), find: async (digests) => { running += 1; most = Math.max(most, running); await new Promise(setImmediate); running -= 1; return store.find(digests); } } });
    const answers = await Promise.all(Array.from({ length: 1200 }, () => says(verifier, newApiKeySecret().secret)));
    expect([most, store.asked, new Set(answers)]).toEqual([1, 4, new Set([BAD])]);
  });
  it('may be away for 60 s: keys that were good are believed, others are neither taken nor called wrong', async () => {
    const troubles: unknown[] = [];
    const verifier = verifierOf({ onTrouble: (failure) => troubles.push(failure) });
    await says(verifier, made.secret);
    store.trouble = new Error('connection refused');
    at(2000);
    expect(await says(verifier, made.secret)).toBe('ada');
    expect(verifier.verify(made.secret)).not.toBeInstanceOf(Promise);
    await expect(verifier.verify(newApiKeySecret().secret)).rejects.toBeInstanceOf(Unavailable);
    at(59_999);
    expect(await says(verifier, made.secret)).toBe('ada');
    at(60_000);
    await expect(verifier.verify(made.secret)).rejects.toBeInstanceOf(Unavailable);
    expect(troubles.length).toBeGreaterThan(0);
    store.trouble = undefined;
    expect(await says(verifier, made.secret)).toBe('ada');
  });
  it('that is away proves nobody past 1.5 s where the operator wants it so', async () => {
    const verifier = verifierOf({ staleMs: 0 });
    await says(verifier, made.secret);
    store.trouble = new Error('connection refused');
    at(1500);
    await expect(verifier.verify(made.secret)).rejects.toBeInstanceOf(Unavailable);
  });
  it('keeps giving the same principal for the same key, so that what is kept for a principal is of use', async () => {
    const verifier = verifierOf();
    const first = await verifier.verify(made.secret) as Principal;
    at(1600);
    expect(await verifier.verify(made.secret)).toBe(first);
  });
});
