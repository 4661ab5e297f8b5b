import { describe, expect, it } from 'vitest';
import { convertDocument } from '#libs/openapi/convert.js';

const convert = (document: object) => convertDocument(new TextEncoder().encode(JSON.stringify(document)), {});
const array = { type: 'array', items: { type: 'string' } };

const openapi = (parameter: object, version = '3.0.3') => ({
  openapi: version, info: {}, servers: [{ url: 'https://a.test' }],
  paths: { '/a/{p}': { get: { parameters: [...('in' in parameter && parameter.in === 'path' ? [] : [{ name: 'p', in: 'path', required: true, schema: {} }]), parameter], responses: {} } } },
});
const swagger = (parameter: object) => ({
  swagger: '2.0', info: {}, host: 'a.test', schemes: ['https'],
  paths: { '/a/{p}': { post: { parameters: [...('in' in parameter && parameter.in === 'path' ? [] : [{ name: 'p', in: 'path', required: true, type: 'string' }]), parameter], responses: {} } } },
});

async function last(document: object) {
  const { tools, ledger } = await convert(document);
  const backend = tools[0]?.backend;
  return { parameter: backend?.kind === 'rest' ? backend.parameters.at(-1) : undefined, verdict: ledger[0], schema: tools[0]?.inputSchema };
}

describe('a parameter of OpenAPI 3 is sent', () => {
  it.each([
    { given: { in: 'path' }, style: 'simple', explode: false },
    { given: { in: 'path', style: 'label' }, style: 'label', explode: false },
    { given: { in: 'path', style: 'matrix', explode: true }, style: 'matrix', explode: true },
    { given: { in: 'query' }, style: 'form', explode: true },
    { given: { in: 'query', explode: false }, style: 'form', explode: false },
    { given: { in: 'query', style: 'spaceDelimited' }, style: 'spaceDelimited', explode: false },
    { given: { in: 'query', style: 'pipeDelimited', explode: true }, style: 'pipeDelimited', explode: true },
    { given: { in: 'query', style: 'deepObject' }, style: 'deepObject', explode: true },
    { given: { in: 'header' }, style: 'simple', explode: false },
    { given: { in: 'header', explode: true }, style: 'simple', explode: true },
    { given: { in: 'cookie' }, style: 'form', explode: true },
  ])('as $style, explode $explode, for $given', async ({ given, style, explode }) => {
    const { parameter, verdict } = await last(openapi({ name: 'p', schema: array, ...given, ...(given.in === 'path' ? {} : { name: 'q' }) }));
    expect(parameter).toMatchObject({ in: given.in, style, explode, allowReserved: false });
    expect(verdict?.verdict).toBe('exact');
  });

  it('with reserved characters, or with an empty value, where the document allows them', async () => {
    const { parameter } = await last(openapi({ name: 'q', in: 'query', allowReserved: true, allowEmptyValue: true, schema: { type: 'string' } }));
    expect(parameter).toMatchObject({ allowReserved: true, allowEmptyValue: true });
  });

  it('with allowReserved outside of a query from 3.2 on only', async () => {
    const parameter = { name: 'p', in: 'path', required: true, allowReserved: true, schema: { type: 'string' } };
    expect((await last(openapi(parameter, '3.2.0'))).parameter).toMatchObject({ allowReserved: true });
    expect(await last(openapi(parameter, '3.1.0'))).toMatchObject({ parameter: { allowReserved: false }, verdict: { verdict: 'exact', notes: [{ code: 'allow-reserved-ignored' }] } });
  });

  it.each([{ style: 'deepObject', schema: array }, { style: 'deepObject', schema: { type: 'string' } }, { style: 'pipeDelimited', schema: { type: 'string' } }])('with a note where the specification leaves style $style open for $schema.type', async (parameter) => {
    expect((await last(openapi({ name: 'q', in: 'query', ...parameter }))).verdict).toMatchObject({ verdict: 'exact', notes: [{ code: 'style-undefined' }] });
  });

  it('through a media type when it has content', async () => {
    const { parameter, schema } = await last(openapi({ name: 'filter', in: 'query', required: true, content: { 'application/json': { schema: { type: 'object' } } } }));
    expect(parameter).toMatchObject({ content: 'application/json', required: true });
    expect(schema).toMatchObject({ properties: { filter: { type: 'object' } }, required: ['p', 'filter'] });
  });

  it('as the whole query string in 3.2', async () => {
    const { parameter, verdict } = await last(openapi({ name: 'all', in: 'querystring', content: { 'application/x-www-form-urlencoded': { schema: { type: 'object' } } } }, '3.2.0'));
    expect(parameter).toMatchObject({ argument: 'all', in: 'querystring', content: 'application/x-www-form-urlencoded' });
    expect(verdict?.verdict).toBe('exact');
  });

  it('in the cookie style from 3.2 on only', async () => {
    const parameter = { name: 'c', in: 'cookie', style: 'cookie', schema: array };
    expect((await last(openapi(parameter, '3.2.0'))).parameter).toMatchObject({ style: 'cookie', explode: true });
    expect((await last(openapi(parameter, '3.1.0'))).verdict).toMatchObject({ verdict: 'degraded', reasons: [{ code: 'style-not-allowed' }] });
  });

  it('as bytes when its format is binary', async () => { expect((await last(openapi({ name: 'q', in: 'query', schema: { type: 'string', format: 'binary' } }))).parameter).toMatchObject({ binary: true }); });

  it.each(['Accept', 'content-type', 'AUTHORIZATION'])('not at all as the header %s, which the specification reserves', async (name) => {
    const { verdict, schema } = await last(openapi({ name, in: 'header', schema: { type: 'string' } }));
    expect(verdict).toMatchObject({ verdict: 'exact', notes: [{ code: 'reserved-header' }] });
    expect(schema).toMatchObject({ properties: { p: {} } });
    expect(Object.keys((schema as { properties: object }).properties)).toEqual(['p']);
  });

  it('with its own description, examples and deprecation', async () => {
    const { schema } = await last(openapi({ name: 'q', in: 'query', deprecated: true, description: 'ours', examples: { one: { value: 1 }, two: { value: 2 } }, schema: { type: 'integer', description: 'theirs' } }));
    expect(schema).toMatchObject({ properties: { q: { type: 'integer', description: 'ours', deprecated: true, examples: [1, 2] } } });
  });

  it('with a note when it nests deeper than the specification says how to write', async () => {
    const { verdict } = await last(openapi({ name: 'q', in: 'query', style: 'deepObject', schema: { type: 'object', properties: { range: { type: 'object' } } } }));
    expect(verdict).toMatchObject({ verdict: 'exact', notes: [{ code: 'nested-value' }] });
  });
});

describe('a parameter of Swagger 2.0 is sent', () => {
  it.each([
    { given: { in: 'query' }, style: 'form', explode: false },
    { given: { in: 'query', collectionFormat: 'csv' }, style: 'form', explode: false },
    { given: { in: 'query', collectionFormat: 'multi' }, style: 'form', explode: true },
    { given: { in: 'query', collectionFormat: 'ssv' }, style: 'spaceDelimited', explode: false },
    { given: { in: 'query', collectionFormat: 'tsv' }, style: 'tabDelimited', explode: false },
    { given: { in: 'query', collectionFormat: 'pipes' }, style: 'pipeDelimited', explode: false },
    { given: { in: 'path' }, style: 'simple', explode: false },
    { given: { in: 'header', collectionFormat: 'csv' }, style: 'simple', explode: false },
  ])('as $style, explode $explode, for $given', async ({ given, style, explode }) => {
    const { parameter, verdict, schema } = await last(swagger({ name: given.in === 'path' ? 'p' : 'q', ...array, ...given }));
    expect(parameter).toMatchObject({ in: given.in, style, explode });
    expect(verdict?.verdict).toBe('exact');
    expect(schema).toMatchObject({ properties: { [given.in === 'path' ? 'p' : 'q']: array } });
  });

  it('as csv, with a reason, when the collection format does not exist there', async () => {
    expect((await last(swagger({ name: 'X', in: 'header', ...array, collectionFormat: 'multi' }))).verdict).toMatchObject({ verdict: 'degraded', reasons: [{ code: 'collection-format' }] });
  });
});
