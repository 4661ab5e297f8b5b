import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ImportAnswer } from '#apps/controller/src/apis/api-schemas.js';
import { Refresher } from '#apps/controller/src/apis/refresher.js';
import { adminDocument } from '#apps/controller/src/openapi/admin-document.js';
import { ToolDetail } from '#apps/controller/src/tools/tool-schemas.js';
import { createEgress, type Egress } from '#libs/egress/egress.js';
import { DocumentConverter } from '#libs/openapi/conversion-worker.js';
import { databaseCatalogueSource } from '#libs/state/catalogue-source.js';
import { databaseControlStore } from '#libs/state/control-store.js';
import { type Database, openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { ACME, harness, type Harness } from './harness.js';

const ADMIN = 'tenant-admin@acme';
const IMPORT = 'POST /tenants/acme/apis';
const YAML = { 'content-type': 'application/yaml' };
const SHOP = `openapi: 3.0.3
info: {title: Shop, version: "1.0"}
servers: [{url: /v1}]
components:
  securitySchemes: {token: {type: http, scheme: bearer}}
  schemas: {Item: {type: object, properties: {name: {type: string}, parts: {type: array, items: {$ref: '#/components/schemas/Item'}}}}}
security: [{token: []}]
paths:
  /items/{id}:
    get:
      operationId: getItem
      tags: [items]
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Item'}}}}}
  /orders:
    post:
      operationId: addOrder
      requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/Item'}}}}
      responses: {'201': {description: made}}
`;

describe('the admin API on the embedded database, the converter\'s threads and the real egress', () => {
  let folder: string;
  let database: Database;
  let egress: Egress;
  let on: Harness;
  let site: Server;
  let served = SHOP;
  let address: string;
  beforeAll(async () => {
    site = createServer((_request, response) => { response.setHeader('content-type', 'application/yaml'); response.end(served); }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    address = `http://127.0.0.1:${(site.address() as AddressInfo).port}/shop.yaml`;
    folder = await mkdtemp(path.join(tmpdir(), 'stoa-admin-'));
    database = await openDatabase({ directory: folder });
    await migrate(database);
    egress = createEgress({ allow: ['127.0.0.1'] });
    const converter = new DocumentConverter();
    on = await harness({ store: databaseControlStore(database), outbound: egress, admissions: { openapi: converter } });
    await on.ask('cpi-admin', 'POST /tenants', { slug: 'acme' });
  });
  afterAll(async () => {
    await on.app.close();
    await egress.close();
    await database.close();
    site.close();
    await rm(folder, { recursive: true, force: true });
  });
  const revision = async (): Promise<number> => (await on.ask(ADMIN, 'GET /tenants/acme')).json<{ revision: number }>().revision;

  it('makes the same tools of a document by URL, upload and inline', async () => {
    const answers = [
      await on.ask(ADMIN, IMPORT, { name: 'shop', source: { url: address } }),
      await on.ask(ADMIN, `${IMPORT}?name=shop&baseUrl=${encodeURIComponent(address.replace('/shop.yaml', '/v1'))}`, SHOP, YAML),
      await on.ask(ADMIN, IMPORT, { name: 'shop', source: { inline: SHOP } }),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 200, 200]);
    const [byUrl, ...others] = answers.map((answer) => ImportAnswer.parse(answer.json()));
    expect(byUrl).toMatchObject({ tools: [{ name: 'getitem', verdict: 'exact' }, { name: 'addorder', verdict: 'exact' }], api: { slots: { token: { type: 'bearer' } }, missingCredentials: ['token'] } });
    for (const other of others) expect(other).toMatchObject({ tools: byUrl?.tools, diff: { added: [], changed: [], removed: [] }, api: { specHash: byUrl?.api?.specHash } });
  });

  it('hands the data plane what it published, edits included', async () => {
    await on.ask(ADMIN, 'PATCH /tenants/acme/tools/addorder', { enabled: false });
    await on.ask(ADMIN, 'PUT /tenants/acme/apis/shop/credentials/token', { from: 'environment', name: 'SHOP' });
    await on.ask(ADMIN, 'POST /tenants/acme/prompts', { name: 'ask', messages: [{ role: 'user', text: 'Hi' }] });
    await on.ask(ADMIN, 'POST /tenants/acme/resources', { uri: 'docs://intro', name: 'Intro', content: { text: 'Hello' } });
    const snapshot = await databaseCatalogueSource(database).load(ACME);
    expect(snapshot?.targets.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual(['prompt ask', 'resource docs://intro', 'resource stoa://apis/shop/document', 'tool getitem']);
    expect(snapshot?.apis[0]?.credentials).toEqual({ token: { from: 'environment', name: 'SHOP' } });
    expect(snapshot?.revision).toBe(await revision());
  });

  it('shows a tool with every definition that its schemas lead to, a recursive one once', async () => {
    const tool = ToolDetail.parse((await on.ask('viewer@acme', 'GET /tenants/acme/tools/getitem')).json());
    const references = [...JSON.stringify(tool).matchAll(/"\$ref":"#\/\$defs\/([^"]*)"/g)].map(([, name]) => name);
    expect(references.length).toBeGreaterThan(1);
    expect([...new Set(references)]).toEqual(Object.keys(tool.definitions));
  });

  it('shows an API\'s document as a resource that only the import writes', async () => {
    const { resources } = (await on.ask('viewer@acme', 'GET /tenants/acme/resources')).json<{ resources: { id: string; uri: string; editable: boolean }[] }>();
    const made = resources.find(({ uri }) => uri === 'stoa://apis/shop/document');
    expect(made).toMatchObject({ editable: false });
    expect((await on.ask(ADMIN, `DELETE /tenants/acme/resources/${made?.id}`)).statusCode).toBe(409);
    expect((await on.ask('viewer@acme', `GET /tenants/acme/resources/${made?.id}`)).json()).toMatchObject({ content: { text: SHOP } });
  });

  it('says of a dry run what the import then does', async () => {
    const next = SHOP.replace('operationId: addOrder', 'operationId: placeOrder').replace('type: integer', 'type: string');
    const dry = ImportAnswer.parse((await on.ask(ADMIN, `${IMPORT}?name=shop&dryRun=true`, next, YAML)).json());
    const before = await revision();
    const real = ImportAnswer.parse((await on.ask(ADMIN, `${IMPORT}?name=shop`, next, YAML)).json());
    expect(dry.diff).toEqual({ added: ['placeorder'], changed: ['getitem'], removed: ['addorder'] });
    expect(real.diff).toEqual(dry.diff);
    expect([dry.revision, real.revision > before]).toEqual([before, true]);
  });

  it('refreshes from the URL when the bytes change, and makes no revision when they do not', async () => {
    await on.ask(ADMIN, IMPORT, { name: 'live', source: { url: address }, naming: { prefix: 'live_' }, refreshInterval: '10s' });
    const before = await revision();
    const same = (await on.ask(ADMIN, 'POST /tenants/acme/apis/live/refresh')).json();
    expect([same, await revision()]).toEqual([expect.objectContaining({ changed: false }), before]);
    served = SHOP.replace('getItem', 'fetchItem');
    await on.app.get(Refresher).tick();
    expect(await revision()).toBe(before);
    expect((await on.ask(ADMIN, 'POST /tenants/acme/apis/live/refresh')).json()).toMatchObject({ changed: true, diff: { added: ['live_fetchitem'], removed: ['live_getitem'] } });
    served = 'openapi: [';
    expect((await on.ask(ADMIN, 'POST /tenants/acme/apis/live/refresh')).statusCode).toBe(422);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/live')).json()).toMatchObject({ toolCount: 2, lastError: expect.stringContaining(':1:') as unknown });
    served = SHOP;
  });

  it.each([
    { name: 'a document cut off, naming the line', body: SHOP.slice(0, SHOP.indexOf('type: array')), says: /"line",\d+/ },
    { name: 'a document of another kind', body: 'hello: world', says: /openapi/i },
    { name: 'bytes that are not UTF-8', body: Buffer.from([0x6f, 0x3a, 0x20, 0xff, 0xfe, 0x0a]), says: /UTF-8/ },
    { name: 'nine levels of aliases', body: `a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(',')}]`).join('\n')}\nopenapi: 3.0.0`, says: /detail/ },
    { name: 'a naming that is none', body: { name: 'x', source: { inline: SHOP }, naming: { prefix: '9' } }, says: /prefix/ },
    { name: 'an address that the egress policy refuses', body: { name: 'x', source: { url: 'http://169.254.169.254/latest' } }, says: /"loc":\["body","source","url"\]/ },
  ])('refuses $name and leaves nothing behind', async ({ body, says }) => {
    const before = await revision();
    const isJson = typeof body === 'object' && !Buffer.isBuffer(body);
    const refused = await on.ask(ADMIN, isJson ? IMPORT : `${IMPORT}?name=x`, body, isJson ? {} : YAML);
    expect([refused.statusCode, await revision()]).toEqual([422, before]);
    expect(refused.body).toMatch(says);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/apis/x')).statusCode).toBe(404);
  });

  it('describes itself so well that every one of its operations converts exactly', async () => {
    const inline = await adminDocument();
    const imported = await on.ask(ADMIN, IMPORT, { name: 'admin', source: { inline }, baseUrl: 'https://stoa.test' });
    expect(imported.statusCode).toBe(201);
    const { ledger } = ImportAnswer.parse(imported.json());
    const operations = Object.values(inline.paths).flatMap((item) => Object.keys(item)).length;
    expect(ledger).toEqual({ operations, exact: operations, degraded: 0, refused: 0, entries: [] });
  });
});
