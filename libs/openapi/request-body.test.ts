/* oxlint-disable unicorn/consistent-function-scoping -- helpers stand beside the cases that use them */
import { describe, expect, it } from 'vitest';
import { convertDocument } from '#libs/openapi/convert.js';

const convert = (document: object) => convertDocument(new TextEncoder().encode(JSON.stringify(document)), {});

async function bodyOf(requestBody: object, version = '3.0.3', schemas: object = {}) {
  const { tools, ledger } = await convert({
    openapi: version, info: {}, servers: [{ url: 'https://a.test' }], components: { schemas },
    paths: { '/a': { post: { requestBody, responses: {} } } },
  });
  const backend = tools[0]?.backend;
  return { body: backend?.kind === 'rest' ? backend.body : undefined, schema: (tools[0]?.inputSchema as { properties: { body?: object } } | undefined)?.properties.body, verdict: ledger[0]?.verdict, notes: ledger[0]?.notes.map(({ code }) => code) };
}
const object = { type: 'object', properties: { a: { type: 'string' } } };

describe('a body', () => {
  it.each([
    { media: 'application/json', schema: object, content: { kind: 'json', mediaType: 'application/json' } },
    { media: 'application/json; charset=utf-8', schema: object, content: { kind: 'json', mediaType: 'application/json; charset=utf-8' } },
    { media: 'application/merge-patch+json', schema: object, content: { kind: 'json', mediaType: 'application/merge-patch+json' } },
    { media: 'application/*+json', schema: object, content: { kind: 'json', mediaType: 'application/json' } },
    { media: '*/*', schema: object, content: { kind: 'json', mediaType: 'application/json' } },
    { media: '*/*', schema: { type: 'string', format: 'binary' }, content: { kind: 'binary', mediaType: 'application/octet-stream' } },
    { media: 'text/plain', schema: { type: 'string' }, content: { kind: 'text', mediaType: 'text/plain' } },
    { media: 'text/csv', schema: object, content: { kind: 'text', mediaType: 'text/csv' } },
    { media: 'application/x-yaml', schema: object, content: { kind: 'text', mediaType: 'application/x-yaml' } },
    { media: 'text/xml', schema: object, content: { kind: 'xml', mediaType: 'text/xml' } },
    { media: 'application/soap+xml', schema: object, content: { kind: 'xml', mediaType: 'application/soap+xml' } },
    { media: 'application/octet-stream', schema: {}, content: { kind: 'binary', mediaType: 'application/octet-stream' } },
    { media: 'image/png', schema: { type: 'string' }, content: { kind: 'binary', mediaType: 'image/png' } },
    { media: 'application/x-own', schema: { type: 'string' }, content: { kind: 'text', mediaType: 'application/x-own' } },
    { media: 'application/x-www-form-urlencoded', schema: object, content: { kind: 'form', mediaType: 'application/x-www-form-urlencoded' } },
    { media: 'application/x-www-form-urlencoded', schema: { type: 'string' }, content: { kind: 'text', mediaType: 'application/x-www-form-urlencoded' } },
    { media: 'multipart/form-data', schema: object, content: { kind: 'multipart', mediaType: 'multipart/form-data' } },
  ])('of $media with $schema goes out as $content.kind', async ({ media, schema, content }) => {
    const { body, verdict } = await bodyOf({ content: { [media]: { schema } } });
    expect(body).toEqual({ argument: 'body', required: false, content });
    expect(verdict).toBe('exact');
  });

  it.each([
    { types: ['text/plain', 'application/xml', 'application/json'], taken: 'application/json' },
    { types: ['multipart/form-data', 'application/x-www-form-urlencoded'], taken: 'application/x-www-form-urlencoded' },
    { types: ['application/xml', 'multipart/form-data'], taken: 'multipart/form-data' },
    { types: ['application/vnd.api+json', 'application/json; v=2'], taken: 'application/json; v=2' },
  ])('that may be $types is $taken, and the others are noted', async ({ types, taken }) => {
    const { body, notes } = await bodyOf({ content: Object.fromEntries(types.map((type) => [type, { schema: object }])) });
    expect(body?.content.mediaType).toBe(taken);
    expect(notes).toEqual(['other-media-types']);
  });

  it('with a file goes as multipart even when a plain form is offered too', async () => {
    const schema = { type: 'object', properties: { file: { type: 'string', format: 'binary' } } };
    expect((await bodyOf({ content: { 'application/x-www-form-urlencoded': { schema }, 'multipart/form-data': { schema } } })).body?.content.kind).toBe('multipart');
  });

  it('as bytes or unread text is one string in the arguments', async () => {
    expect((await bodyOf({ content: { 'image/png': {} } })).schema).toMatchObject({ type: 'string', contentEncoding: 'base64' });
    expect((await bodyOf({ content: { 'application/xml': { schema: object } } })).schema).toMatchObject({ type: 'string', description: expect.stringContaining('Elements: a.') as string });
  });

  it('follows references to its own place', async () => {
    const { tools } = await convert({
      openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }], paths: { '/a': { post: { requestBody: { $ref: '#/components/requestBodies/B' }, responses: {} } } },
      components: { requestBodies: { B: { required: true, description: 'What to make', content: { 'application/json': { schema: { type: 'array', items: {} } } } } } },
    });
    expect(tools[0]?.inputSchema).toMatchObject({ required: ['body'], properties: { body: { type: 'array', description: 'What to make' } } });
  });
});

describe('a multipart body', () => {
  it('takes files as base64, arrays as repeated parts, and keeps the encodings', async () => {
    const { body, schema, verdict } = await bodyOf({ content: { 'multipart/form-data': {
      schema: { type: 'object', required: ['file'], properties: { file: { type: 'string', format: 'binary', description: 'A picture.' }, files: { type: 'array', items: { type: 'string', format: 'binary' } }, tags: { type: 'array', items: { type: 'string' } }, meta: { type: 'object' } } },
      encoding: { meta: { contentType: 'application/json', headers: { 'X-Kind': { schema: { enum: ['meta'] } } } }, file: { contentType: 'image/png, image/jpeg' } },
    } } });
    expect(body?.content.encoding).toEqual({
      file: { contentType: 'image/png', binary: true }, files: { binary: true, repeated: true }, tags: { repeated: true }, meta: { contentType: 'application/json', headers: { 'X-Kind': 'meta' } },
    });
    expect(schema).toMatchObject({ required: ['file'], properties: { file: { type: 'string', contentEncoding: 'base64', description: 'A picture. Bytes as base64.' }, files: { type: 'array', items: { contentEncoding: 'base64' } } } });
    expect(verdict).toBe('exact');
  });

  it('takes files as base64 through a shared schema as well', async () => {
    const { schema } = await bodyOf({ content: { 'multipart/form-data': { schema: { $ref: '#/components/schemas/Upload' } } } }, '3.1.0', { Upload: { type: 'object', required: ['file'], properties: { file: { type: 'string', contentMediaType: 'image/png' } } } });
    expect(schema).toMatchObject({ allOf: [{ $ref: '#/$defs/Upload' }], properties: { file: { contentEncoding: 'base64' } } });
  });

  it('is degraded by a part header without a fixed value', async () => {
    expect((await bodyOf({ content: { 'multipart/form-data': { schema: object, encoding: { a: { headers: { 'X-Any': { schema: { type: 'string' } } } } } } } })).verdict).toBe('degraded');
  });
});

it('a form keeps style and explode of its properties', async () => {
  const { body } = await bodyOf({ content: { 'application/x-www-form-urlencoded': { schema: { type: 'object', properties: { a: { type: 'array', items: {} }, b: { type: 'object' } } }, encoding: { a: { style: 'pipeDelimited' }, b: { style: 'deepObject', explode: true }, gone: {} } } } });
  expect(body?.content.encoding).toEqual({ a: { style: 'pipeDelimited', explode: false, allowReserved: false }, b: { style: 'deepObject', explode: true, allowReserved: false } });
});

describe('a body of Swagger 2.0', () => {
  const swagger = async (parameters: object[], consumes?: string[]) => {
    const { tools, ledger } = await convert({ swagger: '2.0', info: {}, host: 'a.test', paths: { '/a': { post: { parameters, ...(consumes ? { consumes } : {}), responses: {} } } } });
    const backend = tools[0]?.backend;
    return { body: backend?.kind === 'rest' ? backend.body : undefined, schema: tools[0]?.inputSchema, verdict: ledger[0]?.verdict };
  };
  it('is JSON when nothing is said', async () => { expect((await swagger([{ name: 'b', in: 'body', schema: object }])).body?.content).toEqual({ mediaType: 'application/json', kind: 'json' }); });
  it('is what the operation consumes', async () => { expect((await swagger([{ name: 'b', in: 'body', schema: object }], ['application/xml'])).body?.content.kind).toBe('xml'); });
  it('of form fields is one object', async () => {
    const { body, schema, verdict } = await swagger([{ name: 'n', in: 'formData', type: 'string', required: true }, { name: 't', in: 'formData', type: 'array', items: { type: 'string' } }], ['application/x-www-form-urlencoded']);
    expect(body).toMatchObject({ required: true, content: { kind: 'form', encoding: { t: { style: 'form', explode: false } } } });
    expect(schema).toMatchObject({ required: ['body'], properties: { body: { type: 'object', required: ['n'], properties: { n: { type: 'string' } } } } });
    expect(verdict).toBe('exact');
  });
  it('with a file is multipart', async () => {
    const { body, schema } = await swagger([{ name: 'f', in: 'formData', type: 'file', description: 'The file' }]);
    expect(body?.content).toEqual({ mediaType: 'multipart/form-data', kind: 'multipart', encoding: { f: { binary: true } } });
    expect(schema).toMatchObject({ properties: { body: { properties: { f: { type: 'string', contentEncoding: 'base64' } } } } });
  });
});

describe('the output schema', () => {
  const responses = async (value: object, extra: object = {}) => {
    const { tools } = await convert({ openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }], paths: { '/a': { get: { responses: value } } }, ...extra });
    return { output: tools[0]?.outputSchema, accept: tools[0]?.backend.kind === 'rest' ? tools[0].backend.accept : undefined };
  };
  const json = (schema: object) => ({ content: { 'application/json': { schema } } });
  it.each([
    { name: 'is that of the only good answer', value: { 200: json({ type: 'object' }), 404: json({ type: 'string' }) }, output: { type: 'object' } },
    { name: 'is any of several', value: { 200: json({ type: 'object' }), 201: json({ type: 'array' }), 202: json({ type: 'object' }) }, output: { anyOf: [{ type: 'object' }, { type: 'array' }] } },
    { name: 'is absent when a good answer may have no body', value: { 200: json({ type: 'object' }), 204: {} }, output: undefined },
    { name: 'is absent when a good answer may be something else', value: { 200: { content: { 'application/json': { schema: {} }, 'text/csv': {} } } }, output: undefined },
    { name: 'is absent when JSON has no schema', value: { 200: { content: { 'application/json': {} } } }, output: undefined },
    { name: 'is absent when only a default answer is described', value: { default: json({ type: 'object' }) }, output: undefined },
    { name: 'counts a range', value: { '2XX': json({ type: 'object' }) }, output: { type: 'object' } },
  ])('$name', async ({ value, output }) => { expect((await responses(value)).output).toEqual(output); });

  it('comes with an Accept header of all good answers, JSON first', async () => {
    expect((await responses({ 200: { content: { 'text/csv': {}, 'application/json': { schema: {} } } }, 400: { content: { 'application/problem+json': {} } } })).accept).toBe('application/json, text/csv');
    expect((await responses({ 204: {} })).accept).toBe('*/*');
  });
});
