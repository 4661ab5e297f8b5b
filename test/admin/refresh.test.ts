import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Refresher } from '#apps/controller/src/apis/refresher.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import { ACME, document, harness, type Harness } from './harness.js';
import { MemoryStore } from './memory-store.js';

const ADMIN = 'tenant-admin@acme';
const URL = 'https://docs.test/pets';
const page = (operations: Record<string, string>): { body: string } => ({ body: JSON.stringify(document(operations)) });

describe('refreshing a document from its URL', () => {
  let now: Date;
  let on: Harness;
  let store: MemoryStore;
  let refresher: Refresher;
  let beat: (() => void) | undefined;
  beforeEach(async () => {
    now = new Date('2026-01-01T00:00:00Z');
    store = new MemoryStore(() => now);
    on = await harness({ store, now: () => now, refreshPollMs: 1000, every: (_ms, callback) => { beat = callback; return () => { beat = undefined; }; } });
    refresher = on.app.get(Refresher);
    on.web.pages.set(URL, page({ a: 'A', b: 'B' }));
    await on.ask('cpi-admin', 'POST /tenants', { slug: 'acme' });
    await on.ask(ADMIN, 'POST /tenants/acme/apis', { name: 'pets', source: { url: URL }, refreshInterval: '30s' });
  });
  afterEach(() => on.app.close());
  const pass = async (seconds: number): Promise<void> => { now = new Date(now.getTime() + seconds * 1000); await refresher.tick(); };
  const names = async (): Promise<string[]> => (await store.listTools(ACME)).map(({ name }) => name).toSorted();
  const revision = async (): Promise<number | undefined> => (await store.getTenant(ACME))?.revision;

  it('publishes a changed document within the interval', async () => {
    on.web.pages.set(URL, page({ a: 'A', c: 'C' }));
    await pass(29);
    expect(await names()).toEqual(['a', 'b']);
    await pass(1);
    expect(await names()).toEqual(['a', 'c']);
    expect(await revision()).toBe(2);
  });

  it('makes no new revision of a document whose bytes are the same, and asks again an interval later', async () => {
    await pass(30);
    await pass(29);
    expect([await revision(), on.web.asked]).toEqual([1, 2]);
    await pass(1);
    expect(on.web.asked).toBe(3);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json()).toMatchObject({ refreshedAt: now.toISOString(), lastError: null, refreshInterval: '30s' });
  });

  it.each([
    { name: 'an address that does not answer', page: new OutboundFailure('unreachable', 'nobody answers'), says: 'nobody answers' },
    { name: 'an error page', page: { status: 500, body: 'oops' }, says: '500' },
    { name: 'a document that cannot be read', page: { body: '{' }, says: 'not JSON' },
  ])('keeps the catalogue and says why after $name, and mends itself', async ({ page: wrong, says }) => {
    on.web.pages.set(URL, wrong);
    await pass(30);
    expect([await names(), await revision()]).toEqual([['a', 'b'], 1]);
    const { lastError } = (await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json<{ lastError: string }>();
    expect(lastError).toContain(says);
    on.web.pages.set(URL, page({ z: 'Z' }));
    await pass(30);
    expect(await names()).toEqual(['z']);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json()).toMatchObject({ lastError: null });
  });

  it('keeps the catalogue when the store breaks while publishing, and tells no secret of it', async () => {
    on.web.pages.set(URL, page({ z: 'Z' }));
    store.breaks = new Error('connection string postgres://hunter2');
    await pass(30);
    expect(await names()).toEqual(['a', 'b']);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json()).toMatchObject({ lastError: 'the refresh failed' });
  });

  it('survives a store that cannot tell what is due', async () => {
    store.dueForRefresh = () => Promise.reject(new Error('away'));
    await expect(pass(30)).resolves.toBeUndefined();
  });

  it('can be asked for at once, by those who import', async () => {
    const same = await on.ask('devops@acme', 'POST /tenants/acme/apis/pets/refresh');
    expect([same.statusCode, same.json()]).toEqual([200, expect.objectContaining({ changed: false, revision: 1, tools: [expect.anything(), expect.anything()] })]);
    on.web.pages.set(URL, page({ a: 'Other' }));
    expect((await on.ask('devops@acme', 'POST /tenants/acme/apis/pets/refresh')).json()).toMatchObject({ changed: true, revision: 2, diff: { changed: ['a'], removed: ['b'] } });
    on.web.pages.set(URL, new OutboundFailure('timeout', 'too slow'));
    expect((await on.ask('devops@acme', 'POST /tenants/acme/apis/pets/refresh')).statusCode).toBe(502);
  });

  it('is refused for an API without a URL', async () => {
    await on.ask(ADMIN, 'POST /tenants/acme/apis', { name: 'inline', source: { inline: document({ q: 'Q' }) } });
    expect((await on.ask(ADMIN, 'POST /tenants/acme/apis/inline/refresh')).statusCode).toBe(409);
  });

  it.each([
    { name: 'a document of its own', source: { inline: document({ mine: 'Mine' }) } },
    { name: 'another address', source: { url: 'https://docs.test/mine' } },
  ])('leaves an API alone that was imported from $name while its old address was being asked', async ({ source }) => {
    on.web.pages.set('https://docs.test/mine', page({ mine: 'Mine' }));
    const ask = on.web.request.bind(on.web);
    on.web.request = async (request) => {
      on.web.request = ask;
      await on.ask(ADMIN, 'POST /tenants/acme/apis', { name: 'pets', source });
      return ask(request);
    };
    await pass(30);
    expect(await names()).toEqual(['mine']);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json()).toMatchObject({ lastError: null });
  });

  it('stops with the process: no beat is left, and nothing is asked any more', async () => {
    expect(beat).toBeTypeOf('function');
    await on.app.close();
    const { asked } = on.web;
    await pass(60);
    expect([beat, on.web.asked]).toEqual([undefined, asked]);
  });
});
