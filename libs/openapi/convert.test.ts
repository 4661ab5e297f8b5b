/* oxlint-disable unicorn/consistent-function-scoping -- helpers stand beside the cases that use them */
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { convertDocument } from '#libs/openapi/convert.js';
import type { ConvertOptions } from '#libs/openapi/convert.js';

const convert = (document: object, options: ConvertOptions = {}) => convertDocument(new TextEncoder().encode(JSON.stringify(document)), options);
const FIXTURES = new URL('../../test/fixtures/openapi/', import.meta.url);

/** A document with one operation, `POST /things/{id}`. */
const withOperation = (operation: object, rest: object = {}) => ({
  openapi: '3.0.3', info: { title: 'T', version: '1' }, servers: [{ url: 'https://api.test' }],
  paths: { '/things/{id}': { post: { operationId: 'op', parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }], responses: {}, ...operation } } },
  ...rest,
});

describe('one API written in each format', () => {
  const swagger = {
    swagger: '2.0', info: { title: 'Pets', version: '1' }, host: 'pets.test', basePath: '/v2', schemes: ['https'], consumes: ['application/json'], produces: ['application/json'],
    paths: { '/pet/{petId}': { put: {
      operationId: 'putPet', tags: ['pet'], summary: 'Puts a pet',
      parameters: [
        { name: 'petId', in: 'path', required: true, type: 'integer', format: 'int64' },
        { name: 'status', in: 'query', type: 'array', items: { type: 'string', enum: ['a', 'b'] }, collectionFormat: 'multi' },
        { name: 'X-Trace', in: 'header', type: 'string', description: 'trace' },
        { name: 'body', in: 'body', required: true, schema: { $ref: '#/definitions/Pet' } },
      ],
      responses: { 200: { description: 'ok', schema: { $ref: '#/definitions/Pet' } } },
      security: [{ key: [] }],
    } } },
    securityDefinitions: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } },
    definitions: { Pet: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, parent: { $ref: '#/definitions/Pet' } } } },
  };
  const openapi = (version: string) => ({
    openapi: version, info: { title: 'Pets', version: '1' }, servers: [{ url: 'https://pets.test/v2' }],
    paths: { '/pet/{petId}': { put: {
      operationId: 'putPet', tags: ['pet'], summary: 'Puts a pet',
      parameters: [
        { name: 'petId', in: 'path', required: true, schema: { type: 'integer', format: 'int64' } },
        { name: 'status', in: 'query', schema: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } } },
        { name: 'X-Trace', in: 'header', schema: { type: 'string' }, description: 'trace' },
      ],
      requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } } },
      responses: { 200: { description: 'ok', content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } } } },
      security: [{ key: [] }],
    } } },
    components: {
      securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'X-Key' } },
      schemas: { Pet: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, parent: { $ref: '#/components/schemas/Pet' } } } },
    },
  });

  it.each([['swagger-2.0', swagger], ['openapi-3.0', openapi('3.0.4')], ['openapi-3.1', openapi('3.1.1')], ['openapi-3.2', openapi('3.2.0')]] as const)('%s gives the same tools, as JSON and as YAML', async (format, document) => {
    const reference = await convert(openapi('3.0.4'));
    const json = await convert(document);
    const yaml = await convertDocument(new TextEncoder().encode(stringify(document, { aliasDuplicateObjects: false })), {});
    expect(json.format).toBe(format);
    for (const converted of [json, yaml]) {
      expect(converted.tools).toEqual(reference.tools);
      expect(converted.definitions).toEqual(reference.definitions);
      expect(converted.slots).toEqual(reference.slots);
      expect(converted.ledger.map(({ verdict }) => verdict)).toEqual(['exact']);
    }
    expect(json.tools[0]).toMatchObject({
      name: 'putpet', operationClass: 'write', tags: ['pet'],
      backend: {
        method: 'PUT', baseUrl: 'https://pets.test/v2', path: '/pet/{petId}', accept: 'application/json', security: [['key']],
        parameters: [
          { argument: 'petId', in: 'path', style: 'simple', explode: false, required: true },
          { argument: 'status', in: 'query', style: 'form', explode: true, required: false },
          { argument: 'X-Trace', in: 'header', style: 'simple', explode: false },
        ],
        body: { argument: 'body', required: true, content: { mediaType: 'application/json', kind: 'json' } },
      },
      inputSchema: { type: 'object', required: ['petId', 'body'], additionalProperties: false, properties: { body: { $ref: '#/$defs/Pet' }, 'X-Trace': { type: 'string', description: 'trace' } } },
      outputSchema: { type: 'object', $ref: '#/$defs/Pet' },
    });
    expect(json.slots).toEqual({ key: { type: 'apiKey', in: 'header', name: 'X-Key' } });
  });
});

describe('verdicts', () => {
  it.each([
    { name: 'exact: nothing odd', operation: {}, verdict: 'exact', codes: [] },
    { name: 'degraded: a parameter that refers to another file', operation: { parameters: [{ $ref: 'common.yaml#/P' }] }, verdict: 'degraded', codes: ['remote-ref', 'path-parameter-undeclared'] },
    { name: 'refused: a body that refers to another host', operation: { requestBody: { $ref: 'https://canary.invalid/b.json' } }, verdict: 'refused', codes: ['remote-ref'] },
    { name: 'degraded: a schema that refers to a file', operation: { requestBody: { content: { 'application/json': { schema: { $ref: 'file:///etc/passwd' } } } } }, verdict: 'degraded', codes: ['remote-ref'] },
    { name: 'degraded: a schema that does not exist', operation: { requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Gone' } } } } }, verdict: 'degraded', codes: ['unresolvable-ref'] },
    { name: 'degraded: a parameter without a place', operation: { parameters: [{ name: 'id', in: 'path', schema: {} }, { name: 'q' }] }, verdict: 'degraded', codes: ['malformed-parameter'] },
    { name: 'degraded: a style that its place does not have', operation: { parameters: [{ name: 'id', in: 'path', style: 'form', schema: {} }] }, verdict: 'degraded', codes: ['style-not-allowed'] },
    { name: 'degraded: a body without a media type', operation: { requestBody: { content: {} } }, verdict: 'degraded', codes: ['body-without-content'] },
    { name: 'degraded: an object of an unknown media type', operation: { requestBody: { content: { 'application/x-own': { schema: { type: 'object' } } } } }, verdict: 'degraded', codes: ['media-type-without-serialization'] },
    { name: 'degraded: a media type that is none', operation: { requestBody: { content: { applicationjson: { schema: { type: 'object' } } } } }, verdict: 'degraded', codes: ['illegal-media-type'] },
    { name: 'degraded: a security scheme that was never declared', operation: { security: [{ nowhere: [] }] }, verdict: 'degraded', codes: ['unknown-security-scheme'] },
    { name: 'degraded: an answer that refers nowhere', operation: { responses: { 200: { $ref: '#/components/responses/Gone' } } }, verdict: 'degraded', codes: ['unresolvable-ref'] },
    { name: 'exact: XML is sent as the text given', operation: { requestBody: { content: { 'application/xml': { schema: { type: 'object' } } } } }, verdict: 'exact', codes: [] },
  ])('$name', async ({ operation, verdict, codes }) => {
    const { ledger, tools } = await convert(withOperation(operation));
    expect(ledger).toHaveLength(1);
    expect(ledger[0]?.verdict).toBe(verdict);
    expect(ledger[0]?.reasons.map(({ code }) => code)).toEqual(codes);
    for (const reason of ledger[0]?.reasons ?? []) expect(reason.pointer).toMatch(/^\/(paths|components|servers|security)/);
    expect(tools).toHaveLength(verdict === 'refused' ? 0 : 1);
  });

  it.each([
    { name: 'unbalanced braces', path: '/a/{id', verdict: 'refused', codes: ['path-template-malformed'] },
    { name: 'an expression that no parameter declares', path: '/a/{other}', verdict: 'degraded', codes: ['path-parameter-undeclared'] },
    { name: 'no leading slash', path: 'a', verdict: 'degraded', codes: ['path-without-slash'] },
    { name: 'a fragment', path: '/a#Action=B', verdict: 'exact', codes: [] },
  ])('of a path with $name: $verdict', async ({ path, verdict, codes }) => {
    const { ledger } = await convert({ openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }], paths: { [path]: { get: { responses: {} } } } });
    expect(ledger).toMatchObject([{ verdict, path }]);
    expect(ledger[0]?.reasons.map(({ code }) => code)).toEqual(codes);
  });

  it('cover what is not an operation at all, a path that leads nowhere, and every method', async () => {
    const operation = { responses: {} };
    const { ledger } = await convert({
      openapi: '3.2.0', info: {}, servers: [{ url: 'https://a.test' }],
      paths: {
        '/a': Object.fromEntries(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'query'].map((method) => [method, operation])),
        '/b': { get: 7, additionalOperations: { LINK: operation, 'BAD METHOD': operation } },
        '/c': { $ref: '#/components/pathItems/gone' },
        '/d': { $ref: '#/components/pathItems/there' },
      },
      components: { pathItems: { there: { get: operation } } },
      webhooks: { hook: { post: operation } },
    });
    expect(ledger.map(({ method, path, verdict }) => `${method} ${path} ${verdict}`)).toEqual([
      ...['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE', 'QUERY'].map((method) => `${method} /a exact`),
      'GET /b refused', 'LINK /b exact', 'BAD METHOD /b refused', '* /c refused', 'GET /d exact',
    ]);
  });

  it('a fault in a shared schema counts for each operation that reaches it, and for no other', async () => {
    const uses = (name: string) => ({ requestBody: { content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } }, responses: {} });
    const { ledger } = await convert({
      openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }],
      paths: { '/a': { post: uses('A') }, '/b': { post: uses('B') }, '/c': { post: uses('C') } },
      components: { schemas: { A: { properties: { b: { $ref: '#/components/schemas/B' } } }, B: { properties: { x: { $ref: 'other.json' }, a: { $ref: '#/components/schemas/A' } } }, C: { type: 'object' } } },
    });
    expect(ledger.map(({ verdict }) => verdict)).toEqual(['degraded', 'degraded', 'exact']);
    expect(ledger[0]?.reasons).toMatchObject([{ code: 'remote-ref', pointer: '/components/schemas/B/properties/x/$ref' }]);
  });
});

describe('operations', () => {
  it('with the same operationId all become tools, under different names', async () => {
    const operation = { operationId: 'same', responses: {} };
    const { tools, ledger } = await convert({ openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }], paths: { '/a': { get: operation }, '/b': { get: operation } } });
    expect(new Set(tools.map(({ name }) => name)).size).toBe(2);
    expect(tools[0]?.name).toBe('same');
    expect(ledger[1]?.notes.map(({ code }) => code)).toContain('name-collision');
  });

  it('are selected by all given filters, and keep their verdict when they are not', async () => {
    const document = {
      openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }],
      paths: { '/pet': { get: { operationId: 'a', tags: ['pet'], responses: {} }, post: { operationId: 'b', tags: ['pet', 'admin'], responses: {} } }, '/store': { get: { operationId: 'c', tags: ['store'], responses: {} } } },
    };
    const names = async (selector: object) => (await convert(document, { selector })).tools.map(({ name }) => name);
    expect(await names({ tags: ['pet', 'store'] })).toEqual(['a', 'b', 'c']);
    expect(await names({ tags: ['pet'], excludeTags: ['admin'] })).toEqual(['a']);
    expect(await names({ methods: ['post'] })).toEqual(['b']);
    expect(await names({ pathPrefix: '/st' })).toEqual(['c']);
    expect(await names({ operationIds: ['a', 'c'], methods: ['GET'], tags: ['store'] })).toEqual(['c']);
    const { ledger } = await convert(document, { selector: { tags: ['none'] } });
    expect(ledger).toMatchObject([{ verdict: 'exact', tool: undefined }, { verdict: 'exact' }, { verdict: 'exact' }]);
  });

  it('take parameters of their path, which they may replace', async () => {
    const { tools } = await convert({
      openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }],
      paths: { '/a': { parameters: [{ name: 'q', in: 'query', schema: { type: 'string' } }, { name: 'r', in: 'query', schema: {} }], get: { parameters: [{ name: 'q', in: 'query', schema: { type: 'integer' } }], responses: {} } } },
    });
    expect(tools[0]?.inputSchema).toMatchObject({ properties: { q: { type: 'integer' }, r: {} } });
  });

  it('keep every argument apart when parameters share a name, or are called body', async () => {
    const { tools, ledger } = await convert(withOperation({
      parameters: [{ name: 'id', in: 'path', schema: {} }, { name: 'id', in: 'query', schema: {} }, { name: 'body', in: 'query', schema: {} }, { name: '__proto__', in: 'query', schema: {} }],
      requestBody: { content: { 'application/json': { schema: {} } } },
    }));
    expect(tools[0]?.backend).toMatchObject({ parameters: [{ argument: 'id' }, { argument: 'id_query', name: 'id' }, { argument: 'body' }, { argument: '__proto___query', name: '__proto__' }], body: { argument: 'body_' } });
    expect(ledger[0]).toMatchObject({ verdict: 'exact' });
    expect(ledger[0]?.notes.filter(({ code }) => code === 'argument-renamed')).toHaveLength(3);
  });

  it('are classed by what their method may do', async () => {
    const { tools } = await convert({ openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }], paths: { '/a': Object.fromEntries(['get', 'post', 'put', 'delete'].map((method) => [method, { responses: {} }])) } });
    expect(tools.map(({ operationClass }) => operationClass)).toEqual(['read', 'write', 'write', 'destructive']);
    expect(tools.map(({ listed }) => (JSON.parse(listed) as { annotations: object }).annotations)).toMatchObject([
      { readOnlyHint: true, idempotentHint: true }, { readOnlyHint: false, idempotentHint: false }, { destructiveHint: false, idempotentHint: true }, { destructiveHint: true, idempotentHint: true },
    ]);
  });
});

describe('the address', () => {
  const paths = { '/a': { get: { responses: {} } } };
  it.each([
    { name: 'is the first server, its variables filled in', document: { servers: [{ url: 'https://{region}.api.test/{v}/', variables: { region: { default: 'eu' }, v: { enum: ['v1'] } } }] }, options: {}, url: 'https://eu.api.test/v1' },
    { name: 'is relative to the URL of the document', document: { servers: [{ url: '../v3' }] }, options: { documentUrl: 'https://docs.test/apis/spec/openapi.json' }, url: 'https://docs.test/apis/v3' },
    { name: 'is the origin of the document when it names no server', document: {}, options: { documentUrl: 'https://docs.test/spec.json' }, url: 'https://docs.test' },
    { name: 'is the base URL when one is given', document: { servers: [{ url: 'https://api.test' }] }, options: { baseUrl: 'http://127.0.0.1:9000/x/' }, url: 'http://127.0.0.1:9000/x' },
    { name: 'is https when only the scheme is missing', document: { servers: [{ url: '//api.test/v1' }] }, options: {}, url: 'https://api.test/v1' },
    { name: 'passes over servers that are not HTTP', document: { servers: [{ url: 'wss://a.test' }, { url: 'http://b.test' }] }, options: {}, url: 'http://b.test' },
    { name: 'is empty, and noted, when nothing absolute is known', document: { servers: [{ url: '/v1' }] }, options: {}, url: '' },
  ])('$name', async ({ document, options, url }) => {
    const { tools, ledger } = await convert({ openapi: '3.0.0', info: {}, paths, ...document }, options);
    expect(tools[0]?.backend).toMatchObject({ baseUrl: url });
    expect(ledger[0]?.verdict).toBe('exact');
    expect(ledger[0]?.notes.some(({ code }) => code === 'no-server')).toBe(url === '');
  });

  it('is the operation\'s own server before the path\'s and the document\'s', async () => {
    const at = (host: string) => ({ servers: [{ url: `https://${host}.test` }] });
    const { tools } = await convert({ openapi: '3.0.0', info: {}, ...at('root'), paths: { '/a': { ...at('path'), get: { responses: {}, ...at('operation') }, put: { responses: {} } }, '/b': { get: { responses: {} } } } });
    expect(tools.map(({ backend }) => (backend.kind === 'rest' ? backend.baseUrl : ''))).toEqual(['https://operation.test', 'https://path.test', 'https://root.test']);
  });

  it('of Swagger 2.0 is scheme, host and basePath, https preferred', async () => {
    const { tools } = await convert({ swagger: '2.0', info: {}, host: 'petstore.test', basePath: '/v2', schemes: ['http', 'https'], paths });
    expect(tools[0]?.backend).toMatchObject({ baseUrl: 'https://petstore.test/v2' });
  });
});

it('security schemes become slots, and requirements name them', async () => {
  const { slots, tools, ledger } = await convert({
    openapi: '3.1.0', info: {}, servers: [{ url: 'https://a.test' }], security: [{ oauth: ['read'] }, { 'api key': [], basic: [] }],
    paths: { '/a': { get: { responses: {} }, put: { responses: {}, security: [] }, post: { responses: {}, security: [{}, { digest: [] }] }, delete: { responses: {}, security: [{ tls: [] }] } } },
    components: { securitySchemes: {
      oauth: { type: 'oauth2', flows: {} }, oidc: { type: 'openIdConnect' }, bearer: { type: 'http', scheme: 'Bearer' }, basic: { type: 'http', scheme: 'basic' },
      'api key': { type: 'apiKey', in: 'query', name: 'k' }, digest: { type: 'http', scheme: 'digest' }, tls: { type: 'mutualTLS' },
    } },
  });
  expect(slots).toEqual({ oauth: { type: 'bearer' }, oidc: { type: 'bearer' }, bearer: { type: 'bearer' }, basic: { type: 'basic' }, api_key: { type: 'apiKey', in: 'query', name: 'k' } });
  expect(tools.map(({ backend }) => (backend.kind === 'rest' ? backend.security : undefined))).toEqual([[['oauth'], ['api_key', 'basic']], [], [[]], []]);
  expect(ledger.map(({ verdict }) => verdict)).toEqual(['exact', 'exact', 'exact', 'degraded']);
});

it.each(readdirSync(FIXTURES).filter((file) => file.endsWith('.json')))('the real document %s converts exactly, and the same way twice', async (file) => {
  const bytes = readFileSync(new URL(file, FIXTURES));
  const first = await convertDocument(bytes, { fileName: file });
  expect(first.ledger.length).toBeGreaterThan(0);
  expect(first.ledger.filter(({ verdict }) => verdict !== 'exact')).toEqual([]);
  expect(await convertDocument(bytes, { fileName: file })).toEqual(first);
});

it('a tool\'s hash changes with a schema that it only reaches through others, and with nothing else', async () => {
  const document = (inner: object) => ({
    openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }],
    paths: { '/a': { post: { requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/A' } } } }, responses: {} } }, '/b': { get: { responses: {} } } },
    components: { schemas: { A: { properties: { b: { $ref: '#/components/schemas/B' } } }, B: { properties: { a: { $ref: '#/components/schemas/A' }, c: inner } } } },
  });
  const before = (await convert(document({ type: 'string' }))).tools.map(({ hash }) => hash);
  const after = (await convert(document({ type: 'integer' }))).tools.map(({ hash }) => hash);
  expect(after[0]).not.toBe(before[0]);
  expect(after[1]).toBe(before[1]);
});
