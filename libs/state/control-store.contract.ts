import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogueSource, SnapshotDocument } from '#libs/core/catalogue.js';
import { AlreadyExists, NoSuchRecord } from '#libs/core/control-store.js';
import type { ApiDraft, ControlStore } from '#libs/core/control-store.js';
import { tenantSlug } from '#libs/core/tenant.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { draftOf, petTool } from './pet-draft.contract.js';

export interface StoreUnderTest { readonly store: ControlStore; readonly source: CatalogueSource; close(): Promise<void> }

export const slug = (text: string): TenantSlug => {
  const checked = tenantSlug(text);
  if (checked === undefined) throw new Error(`not a tenant: ${text}`);
  return checked;
};

/** What every control store and its catalogue source must do; each test has tenants of its own. */
export function controlStoreContract(engine: string, open: () => Promise<StoreUnderTest>): void {
  describe(`control store contract: ${engine}`, () => {
    let subject: StoreUnderTest;
    let store: ControlStore;
    let source: CatalogueSource;
    let made = 0;
    beforeAll(async () => {
      subject = await open();
      ({ store, source } = subject);
    });
    afterAll(() => subject.close());

    const tenant = async (): Promise<TenantSlug> => (await store.createTenant({ slug: slug(`t${(made += 1)}`), displayName: 'Tenant', description: '' })).slug;
    const load = async (of: TenantSlug): Promise<SnapshotDocument> => {
      const document = await source.load(of);
      if (!document) throw new Error(`no tenant ${of}`);
      return document;
    };
    const targetNames = async (of: TenantSlug, kind: string) => (await load(of)).targets.filter((target) => target.kind === kind).map((target) => target.name);
    const target = async (of: TenantSlug, wanted: string) => (await load(of)).targets.find((candidate) => candidate.name === wanted);

    describe('tenants', () => {
      it('creates a tenant enabled, with a revision, and lists tenants by slug', async () => {
        const [b, a] = [slug('order-b'), slug('order-a')];
        const record = await store.createTenant({ slug: b, displayName: 'B', description: 'second' });
        await store.createTenant({ slug: a, displayName: 'A', description: '' });
        expect(record).toMatchObject({ slug: b, displayName: 'B', description: 'second', enabled: true, revision: expect.any(Number), createdAt: expect.any(Date), updatedAt: expect.any(Date) });
        expect(Math.abs(record.createdAt.getTime() - Date.now())).toBeLessThan(60_000);
        expect(await store.getTenant(b)).toEqual(record);
        const listed = (await store.listTenants()).map((each) => each.slug);
        expect(listed).toEqual(listed.toSorted());
        expect(listed).toEqual(expect.arrayContaining([a, b]));
      });

      it('refuses a slug that is taken', async () => {
        const taken = await tenant();
        await expect(store.createTenant({ slug: taken, displayName: 'x', description: '' })).rejects.toBeInstanceOf(AlreadyExists);
      });

      it('changes only the fields that an edit names, and raises the revision', async () => {
        const of = await tenant();
        const before = await store.getTenant(of);
        const after = await store.updateTenant(of, { displayName: 'Renamed' });
        expect(after).toMatchObject({ displayName: 'Renamed', description: '', enabled: true });
        expect(after.revision).toBeGreaterThan(before?.revision ?? Infinity);
        expect(await store.getTenant(of)).toMatchObject({ displayName: 'Renamed', revision: after.revision });
      });

      it('gives a disabled tenant an empty catalogue, and the same one back when it is enabled', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('listPets')] }));
        const enabled = await load(of);
        await store.updateTenant(of, { enabled: false });
        expect(await load(of)).toMatchObject({ enabled: false, apis: [], targets: [] });
        await store.updateTenant(of, { enabled: true });
        expect((await load(of)).hash).toBe(enabled.hash);
      });

      it('deletes a tenant with everything that it has, and a new one of the same name starts empty at a higher revision', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('listPets')] }));
        const { revision } = await store.putPrompt(of, { name: 'p', description: '', arguments: [], messages: [], tags: [] });
        await store.deleteTenant(of);
        expect(await store.getTenant(of)).toBeUndefined();
        expect(await source.load(of)).toBeUndefined();
        expect((await source.revisions()).has(of)).toBe(false);
        const again = await store.createTenant({ slug: of, displayName: 'again', description: '' });
        expect(again.revision).toBeGreaterThan(revision);
        expect(await load(of)).toMatchObject({ apis: [], targets: [] });
      });

      it.each<[string, (of: TenantSlug) => Promise<unknown>]>([
        ['updateTenant', (of) => store.updateTenant(of, { enabled: false })],
        ['deleteTenant', (of) => store.deleteTenant(of)],
        ['listApis', (of) => store.listApis(of)],
        ['getApi', (of) => store.getApi(of, 'pets')],
        ['putApi', (of) => store.putApi(of, draftOf({}))],
        ['deleteApi', (of) => store.deleteApi(of, 'pets')],
        ['getDocument', (of) => store.getDocument(of, 'pets')],
        ['getLedger', (of) => store.getLedger(of, 'pets')],
        ['getDefinitions', (of) => store.getDefinitions(of, 'pets')],
        ['setCredential', (of) => store.setCredential(of, 'pets', 'key', undefined)],
        ['markRefreshed', (of) => store.markRefreshed(of, 'pets', { at: new Date(), error: undefined })],
        ['listTools', (of) => store.listTools(of)],
        ['getTool', (of) => store.getTool(of, 'x')],
        ['editTool', (of) => store.editTool(of, 'x', { enabled: false })],
        ['listPrompts', (of) => store.listPrompts(of)],
        ['putPrompt', (of) => store.putPrompt(of, { name: 'p', description: '', arguments: [], messages: [], tags: [] })],
        ['deletePrompt', (of) => store.deletePrompt(of, 'p')],
        ['listResources', (of) => store.listResources(of)],
        ['putResource', (of) => store.putResource(of, { uri: 'x:y', name: '', description: '', mimeType: 'text/plain', tags: [], content: { text: '' } })],
        ['deleteResource', (of) => store.deleteResource(of, 'x:y')],
      ])('%s of a tenant that does not exist says so', async (_name, work) => {
        await expect(work(slug('nobody'))).rejects.toThrow('Tenant nobody does not exist');
        await expect(work(slug('nobody'))).rejects.toBeInstanceOf(NoSuchRecord);
      });
    });

    describe('APIs', () => {
      it('keeps what was imported: record, document bytes and one ledger entry for each operation', async () => {
        const of = await tenant();
        const bytes = new Uint8Array([0, 255, 1, 128, 10]);
        const ledger = [
          { method: 'GET', path: '/pets', operationId: 'listPets', tool: 'listPets', verdict: 'exact', reasons: [], notes: [] },
          { method: 'POST', path: '/pets', operationId: undefined, tool: 'post_pets', verdict: 'exact', reasons: [], notes: [{ code: 'renamed', message: 'm', pointer: '/a' }] },
          { method: 'PUT', path: '/pets', operationId: 'x', tool: 'x', verdict: 'degraded', reasons: [{ code: 'c', message: 'm', pointer: '/p~1' }], notes: [] },
          { method: 'TRACE', path: '/pets', operationId: undefined, tool: undefined, verdict: 'refused', reasons: [{ code: 'c', message: 'm', pointer: '' }], notes: [] },
        ] as const;
        const draft = draftOf({ source: { url: 'https://example.com/pets.yaml' }, bytes, mediaType: 'application/yaml', ledger, baseUrl: 'https://pets.example', refreshSeconds: 30, category: 'animals', tags: ['a', 'b'], status: 'deprecated', conversion: { naming: { prefix: 'p' }, takenNames: ['other'] }, tools: [petTool('listPets')] });
        const { api, created, revision, diff } = await store.putApi(of, draft);
        expect({ created, diff }).toEqual({ created: true, diff: { added: ['listPets'], changed: [], removed: [] } });
        expect(revision).toBe((await store.getTenant(of))?.revision);
        expect(api).toMatchObject({
          name: 'pets', version: '1.2.3', title: 'Pets', status: 'deprecated', category: 'animals', tags: ['a', 'b'], source: { url: 'https://example.com/pets.yaml' },
          specHash: draft.document.specHash, format: 'openapi-3.1', baseUrl: 'https://pets.example', conversion: { naming: { prefix: 'p' } }, credentials: {}, refreshSeconds: 30,
          lastError: undefined, toolCount: 1, counts: { operations: 4, exact: 2, degraded: 1, refused: 1 },
        });
        expect(api.conversion).not.toHaveProperty('takenNames');
        expect(await store.getApi(of, 'pets')).toEqual(api);
        expect(await store.listApis(of)).toEqual([api]);
        expect(await store.getDocument(of, 'pets').then((document) => document && { ...document, bytes: [...document.bytes] })).toEqual({ bytes: [...bytes], mediaType: 'application/yaml' });
        expect(await store.getLedger(of, 'pets')).toEqual(ledger);
      });

      it('knows nothing of an API that was never imported', async () => {
        const of = await tenant();
        expect(await store.getApi(of, 'x')).toBeUndefined();
        expect(await store.getDocument(of, 'x')).toBeUndefined();
        for (const work of [() => store.getLedger(of, 'x'), () => store.getDefinitions(of, 'x'), () => store.deleteApi(of, 'x'), () => store.setCredential(of, 'x', 's', undefined), () => store.markRefreshed(of, 'x', { at: new Date(), error: undefined })]) await expect(work()).rejects.toBeInstanceOf(NoSuchRecord);
      });

      it('tells what a new import added, changed and removed, and keeps the identity of the API', async () => {
        const of = await tenant();
        const first = await store.putApi(of, draftOf({ tools: [petTool('same'), petTool('other'), petTool('gone')] }));
        const second = await store.putApi(of, draftOf({ tools: [petTool('new'), petTool('same'), petTool('other', { description: 'changed' })] }));
        expect(second).toMatchObject({ created: false, diff: { added: ['new'], changed: ['other'], removed: ['gone'] }, api: { id: first.api.id, toolCount: 3, createdAt: first.api.createdAt } });
        expect(second.revision).toBeGreaterThan(first.revision);
        expect(await targetNames(of, 'tool')).toEqual(['new', 'other', 'same']);
        expect((await target(of, 'other'))?.description).toBe('changed');
      });

      it('refuses a tool name that another API of the tenant has, and publishes nothing of that import', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ name: 'first', tools: [petTool('taken')] }));
        const before = await load(of);
        await expect(store.putApi(of, draftOf({ name: 'second', tools: [petTool('free'), petTool('taken')] }))).rejects.toThrow(new AlreadyExists('Tool', 'taken'));
        expect(await load(of)).toEqual(before);
        expect(await store.listApis(of)).toHaveLength(1);
      });

      it('refuses a document with two tools of one name', async () => {
        const of = await tenant();
        await expect(store.putApi(of, draftOf({ tools: [petTool('twin'), petTool('twin')] }))).rejects.toBeInstanceOf(AlreadyExists);
      });

      it('lets another API take the name of a tool that was removed', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ name: 'first', tools: [petTool('a'), petTool('moves')] }));
        await store.putApi(of, draftOf({ name: 'first', tools: [petTool('a')] }));
        await store.putApi(of, draftOf({ name: 'second', tools: [petTool('moves')] }));
        expect((await store.getTool(of, 'moves'))?.apiName).toBe('second');
      });

      it('deletes an API with its tools and its document', async () => {
        const of = await tenant();
        const { revision } = await store.putApi(of, draftOf({ tools: [petTool('a')] }));
        expect((await store.deleteApi(of, 'pets')).revision).toBeGreaterThan(revision);
        expect(await load(of)).toMatchObject({ apis: [], targets: [] });
        expect(await store.listTools(of)).toEqual([]);
        expect(await store.listResources(of)).toEqual([]);
      });

      it('keeps texts that a plain database column would refuse: U+0000, lone surrogates, __proto__ as a name', async () => {
        const of = await tenant();
        const inputSchema = JSON.parse(String.raw`{"type":"object","properties":{"__proto__":{"default":"\u0000","description":"\ud800"}}}`) as object;
        const definitions = JSON.parse(String.raw`{"__proto__":{"const":"\u0000"},"b":true,"a":{}}`) as Record<string, boolean>;
        await store.putApi(of, draftOf({ tools: [petTool('odd', { inputSchema: inputSchema as Record<string, unknown>, description: '\0 \ud800' })], definitions }));
        expect(await target(of, 'odd')).toMatchObject({ inputSchema, description: '\0 \ud800' });
        const [api] = (await load(of)).apis;
        expect(Object.keys(api?.definitions ?? {})).toEqual(Object.keys(definitions));
        expect(Object.entries(await store.getDefinitions(of, 'pets'))).toEqual(Object.entries(definitions));
      });

      it('fills and empties credential slots by reference, over later imports', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ slots: { key: { type: 'bearer' } } }));
        await store.setCredential(of, 'pets', 'key', { from: 'environment', name: 'PETS' });
        expect((await load(of)).apis[0]?.credentials).toEqual({ key: { from: 'environment', name: 'PETS' } });
        expect((await store.putApi(of, draftOf({ slots: {} }))).api.credentials).toEqual({});
        expect((await store.putApi(of, draftOf({ slots: { key: { type: 'bearer' } } }))).api.credentials).toEqual({ key: { from: 'environment', name: 'PETS' } });
        await store.setCredential(of, 'pets', 'key', undefined);
        expect((await store.getApi(of, 'pets'))?.credentials).toEqual({});
        // A reference is kept whole, and slots that every API has outlive every document.
        const token = { from: 'client-credentials', tokenUrl: 'https://id.test/token', clientId: 'stoa', secret: { from: 'file', name: 's' }, scope: 'a b' } as const;
        await store.setCredential(of, 'pets', 'key', token);
        await store.setCredential(of, 'pets', 'gateway', { from: 'file', name: 'trust' });
        expect((await load(of)).apis[0]?.credentials).toEqual({ key: token, gateway: { from: 'file', name: 'trust' } });
        expect((await store.putApi(of, draftOf({ slots: {} }))).api.credentials).toEqual({ gateway: { from: 'file', name: 'trust' } });
        await store.putApi(of, draftOf({ slots: { key: { type: 'bearer' } } }));
        for (const slot of ['key', 'gateway']) await store.setCredential(of, 'pets', slot, undefined);
        await expect(store.setCredential(of, 'pets', 'other', { from: 'file', name: 'x' })).rejects.toBeInstanceOf(NoSuchRecord);
      });

      it('finds APIs whose refresh is due, of every tenant, and marks them without a new revision', async () => {
        const [one, two] = [await tenant(), await tenant()];
        const refreshed = { source: { url: 'https://example.com/a' }, refreshSeconds: 60 };
        await store.putApi(one, draftOf({ ...refreshed }));
        await store.putApi(two, draftOf({ ...refreshed }));
        await store.putApi(two, draftOf({ name: 'inline', refreshSeconds: 60 }));
        await store.putApi(two, draftOf({ name: 'never', source: refreshed.source }));
        const due = async (at: Date) => (await store.dueForRefresh(at)).filter((each) => [one, two].includes(each.tenant)).map((each) => [each.tenant, each.api.name]);
        const now = Date.now();
        expect(await due(new Date(now))).toEqual([]);
        expect(await due(new Date(now + 61_000))).toEqual([[one, 'pets'], [two, 'pets']]);
        const { revision } = await load(one);
        await store.markRefreshed(one, 'pets', { at: new Date(now + 61_000), error: 'host did not answer' });
        expect(await due(new Date(now + 62_000))).toEqual([[two, 'pets']]);
        expect(await store.getApi(one, 'pets')).toMatchObject({ lastError: 'host did not answer', refreshedAt: new Date(now + 61_000) });
        expect((await load(one)).revision).toBe(revision);
        await store.markRefreshed(one, 'pets', { at: new Date(now + 63_000), error: undefined });
        expect((await store.getApi(one, 'pets'))?.lastError).toBeUndefined();
      });
    });

    describe('tools', () => {
      it('lists tools by name and finds one, as the document says', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('b'), petTool('a')] }));
        const tools = await store.listTools(of);
        expect(tools.map((tool) => tool.name)).toEqual(['a', 'b']);
        expect(tools[0]).toMatchObject({ apiName: 'pets', description: 'says a', tags: ['pets'], enabled: true, edited: false, timeoutMs: 30_000, operationClass: 'read', hash: petTool('a').hash, backend: petTool('a').backend });
        expect(await store.getTool(of, 'a')).toEqual(tools[0]);
        expect(await store.getTool(of, 'c')).toBeUndefined();
        await expect(store.editTool(of, 'c', {})).rejects.toBeInstanceOf(NoSuchRecord);
      });

      it('takes the time limit of the API where the operator set none for the tool', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a'), petTool('b')], conversion: { toolDefaults: { timeoutMs: 700 } } }));
        await store.editTool(of, 'b', { timeoutMs: 900 });
        expect([(await target(of, 'a'))?.timeoutMs, (await target(of, 'b'))?.timeoutMs]).toEqual([700, 900]);
      });

      it('shows an edit everywhere: record, target, hash and the listed object', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a')] }));
        const { tool, revision } = await store.editTool(of, 'a', { description: 'better words', tags: ['x'], timeoutMs: 5 });
        expect(tool).toMatchObject({ description: 'better words', tags: ['x'], timeoutMs: 5, edited: true, enabled: true });
        expect(await store.getTool(of, 'a')).toEqual(tool);
        const edited = await target(of, 'a');
        expect(edited).toMatchObject({ description: 'better words', tags: ['x'], timeoutMs: 5, hash: tool.hash });
        expect(edited?.hash).not.toBe(petTool('a').hash);
        expect(JSON.parse(edited?.listed ?? '')).toEqual({ ...JSON.parse(petTool('a').listed) as object, description: 'better words' });
        expect(Object.keys(JSON.parse(edited?.listed ?? '') as object).slice(0, 2)).toEqual(['name', 'description']);
        expect(revision).toBe((await load(of)).revision);
      });

      it('returns a field set to null to what the document says', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a')] }));
        const before = await load(of);
        await store.editTool(of, 'a', { description: 'x', tags: [], timeoutMs: 7, enabled: false });
        expect((await store.getTool(of, 'a'))?.tags).toEqual([]);
        const { tool } = await store.editTool(of, 'a', { description: null, tags: null, timeoutMs: null, enabled: true });
        expect(tool.edited).toBe(false);
        expect((await load(of)).hash).toBe(before.hash);
      });

      it('a tool has its API\'s rate until it has one of its own, and again when that is given up', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a'), petTool('b')], conversion: { toolDefaults: { rateLimit: { perMinute: 60, burst: 10 } } } }));
        const { tool } = await store.editTool(of, 'b', { rateLimit: { perMinute: 5, burst: 5 } });
        expect([tool.rateLimit, tool.edited, (await target(of, 'a'))?.rateLimit, (await target(of, 'b'))?.rateLimit]).toEqual([{ perMinute: 5, burst: 5 }, true, { perMinute: 60, burst: 10 }, { perMinute: 5, burst: 5 }]);
        expect((await store.editTool(of, 'b', { rateLimit: null })).tool).toMatchObject({ rateLimit: { perMinute: 60, burst: 10 }, edited: false });
      });

      it('a tenant\'s quotas are in its catalogue, replaced whole, and gone with null', async () => {
        const of = await tenant();
        const before = await load(of);
        expect((await store.updateTenant(of, { quotas: { perDay: 100, streams: 3 } })).quotas).toEqual({ perDay: 100, streams: 3 });
        const limited = await load(of);
        expect([limited.quotas, limited.hash === before.hash]).toEqual([{ perDay: 100, streams: 3 }, false]);
        await store.updateTenant(of, { quotas: { perSecond: 5 } });
        expect((await store.getTenant(of))?.quotas).toEqual({ perSecond: 5 });
        await store.updateTenant(of, { quotas: null });
        const after = await load(of);
        expect([after.quotas, after.hash]).toEqual([undefined, before.hash]);
      });

      it('leaves a disabled tool out of the catalogue and keeps it in the list', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a'), petTool('b')] }));
        await store.editTool(of, 'a', { enabled: false });
        expect(await targetNames(of, 'tool')).toEqual(['b']);
        expect((await store.listTools(of)).map((tool) => [tool.name, tool.enabled])).toEqual([['a', false], ['b', true]]);
      });

      it('keeps edits over a new import, and over a time in which the document did not have the tool', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a'), petTool('b')] }));
        await store.editTool(of, 'a', { description: 'mine', enabled: false });
        await store.putApi(of, draftOf({ tools: [petTool('a', { description: 'theirs' }), petTool('b')] }));
        expect(await store.getTool(of, 'a')).toMatchObject({ description: 'mine', enabled: false });
        await store.putApi(of, draftOf({ tools: [petTool('b')] }));
        expect(await store.getTool(of, 'a')).toBeUndefined();
        expect((await store.putApi(of, draftOf({ tools: [petTool('a'), petTool('b')] }))).diff).toEqual({ added: ['a'], changed: [], removed: [] });
        expect(await store.getTool(of, 'a')).toMatchObject({ description: 'mine', enabled: false });
        expect((await store.editTool(of, 'a', { description: null })).tool.description).toBe('says a');
      });
    });

    describe('prompts and resources', () => {
      const prompt = { name: 'greet', title: 'Greeting', description: 'says hello', tags: ['t'], messages: [{ role: 'user', text: 'Hello {{who}}' }], arguments: [{ name: 'who', description: 'whom', required: true, values: ['ann', 'bob'] }, { name: 'how', required: false }] } as const;

      it('creates, replaces and deletes a prompt', async () => {
        const of = await tenant();
        expect(await store.putPrompt(of, prompt)).toMatchObject({ created: true });
        expect(await store.listPrompts(of)).toEqual([prompt]);
        expect(await store.putPrompt(of, { ...prompt, description: 'other' })).toMatchObject({ created: false });
        expect(await store.listPrompts(of)).toEqual([{ ...prompt, description: 'other' }]);
        await store.deletePrompt(of, 'greet');
        expect(await store.listPrompts(of)).toEqual([]);
        await expect(store.deletePrompt(of, 'greet')).rejects.toBeInstanceOf(NoSuchRecord);
      });

      it('publishes a prompt with its arguments as schema and as MCP lists them', async () => {
        const of = await tenant();
        await store.putPrompt(of, prompt);
        const published = await target(of, 'greet');
        expect(published).toMatchObject({
          kind: 'prompt', title: 'Greeting', description: 'says hello', operationClass: 'read', tags: ['t'], backend: { kind: 'prompt', messages: prompt.messages },
          inputSchema: { type: 'object', properties: { who: { type: 'string', description: 'whom', examples: ['ann', 'bob'] }, how: { type: 'string' } }, required: ['who'], additionalProperties: false },
        });
        expect(JSON.parse(published?.listed ?? '')).toEqual({ name: 'greet', title: 'Greeting', description: 'says hello', arguments: [{ name: 'who', description: 'whom', required: true }, { name: 'how', required: false }] });
      });

      it('creates, replaces and deletes a resource', async () => {
        const of = await tenant();
        const resource = { uri: 'note://a', name: 'A', description: 'd', mimeType: 'text/plain', tags: ['t'], content: { text: 'hé' } };
        expect(await store.putResource(of, resource)).toMatchObject({ created: true });
        expect(await store.putResource(of, { ...resource, content: { url: 'https://example.com/a' } })).toMatchObject({ created: false });
        expect(await store.listResources(of)).toEqual([{ ...resource, content: { url: 'https://example.com/a' } }]);
        await store.deleteResource(of, 'note://a');
        expect(await store.listResources(of)).toEqual([]);
        await expect(store.deleteResource(of, 'note://a')).rejects.toBeInstanceOf(NoSuchRecord);
      });

      it.each([
        { name: 'text', uri: 'note://a', content: { text: 'hé' }, backend: { kind: 'inline', mimeType: 'text/plain', text: 'hé' }, listed: { uri: 'note://a', size: 3 } },
        { name: 'base64', uri: 'note://a', content: { blob: 'AAEC' }, backend: { kind: 'inline', mimeType: 'text/plain', blob: 'AAEC' }, listed: { uri: 'note://a', size: 3 } },
        { name: 'a URL', uri: 'note://a', content: { url: 'https://example.com/a' }, backend: { kind: 'fetch', mimeType: 'text/plain', url: 'https://example.com/a' }, listed: { uri: 'note://a' } },
        { name: 'a template', uri: 'note://{id}/{?a,b*}', content: { url: 'https://example.com/{id}' }, backend: { kind: 'fetch', mimeType: 'text/plain', url: 'https://example.com/{id}' }, listed: { uriTemplate: 'note://{id}/{?a,b*}' }, variables: ['id', 'a', 'b'] },
      ])('publishes a resource of $name', async ({ uri, content, backend, listed, variables = [] }) => {
        const of = await tenant();
        await store.putResource(of, { uri, name: 'A', description: 'd', mimeType: 'text/plain', tags: [], content });
        const published = await target(of, uri);
        expect(published).toMatchObject({ kind: 'resource', title: 'A', backend });
        expect(JSON.parse(published?.listed ?? '')).toEqual({ name: 'A', description: 'd', mimeType: 'text/plain', ...listed });
        expect(Object.keys((published?.inputSchema as { properties: object } | undefined)?.properties ?? {})).toEqual(variables);
      });

      it.each([
        { name: 'as text', bytes: new TextEncoder().encode('openapi: 3.1.0 # é'), content: { text: 'openapi: 3.1.0 # é' } },
        { name: 'as base64 where it is not UTF-8', bytes: new Uint8Array([255, 254]), content: { blob: '//4=' } },
        { name: 'of many bytes', bytes: new TextEncoder().encode(' '.repeat(70_000)), content: { text: ' '.repeat(70_000) } },
      ])("offers an API's document $name", async ({ bytes, content }) => {
        const of = await tenant();
        const { api } = await store.putApi(of, draftOf({ name: 'my pets', bytes, mediaType: 'application/yaml' }));
        const uri = 'stoa://apis/my%20pets/document';
        expect(await store.listResources(of)).toMatchObject([{ uri, mimeType: 'application/yaml', content }]);
        const published = await target(of, uri);
        expect(published).toMatchObject({ kind: 'resource', apiId: api.id, backend: { kind: 'document', api: api.id, specHash: api.specHash, mimeType: 'application/yaml', size: bytes.byteLength } });
        expect(JSON.parse(published?.listed ?? '')).toMatchObject({ uri, mimeType: 'application/yaml', size: bytes.byteLength });
        const read = await source.document(of, api.id, api.specHash);
        expect(read?.mediaType).toBe('application/yaml');
        expect(Buffer.compare(read?.bytes ?? new Uint8Array(), bytes)).toBe(0);
        await expect(store.putResource(of, { uri, name: '', description: '', mimeType: 'text/plain', tags: [], content: { text: '' } })).rejects.toBeInstanceOf(AlreadyExists);
        await expect(store.deleteResource(of, uri)).rejects.toBeInstanceOf(NoSuchRecord);
      });
    });

    describe('tenancy', () => {
      it("never shows or touches another tenant's rows", async () => {
        const [one, two] = [await tenant(), await tenant()];
        await store.putApi(one, draftOf({ tools: [petTool('secret')] }));
        await store.putPrompt(one, { name: 'p', description: '', arguments: [], messages: [], tags: [] });
        await store.putResource(one, { uri: 'note://a', name: '', description: '', mimeType: 'text/plain', tags: [], content: { text: '' } });
        const before = await load(one);
        expect([await store.listApis(two), await store.listTools(two), await store.listPrompts(two), await store.listResources(two)]).toEqual([[], [], [], []]);
        expect([await store.getApi(two, 'pets'), await store.getTool(two, 'secret'), await store.getDocument(two, 'pets')]).toEqual([undefined, undefined, undefined]);
        for (const work of [() => store.deleteApi(two, 'pets'), () => store.editTool(two, 'secret', { enabled: false }), () => store.deletePrompt(two, 'p'), () => store.deleteResource(two, 'note://a'), () => store.getLedger(two, 'pets'), () => store.getDefinitions(two, 'pets')]) await expect(work()).rejects.toBeInstanceOf(NoSuchRecord);
        expect((await store.putApi(two, draftOf({ tools: [petTool('secret')] }))).created).toBe(true);
        expect(await load(one)).toEqual(before);
      });

      it("never hands out another tenant's document", async () => {
        const [one, two] = [await tenant(), await tenant()];
        const { api } = await store.putApi(one, draftOf({}));
        expect(await source.document(one, api.id, api.specHash)).toBeDefined();
        expect(await source.document(two, api.id, api.specHash)).toBeUndefined();
      });
    });

    describe('catalogue source', () => {
      it('hands out a document only while it is the one that was asked for', async () => {
        const of = await tenant();
        const { api } = await store.putApi(of, draftOf({}));
        const { api: after } = await store.putApi(of, draftOf({ bytes: new Uint8Array([50]) }));
        expect(after.id).toBe(api.id);
        expect(await source.document(of, api.id, api.specHash)).toBeUndefined();
        expect([...(await source.document(of, api.id, after.specHash))?.bytes ?? []]).toEqual([50]);
        await store.deleteApi(of, 'pets');
        expect(await source.document(of, api.id, after.specHash)).toBeUndefined();
      });

      it('carries no document in a snapshot', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ bytes: new TextEncoder().encode('words of the document') }));
        expect(JSON.stringify(await load(of))).not.toContain('words of the document');
      });

      it('gives the whole catalogue, and the same hash for the same content', async () => {
        const of = await tenant();
        await store.putApi(of, draftOf({ tools: [petTool('a')], definitions: { Pet: { type: 'object' } }, slots: { key: { type: 'bearer' } } }));
        const document = await load(of);
        expect(document).toMatchObject({ tenant: of, enabled: true, hash: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown, apis: [{ tenant: of, name: 'pets', kind: 'openapi', definitions: { Pet: { type: 'object' } }, slots: { key: { type: 'bearer' } } }] });
        const { description: _description, ...tool } = petTool('a');
        const { name, operationClass, tags, inputSchema, backend, hash, listed } = tool;
        expect(document.targets.find((each) => each.kind === 'tool')).toEqual({ kind: 'tool', tenant: of, apiId: document.apis[0]?.id, description: 'says a', category: undefined, version: '1.2.3', timeoutMs: 30_000, name, operationClass, tags, inputSchema, backend, hash, listed });
        await store.putApi(of, draftOf({ tools: [petTool('a')], definitions: { Pet: { type: 'object' } }, slots: { key: { type: 'bearer' } } }));
        const again = await load(of);
        expect(again.revision).toBeGreaterThan(document.revision);
        expect(again.hash).toBe(document.hash);
        await store.putApi(of, draftOf({ tools: [petTool('a')], definitions: { Pet: { type: 'array' } }, slots: { key: { type: 'bearer' } } }));
        expect((await load(of)).hash).not.toBe(document.hash);
      });

      it('tells the current revision of every tenant', async () => {
        const of = await tenant();
        const { revision } = await store.putApi(of, draftOf({}));
        expect((await source.revisions()).get(of)).toBe(revision);
      });

      it('raises the revision with every kind of change, and watchers hear each one once, in order', async () => {
        const of = await tenant();
        const heard: number[] = [];
        const stop = await source.watch((about, revision) => { if (about === of) heard.push(revision); });
        const revisions = [
          (await store.putApi(of, draftOf({ tools: [petTool('a')], slots: { key: { type: 'bearer' } } }))).revision,
          (await store.setCredential(of, 'pets', 'key', { from: 'environment', name: 'X' })).revision,
          (await store.editTool(of, 'a', { enabled: false })).revision,
          (await store.putPrompt(of, { name: 'p', description: '', arguments: [], messages: [], tags: [] })).revision,
          (await store.deletePrompt(of, 'p')).revision,
          (await store.putResource(of, { uri: 'note://a', name: '', description: '', mimeType: 'text/plain', tags: [], content: { text: '' } })).revision,
          (await store.deleteResource(of, 'note://a')).revision,
          (await store.updateTenant(of, { description: 'x' })).revision,
          (await store.deleteApi(of, 'pets')).revision,
        ];
        expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b));
        await expect.poll(() => heard.at(-1), { timeout: 5000 }).toBe(revisions.at(-1));
        expect(heard).toEqual([...new Set(heard)].toSorted((a, b) => a - b));
        await stop();
        await store.updateTenant(of, { description: 'y' });
        expect(heard.at(-1)).toBe(revisions.at(-1));
      });

      it('tells watchers of a tenant that is made and one that is deleted', async () => {
        const heard: string[] = [];
        const stop = await source.watch((about) => { heard.push(about); });
        const of = await tenant();
        await expect.poll(() => heard.filter((about) => about === of), { timeout: 5000 }).toHaveLength(1);
        await store.deleteTenant(of);
        await expect.poll(() => heard.filter((about) => about === of), { timeout: 5000 }).toHaveLength(2);
        await stop();
      });

      it('gives publications of one tenant at the same time different revisions, and loses none', async () => {
        const of = await tenant();
        const revisions = await Promise.all(Array.from({ length: 8 }, async (_, index) => (await store.putApi(of, draftOf({ name: `api${index}`, tools: [petTool(`tool${index}`)] }))).revision));
        expect(new Set(revisions).size).toBe(8);
        expect((await load(of)).revision).toBe(Math.max(...revisions));
        expect(await targetNames(of, 'tool')).toHaveLength(8);
      });
    });

    it('is a control store whose drafts stay as they were', async () => {
      const of = await tenant();
      const draft: ApiDraft = Object.freeze(draftOf({ tools: [petTool('a')] }));
      const text = JSON.stringify(draft);
      await store.putApi(of, draft);
      expect(JSON.stringify(draft)).toBe(text);
    });
  });
}
