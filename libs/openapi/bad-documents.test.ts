/* oxlint-disable unicorn/consistent-function-scoping -- helpers stand beside the cases that use them */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { convertDocument } from '#libs/openapi/convert.js';
import type { ConvertOptions } from '#libs/openapi/convert.js';
import { DocumentError } from '#libs/openapi/document-error.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
async function errorOf(bytes: Uint8Array | string, options: ConvertOptions = {}): Promise<DocumentError> {
  const error: unknown = await convertDocument(typeof bytes === 'string' ? bytesOf(bytes) : bytes, { fileName: 'api.yaml', ...options }).catch((reason: unknown) => reason);
  if (!(error instanceof DocumentError)) throw new Error(`expected a DocumentError, got ${String(error)}`);
  return error;
}
const head = 'openapi: 3.0.0\ninfo: {title: T, version: "1"}\npaths: {}\n';
const json = '{"openapi":"3.0.0","info":{},\n"paths":{"/a":{"get":{"responses":{}}}}}';

describe('a document that cannot be converted says where and why', () => {
  it.each([
    { name: 'HTML', text: '<html><body>404</body></html>', code: 'not-openapi', message: /^api\.yaml: not an OpenAPI document/ },
    { name: 'an array', text: '[]', code: 'not-openapi', message: /top level/ },
    { name: 'nothing', text: '', code: 'not-openapi', message: /top level/ },
    { name: 'an AsyncAPI document', text: 'asyncapi: 3.0.0', code: 'not-openapi', message: /neither "openapi" nor "swagger"/ },
    { name: 'a version of the future', text: '{"openapi":"4.0.0","paths":{}}', code: 'unsupported-version', message: /^api\.yaml#\/openapi: version "4\.0\.0"/ },
    { name: 'Swagger 1.2', text: '{"swagger":"1.2","paths":{}}', code: 'unsupported-version', message: /Swagger 2\.0/ },
    { name: 'no paths', text: '{"openapi":"3.0.0"}', code: 'invalid-document', message: /no "paths"/ },
    { name: 'paths of the wrong type', text: '{"openapi":"3.0.0","paths":[]}', code: 'invalid-document', message: /^api\.yaml#\/paths: "paths" must be an object/ },
    { name: 'JSON cut short', text: json.slice(0, -20), code: 'syntax', message: /^api\.yaml:2:\d+: not well-formed JSON/ },
    { name: 'JSON with an error', text: json.replace('"get":', '"get"'), code: 'syntax', message: /^api\.yaml:2:\d+: not well-formed JSON/ },
    { name: 'JSON with a path twice', text: '{"openapi":"3.0.0",\n"paths":{"/a":{"get":{}}, "\\u002fa":{}}}', code: 'syntax', message: /^api\.yaml:2:27: "\/a" stands twice/ },
    { name: 'YAML with an error', text: `${head}x: [1, 2\n`, code: 'syntax', message: /^api\.yaml:\d+:\d+: not well-formed YAML/ },
    { name: 'YAML with a key twice', text: `${head}paths: {}\n`, code: 'syntax', message: /^api\.yaml:4:1: not well-formed YAML: .*unique/ },
    { name: 'a YAML merge key', text: `${head}a: &a {b: 1}\nc:\n  <<: *a\n`, code: 'merge-key', message: /^api\.yaml:6:3: YAML merge keys/ },
    { name: 'JSON nested 500,000 deep', text: `{"openapi":"3.0.0","paths":${'['.repeat(500_000)}${']'.repeat(500_000)}}`, code: 'too-deep', message: /levels/ },
    { name: 'YAML nested 20,000 deep', text: `${head}x: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`, code: 'too-deep', message: /levels/ },
  ])('$name', async ({ text, code, message }) => {
    const error = await errorOf(text);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('bytes that are not UTF-8, by line', async () => {
    const bytes = Uint8Array.from([...bytesOf(`${head}x: a\ny: `), 0xff, 0xfe, ...bytesOf('\n')]);
    expect((await errorOf(bytes)).facts).toMatchObject({ code: 'invalid-encoding', line: 5 });
  });

  it('too many bytes, one more than allowed', async () => {
    const bytes = bytesOf(json);
    expect((await errorOf(bytes, { limits: { maxBytes: bytes.length - 1 } })).code).toBe('too-large');
    expect((await convertDocument(bytes, { limits: { maxBytes: bytes.length } })).tools).toHaveLength(1);
  });

  it('more operations than allowed, by pointer', async () => {
    const document = JSON.stringify({ openapi: '3.0.0', paths: { '/a': { get: {}, put: {}, post: {} } } });
    expect((await errorOf(document, { limits: { maxOperations: 2 } })).facts).toMatchObject({ code: 'too-many-operations', pointer: '/paths/~1a/post' });
    expect((await convertDocument(bytesOf(document), { limits: { maxOperations: 3 } })).ledger).toHaveLength(3);
  });

  it('naming options that are not legal', async () => {
    expect((await errorOf(json, { naming: { prefix: 'Shop-' } })).message).toMatch(/naming\.prefix/);
    expect((await errorOf(json, { baseUrl: 'ftp://x' })).message).toMatch(/baseUrl/);
  });
});

describe('YAML aliases', () => {
  const bomb = (levels: number) => `${head}x0: &x0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n${Array.from({ length: levels }, (_, i) => `x${i + 1}: &x${i + 1} [${Array.from({ length: 9 }, () => `*x${i}`).join(', ')}]\n`).join('')}`;
  it('nested nine levels deep are refused before they expand', async () => { expect((await errorOf(bomb(9))).code).toBe('too-many-aliases'); });
  it('more than a hundred are refused, by line', async () => {
    const document = (count: number) => `${head}a: &a 1\nb: [${Array.from({ length: count }, () => '*a').join(', ')}]\n`;
    expect((await errorOf(document(101))).facts).toMatchObject({ code: 'too-many-aliases', line: 5 });
    expect((await convertDocument(bytesOf(document(100)), {})).ledger).toEqual([]);
  });
  it('that make a circle are refused, by pointer', async () => {
    expect((await errorOf(`${head}components: {schemas: {A: &a {properties: {b: *a}}}}\n`)).facts).toMatchObject({ code: 'too-deep', pointer: '/components/schemas/A/properties/b' });
  });
});

describe('references out of the document', () => {
  it('are never fetched, and each is said with its pointer', async () => {
    let hits = 0;
    const server = createServer((_request, response) => { hits += 1; response.end('{}'); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const canary = `http://127.0.0.1:${(server.address() as AddressInfo).port}/canary.json`;
    const { ledger } = await convertDocument(bytesOf(JSON.stringify({
      openapi: '3.1.0', info: {}, servers: [{ url: 'https://a.test' }],
      paths: {
        '/a': { $ref: `${canary}#/a` },
        '/b': { post: { parameters: [{ $ref: `${canary}#/p` }], requestBody: { content: { 'application/json': { schema: { $ref: canary, $dynamicRef: canary }, example: { $ref: canary } } } }, responses: { 200: { $ref: '//127.0.0.1/x' } } } },
        '/c': { post: { requestBody: { content: { 'application/json': { schema: { $ref: 'file:///etc/passwd' } } } }, responses: {} } },
      },
    })), { documentUrl: 'https://a.test/openapi.json' });
    server.close();
    expect(hits).toBe(0);
    expect(ledger.map(({ verdict }) => verdict)).toEqual(['refused', 'degraded', 'degraded']);
    expect(new Set(ledger[1]?.reasons.map(({ code, pointer }) => `${code} ${pointer}`))).toEqual(new Set([
      'remote-ref /paths/~1b/post/parameters/0/$ref', 'remote-ref /paths/~1b/post/responses/200/$ref', 'remote-ref /paths/~1b/post/requestBody/content/application~1json/schema/$ref',
    ]));
  });
  it('to the document\'s own URL are references inside it', async () => {
    const { ledger } = await convertDocument(bytesOf(JSON.stringify({
      openapi: '3.0.0', info: {}, paths: { '/a': { post: { requestBody: { content: { 'application/json': { schema: { $ref: 'https://a.test/openapi.json#/components/schemas/A' } } } }, responses: {} } } }, components: { schemas: { A: {} } },
    })), { documentUrl: 'https://a.test/openapi.json' });
    expect(ledger[0]?.verdict).toBe('exact');
  });
  it('that lead through themselves, or through thousands of others, end in a verdict', async () => {
    const schemas = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`S${i}`, { $ref: `#/components/schemas/S${i + 1}/properties/x` }]));
    const body = (ref: string) => ({ post: { requestBody: { content: { 'application/json': { schema: { $ref: ref } } } }, responses: {} } });
    const { ledger } = await convertDocument(bytesOf(JSON.stringify({
      openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }],
      paths: { '/a': body('#/components/schemas/Self/properties/x'), '/b': body('#/components/schemas/S0/properties/x') },
      components: { schemas: { Self: { $ref: '#/components/schemas/Self/properties/x' }, ...schemas } },
    })), {});
    expect(ledger.map(({ verdict }) => verdict)).toEqual(['degraded', 'degraded']);
  });
  it.each(['#/paths/~1a', '#/paths/~1b'])('paths that refer to each other (%s) end in a verdict', async (ref) => {
    const { ledger } = await convertDocument(bytesOf(JSON.stringify({ openapi: '3.0.0', paths: { '/a': { $ref: '#/paths/~1b' }, '/b': { $ref: ref } } })), {});
    expect(ledger.every(({ verdict, reasons: [reason] }) => verdict === 'refused' && reason?.code === 'path-item-unresolvable')).toBe(true);
  });
});
