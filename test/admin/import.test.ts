import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImportAnswer } from '#apps/controller/src/apis/api-schemas.js';
import { MAX_DOCUMENT_BYTES } from '#apps/controller/src/http/admin-http.js';
import type { ControllerParts } from '#apps/controller/src/parts.js';
import { type Admission, AdmissionError } from '#libs/core/admission.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import { ACME, convertJson, document, harness, openapi, type Harness } from './harness.js';
import { MemoryStore } from './memory-store.js';

const ROOT = 'cpi-admin';
const ADMIN = 'tenant-admin@acme';
const IMPORT = 'POST /tenants/acme/apis';
const pets = document({ listPets: 'List', getPet: 'Get' });
const text = JSON.stringify(pets);
const inline = (value: unknown, more: object = {}): object => ({ name: 'pets', source: { inline: value }, ...more });

describe('importing a document', () => {
  let on: Harness;
  let store: MemoryStore;
  beforeEach(async () => {
    store = new MemoryStore();
    on = await harness({ store });
    await on.ask(ROOT, 'POST /tenants', { slug: 'acme' });
  });
  afterEach(() => on.app.close());
  const tools = async (): Promise<string[]> => (await store.listTools(ACME)).map(({ name }) => name).toSorted();

  it('publishes every tool and answers with verdicts and the difference', async () => {
    const imported = await on.ask(ADMIN, IMPORT, inline(pets));
    expect(imported.statusCode).toBe(201);
    const answer = ImportAnswer.parse(imported.json());
    expect(answer).toMatchObject({ changed: true, dryRun: false, revision: 1, ledger: { operations: 2, exact: 2, degraded: 0, refused: 0, entries: [] }, diff: { added: ['listPets', 'getPet'], changed: [], removed: [] } });
    expect(answer.tools).toEqual([{ name: 'listPets', method: 'GET', path: '/listPets', verdict: 'exact' }, { name: 'getPet', method: 'GET', path: '/getPet', verdict: 'exact' }]);
    expect(answer.api).toMatchObject({ name: 'pets', source: { inline: true }, missingCredentials: ['key'], refreshInterval: null });
    const listed = await on.ask('viewer@acme', 'GET /tenants/acme/tools');
    expect(listed.json<{ tools: { name: string }[] }>().tools.map(({ name }) => name)).toEqual(['getPet', 'listPets']);
  });

  it.each([
    { name: 'inline as an object', send: () => on.ask(ADMIN, IMPORT, inline(pets)) },
    { name: 'inline as a string', send: () => on.ask(ADMIN, IMPORT, inline(text)) },
    { name: 'an upload as YAML', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, text, { 'content-type': 'application/yaml' }) },
    { name: 'an upload as JSON', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, text, { 'content-type': 'application/json; charset=utf-8' }) },
    { name: 'an upload as bytes', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, Buffer.from(text), { 'content-type': 'application/octet-stream' }) },
    { name: 'an upload of an OpenAPI media type', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, text, { 'content-type': 'application/vnd.oai.openapi+json' }) },
    { name: 'a URL', send: () => { on.web.pages.set('https://docs.test/pets', { body: text }); return on.ask(ADMIN, IMPORT, { name: 'pets', source: { url: 'https://docs.test/pets' } }); } },
  ])('makes identical tools of the same document by $name', async ({ send }) => {
    const answer = await send();
    expect(answer.statusCode).toBe(201);
    const kept = await store.getDocument(ACME, 'pets');
    expect(Buffer.from(kept?.bytes ?? []).toString()).toBe(text);
    expect(await tools()).toEqual(['getPet', 'listPets']);
    const read = await on.ask('viewer@acme', 'GET /tenants/acme/apis/pets/document');
    expect([read.body, read.headers['content-type'], read.headers['x-content-type-options']]).toEqual([text, 'application/json', 'nosniff']);
  });

  it('takes a large body apart in a thread: the same bytes arrive, and a broken one is refused', async () => {
    const large = JSON.stringify(document({ big: 'x'.repeat(600_000) }));
    expect((await on.ask(ADMIN, IMPORT, inline(large))).statusCode).toBe(201);
    expect(Buffer.from((await store.getDocument(ACME, 'pets'))?.bytes ?? []).toString()).toBe(large);
    expect((await on.ask(ADMIN, IMPORT, inline(JSON.parse(large)))).statusCode).toBe(200);
    expect(Buffer.from((await store.getDocument(ACME, 'pets'))?.bytes ?? []).toString()).toBe(large);
    const broken = await on.ask(ADMIN, IMPORT, `{"name":"pets","source":{"inline":"${'x'.repeat(600_000)}`, { 'content-type': 'application/json' });
    expect([broken.statusCode, broken.body.includes('json_invalid')]).toEqual([422, true]);
  });

  it('imports anew under a name that exists: 200, the difference, and operators\' edits kept', async () => {
    await on.ask(ADMIN, IMPORT, inline(pets));
    await on.ask(ADMIN, 'PATCH /tenants/acme/tools/getPet', { description: 'One pet', enabled: false });
    const again = await on.ask(ADMIN, IMPORT, inline(document({ getPet: 'Get it', addPet: 'Add' })));
    expect(again.statusCode).toBe(200);
    expect(again.json()).toMatchObject({ diff: { added: ['addPet'], changed: ['getPet'], removed: ['listPets'] } });
    expect((await on.ask(ADMIN, 'GET /tenants/acme/tools/getPet')).json()).toMatchObject({ description: 'One pet', enabled: false, edited: true });
  });

  it('keeps on a re-import what is left out, and clears what is null', async () => {
    await on.ask(ADMIN, IMPORT, inline(pets, { category: 'animals', tags: ['a'], baseUrl: 'https://api.test/v1/', naming: { prefix: 'x_' } }));
    const kept = (await on.ask(ADMIN, `${IMPORT}?name=pets`, text, { 'content-type': 'text/yaml' })).json<{ api: object }>();
    expect(kept.api).toMatchObject({ category: 'animals', tags: ['a'], baseUrl: 'https://api.test/v1', naming: { prefix: 'x_' } });
    const cleared = (await on.ask(ADMIN, IMPORT, inline(pets, { category: null, tags: null, baseUrl: null, naming: null }))).json<{ api: object }>();
    expect(cleared.api).toMatchObject({ category: null, tags: [], baseUrl: null, naming: null });
  });

  it('says what a dry run would change and changes nothing, whether asked for in the body or the query', async () => {
    await on.ask(ADMIN, IMPORT, inline(pets));
    await on.ask(ADMIN, 'PATCH /tenants/acme/tools/listPets', { description: 'All pets' });
    const { revision } = (await on.ask(ADMIN, 'GET /tenants/acme')).json<{ revision: number }>();
    const next = document({ listPets: 'List', addPet: 'Add' });
    for (const answer of [await on.ask(ADMIN, IMPORT, inline(next, { dryRun: true })), await on.ask(ADMIN, `${IMPORT}?name=pets&dryRun=true`, JSON.stringify(next), { 'content-type': 'text/plain' }), await on.ask(ADMIN, `${IMPORT}?dryRun=true`, inline(next))]) {
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toMatchObject({ dryRun: true, changed: false, revision, diff: { added: ['addPet'], changed: [], removed: ['getPet'] }, ledger: { operations: 2 } });
    }
    expect(await tools()).toEqual(['getPet', 'listPets']);
    const fresh = await on.ask(ADMIN, IMPORT, { ...inline(next, { dryRun: true }), name: 'other' });
    expect(fresh.json()).toMatchObject({ api: null });
    expect((await store.listApis(ACME)).map(({ name }) => name)).toEqual(['pets']);
  });

  it('resolves a name that another API of the tenant took, and hands the same name out again on a re-import', async () => {
    await on.ask(ADMIN, IMPORT, inline(pets));
    const other = { ...inline(document({ getPet: 'Another' })), name: 'others' };
    expect((await on.ask(ADMIN, IMPORT, other)).json()).toMatchObject({ tools: [{ name: 'getPet_2' }] });
    expect((await on.ask(ADMIN, IMPORT, other)).json()).toMatchObject({ tools: [{ name: 'getPet_2' }], diff: { added: [], changed: [], removed: [] } });
  });

  it('never gives a document a name of the platform\'s own tools', async () => {
    expect((await on.ask(ADMIN, IMPORT, inline(document({ stoa_tools: 'Mine' })))).json()).toMatchObject({ tools: [{ name: 'stoa_tools_2' }] });
  });

  it.each([
    { name: 'a broken store', failure: new Error('connection lost: password=hunter2'), status: 500 },
  ])('leaves the previous catalogue in force when publishing fails half-way: $name', async ({ failure, status }) => {
    await on.ask(ADMIN, IMPORT, inline(pets));
    store.breaks = failure;
    const answer = await on.ask(ADMIN, IMPORT, inline(document({ other: 'x' })));
    expect([answer.statusCode, answer.json()]).toEqual([status, { detail: 'Internal error' }]);
    expect(await tools()).toEqual(['getPet', 'listPets']);
    expect((await on.ask(ADMIN, IMPORT, inline(pets))).statusCode).toBe(200);
  });

  it('takes concurrent imports of one tenant one after the other, each whole', async () => {
    let inside = 0;
    let most = 0;
    const slow: Admission['convert'] = async (bytes, options) => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => { setImmediate(resolve); });
      inside -= 1;
      return convertJson(bytes, options);
    };
    const other = await harness({ store: new MemoryStore(), admissions: openapi(slow) });
    await other.ask(ROOT, 'POST /tenants', { slug: 'acme' });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => other.ask(ADMIN, IMPORT, inline(document({ [`tool${index}`]: 'x' })))));
    expect(most).toBe(1);
    expect(answers.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([200, 200, 200, 200, 200, 200, 200, 201]);
    expect((await other.store.listTools(ACME)).map(({ name }) => name)).toHaveLength(1);
    await other.app.close();
  });

  it('asks a living backend to describe itself, again at a refresh, and says what it could not', async () => {
    let says = document({ hello: 'x' });
    const asked: unknown[] = [];
    const admissions: ControllerParts['admissions'] = { graphql: {
      kind: 'graphql', convert: async (bytes, options) => ({ ...await convertJson(bytes, options), format: 'graphql', slots: { key: { type: 'bearer' } } }),
      describe: async (connection, { credentials }) => {
        asked.push([connection, credentials]);
        if (Object.keys(says).length === 0) throw new AdmissionError('introspection-disabled', 'connection.url: the server does not answer introspection; import its schema as a document', 'backend');
        return { bytes: Buffer.from(JSON.stringify(says)), mediaType: 'application/json' };
      },
    } };
    const other = await harness({ store: new MemoryStore(), admissions });
    await other.ask(ROOT, 'POST /tenants', { slug: 'acme' });
    const connection = { url: 'http://127.0.0.1:4000/graphql' };
    const made = await other.ask(ADMIN, IMPORT, { name: 'shop', kind: 'graphql', source: { connection }, credentials: { key: { from: 'environment', name: 'SHOP' } } });
    expect(made.statusCode).toBe(201);
    expect(made.json()).toMatchObject({ api: { kind: 'graphql', source: { connection }, missingCredentials: [] }, tools: [{ name: 'hello' }] });
    says = document({ hello: 'x', goodbye: 'y' });
    const again = await other.ask(ADMIN, `${IMPORT}/shop/refresh`, {});
    expect(again.json()).toMatchObject({ changed: true, diff: { added: ['goodbye'], removed: [] } });
    expect(asked).toEqual([[connection, { key: { from: 'environment', name: 'SHOP' } }], [connection, { key: { from: 'environment', name: 'SHOP' } }]]);
    expect((await other.ask(ADMIN, IMPORT, { name: 'nope', kind: 'kafka', source: { connection } })).json()).toMatchObject({ detail: [{ loc: ['body', 'kind'] }] });
    await other.app.close();
  });

  it('answers 503 with Retry-After instead of holding any number of documents in memory', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const other = await harness({ admissions: openapi(async (bytes, options) => { await gate; return convertJson(bytes, options); }) });
    await other.ask(ROOT, 'POST /tenants', { slug: 'acme' });
    const waiting = Array.from({ length: 9 }, () => other.ask(ADMIN, IMPORT, inline(pets)));
    const first = await Promise.race(waiting);
    expect([first.statusCode, first.headers['retry-after']]).toEqual([503, '2']);
    open(undefined);
    expect((await Promise.all(waiting)).filter(({ statusCode }) => statusCode < 300)).toHaveLength(8);
    await other.app.close();
  });

  describe('refuses', () => {
    const yaml = { 'content-type': 'application/yaml' };
    it.each([
      { name: 'a body over 64 MiB', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, Buffer.alloc(MAX_DOCUMENT_BYTES + 1, 32), yaml), status: 413, says: 'larger' },
      { name: 'a document that is not parseable, naming the line', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, 'not: [json', yaml), status: 422, says: '"loc":["body","line",3,"column",7]' },
      { name: 'a document of another kind, naming the pointer', send: () => on.ask(ADMIN, IMPORT, inline({ hello: 'world' })), status: 422, says: '"loc":["body","/paths"]' },
      { name: 'a body that is not JSON', send: () => on.ask(ADMIN, IMPORT, '{"name":', { 'content-type': 'application/json' }), status: 422, says: 'json_invalid' },
      { name: 'bytes that are not UTF-8', send: () => on.ask(ADMIN, IMPORT, Buffer.from([0x7b, 0x22, 0xff, 0x22]), { 'content-type': 'application/json' }), status: 422, says: 'json_invalid' },
      { name: 'an object nested beyond measure', send: () => on.ask(ADMIN, IMPORT, `{"name":"pets","source":{"inline":${'{"a":'.repeat(400_000)}1${'}'.repeat(400_000)}}}`, { 'content-type': 'application/json' }), status: 422, says: 'deep' },
      { name: 'an empty body', send: () => on.ask(ADMIN, IMPORT), status: 422, says: 'empty' },
      { name: 'an upload without a name', send: () => on.ask(ADMIN, IMPORT, text, yaml), status: 422, says: '?name=' },
      { name: 'a media type that is no document', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, text, { 'content-type': 'image/png' }), status: 415, says: 'image/png' },
      { name: 'an upload of a form', send: () => on.ask(ADMIN, `${IMPORT}?name=pets`, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }), status: 415, says: 'urlencoded' },
      { name: 'both url and inline', send: () => on.ask(ADMIN, IMPORT, { name: 'pets', source: { url: 'https://a.test/', inline: 'x' } }), status: 422, says: 'one of `url`, `inline` and `connection`' },
      { name: 'a field that nobody knows', send: () => on.ask(ADMIN, IMPORT, inline(pets, { colour: 'red' })), status: 422, says: 'colour' },
      { name: 'an option in the query that nobody knows', send: () => on.ask(ADMIN, `${IMPORT}?name=pets&nmae=x`, text, yaml), status: 422, says: 'nmae' },
      { name: 'an illegal API name', send: () => on.ask(ADMIN, IMPORT, { ...inline(pets), name: '../x' }), status: 422, says: '"loc":["body","name"]' },
      { name: 'an interval below ten seconds', send: () => on.ask(ADMIN, IMPORT, { name: 'pets', source: { url: 'https://a.test/' }, refreshInterval: '9s' }), status: 422, says: 'refreshInterval' },
      { name: 'an interval without a URL', send: () => on.ask(ADMIN, IMPORT, inline(pets, { refreshInterval: '30s' })), status: 422, says: 'needs a source with a url' },
      { name: 'a URL with a password in it', send: () => on.ask(ADMIN, IMPORT, { name: 'pets', source: { url: 'https://ada:hunter2@a.test/' } }), status: 422, says: 'user information' },
      { name: 'a URL of another scheme', send: () => on.ask(ADMIN, IMPORT, { name: 'pets', source: { url: 'file:///etc/passwd' } }), status: 422, says: '"loc":["body","source","url"]' },
      { name: 'a base URL with a query', send: () => on.ask(ADMIN, IMPORT, inline(pets, { baseUrl: 'https://a.test/?x' })), status: 422, says: 'query' },
    ])('$name', async ({ send, status, says }) => {
      const answer = await send();
      expect(answer.statusCode).toBe(status);
      expect(answer.body).toContain(says);
      expect(answer.body).not.toContain('hunter2');
      expect(Object.keys(answer.json<object>())).toEqual(['detail']);
      expect(await store.listApis(ACME)).toEqual([]);
    });

    it.each([
      { name: 'an address that the egress policy refuses', page: new OutboundFailure('refused-address', 'refused by the egress policy'), status: 422, says: 'egress policy' },
      { name: 'an address where nobody answers', page: new OutboundFailure('unreachable', 'nobody answers'), status: 502, says: 'nobody' },
      { name: 'a redirect, naming where to', page: { status: 302, body: '', location: 'https://b.test/x' }, status: 422, says: 'https://b.test/x' },
      { name: 'an answer other than 200', page: { status: 404, body: 'no' }, status: 502, says: '404' },
      { name: 'a page that is no document', page: { body: '<html>' }, status: 422, says: 'line' },
    ])('$name', async ({ page, status, says }) => {
      on.web.pages.set('https://a.test/spec', page);
      const answer = await on.ask(ADMIN, IMPORT, { name: 'pets', source: { url: 'https://a.test/spec' } });
      expect([answer.statusCode, answer.body.includes(says)]).toEqual([status, true]);
      expect(await store.listApis(ACME)).toEqual([]);
    });
  });

  it('takes 1 MiB on every other route', async () => {
    const answer = await on.ask(ADMIN, 'PATCH /tenants/acme/tools/x', JSON.stringify({ description: 'x'.repeat(1024 * 1024) }), { 'content-type': 'application/json' });
    expect([answer.statusCode, Object.keys(answer.json<object>())]).toEqual([413, ['detail']]);
  });

  it('keeps a reference to a credential and never takes its value', async () => {
    await on.ask(ADMIN, IMPORT, inline(pets));
    const slot = 'PUT /tenants/acme/apis/pets/credentials/key';
    expect((await on.ask(ADMIN, slot, { from: 'environment', name: 'PETS_KEY' })).json()).toEqual({ revision: 2 });
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json()).toMatchObject({ credentials: { key: { from: 'environment', name: 'PETS_KEY' } }, missingCredentials: [] });
    for (const wrong of [{ from: 'environment', name: 'X', value: 'hunter2' }, { from: 'file', name: '../other/secret' }, { from: 'file', name: 'a/b' }, { from: 'file', name: '.' }, { from: 'file', name: '..' }, { from: 'environment', name: 'a.b' }, { from: 'environment', name: '_x' }, { value: 'hunter2' }]) {
      const refused = await on.ask(ADMIN, slot, wrong);
      expect([refused.statusCode, refused.body.includes('hunter2')]).toEqual([422, false]);
    }
    const client = { clientId: 'stoa', secret: { from: 'file', name: 'client' }, audience: 'pets' };
    for (const reference of [{ from: 'client-credentials', tokenUrl: 'https://id.test/token', ...client }, { from: 'token-exchange', ...client }]) {
      expect((await on.ask(ADMIN, slot, reference)).statusCode).toBe(200);
      expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/pets')).json()).toMatchObject({ credentials: { key: reference } });
    }
    // A caller's token goes to its own issuer: no tenant can name another place.
    for (const wrong of [{ from: 'client-credentials', ...client }, { from: 'client-credentials', tokenUrl: 'ftp://id.test', ...client }, { from: 'token-exchange', tokenUrl: 'https://evil.test', ...client }, { from: 'token-exchange', clientId: 'stoa', secret: 'hunter2' }, { from: 'magic', name: 'x' }]) {
      const refused = await on.ask(ADMIN, slot, wrong);
      expect([wrong, refused.statusCode, refused.body.includes('hunter2')]).toEqual([wrong, 422, false]);
    }
    for (const standing of ['gateway', 'client-certificate']) expect((await on.ask(ADMIN, `PUT /tenants/acme/apis/pets/credentials/${standing}`, { from: 'file', name: 'x' })).statusCode).toBe(200);
    const unknown = await on.ask(ADMIN, 'PUT /tenants/acme/apis/pets/credentials/other', { from: 'file', name: 'x' });
    expect([unknown.statusCode, unknown.body]).toEqual([404, '{"detail":"Credential slot not found: other; pets has key, gateway, client-certificate"}']);
    expect((await on.ask(ADMIN, 'DELETE /tenants/acme/apis/pets/credentials/key')).statusCode).toBe(204);
    expect((await on.ask(ADMIN, 'DELETE /tenants/acme/apis/pets/credentials/key')).statusCode).toBe(404);
  });

  it('tells the whole ledger, and deletes an API with its tools', async () => {
    await on.ask(ADMIN, IMPORT, inline(pets));
    expect((await on.ask('viewer@acme', 'GET /tenants/acme/apis/pets/ledger')).json<{ entries: object[] }>().entries).toHaveLength(2);
    expect((await on.ask(ADMIN, 'DELETE /tenants/acme/apis/pets')).statusCode).toBe(204);
    expect(await tools()).toEqual([]);
    for (const gone of ['GET /tenants/acme/apis/pets', 'GET /tenants/acme/apis/pets/ledger', 'GET /tenants/acme/apis/pets/document', 'DELETE /tenants/acme/apis/pets', 'POST /tenants/acme/apis/pets/refresh']) {
      const answer = await on.ask(ADMIN, gone);
      expect([gone, answer.statusCode, answer.json()]).toEqual([gone, 404, { detail: 'API not found: pets' }]);
    }
  });
});
