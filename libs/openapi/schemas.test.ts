import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { JsonSchema } from '#libs/core/json-schema.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { selfContained } from '#libs/tool-listing/self-contained.js';

const convert = (document: object) => convertDocument(new TextEncoder().encode(JSON.stringify(document)), {});

/** The schema of a body and of an answer that are both `root`. */
async function translate(root: unknown, version = '3.0.3', schemas: object = {}) {
  const content = { 'application/json': { schema: root } };
  const document = await convert({ openapi: version, info: {}, servers: [{ url: 'https://a.test' }], paths: { '/a': { post: { requestBody: { content }, responses: { 200: { content } } } } }, components: { schemas } });
  const [tool] = document.tools;
  const input = tool?.inputSchema as { properties: { body: JsonSchema } };
  return { ...document, body: input.properties.body, answer: tool?.outputSchema, verdict: document.ledger[0]?.verdict, notes: document.ledger[0]?.notes.map(({ code }) => code) ?? [] };
}

function compile(schema: JsonSchema | undefined, definitions: Readonly<Record<string, JsonSchema>>) {
  return new Ajv2020({ strict: false, logger: false, validateFormats: false }).compile(selfContained(schema ?? false, definitions, 1e9) ?? {});
}

describe('a schema of OpenAPI 3.0', () => {
  it.each([
    { name: 'nullable', given: { type: 'string', nullable: true }, becomes: { type: ['string', 'null'] } },
    { name: 'nullable with an enum', given: { type: 'string', nullable: true, enum: ['a'] }, becomes: { type: ['string', 'null'], enum: ['a', null] } },
    { name: 'nullable around others', given: { nullable: true, allOf: [{ type: 'object' }] }, becomes: { anyOf: [{ allOf: [{ type: 'object' }] }, { type: 'null' }] } },
    { name: 'an exclusive bound', given: { minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false }, becomes: { exclusiveMinimum: 1, maximum: 9 } },
    { name: 'an example', given: { example: 3 }, becomes: { examples: [3] } },
    { name: 'a tuple', given: { items: [{ type: 'string' }] }, becomes: { prefixItems: [{ type: 'string' }] } },
    { name: 'a discriminator without mapping', given: { discriminator: { propertyName: 'kind' } }, becomes: { discriminator: { propertyName: 'kind' } } },
    { name: 'values that stand twice in an enum', given: { enum: [1, 1, { a: 1 }, { a: 1 }] }, becomes: { enum: [1, { a: 1 }] } },
    { name: 'what documentation tools add', given: { type: 'string', xml: { name: 'x' }, externalDocs: {}, 'x-own': 1 }, becomes: { type: 'string' } },
    { name: 'a needless escape', given: { pattern: '^[\\w\\-]+\\@$' }, becomes: { pattern: '^[\\w\\x2d]+\\x40$' } },
  ])('$name is carried over', async ({ given, becomes }) => {
    const { body, verdict } = await translate(given);
    expect(body).toEqual(becomes);
    expect(verdict).toBe('exact');
  });

  it.each([
    { given: { type: 'uuid' }, note: 'keyword-of-wrong-type' },
    { given: { type: 7 }, note: 'keyword-of-wrong-type' },
    { given: { required: true }, note: 'keyword-of-wrong-type' },
    { given: { required: 'a' }, note: 'keyword-of-wrong-type' },
    { given: { properties: [] }, note: 'keyword-of-wrong-type' },
    { given: { maxLength: '5' }, note: 'keyword-of-wrong-type' },
    { given: { minItems: -1 }, note: 'keyword-of-wrong-type' },
    { given: { multipleOf: 0 }, note: 'keyword-of-wrong-type' },
    { given: { enum: [] }, note: 'keyword-of-wrong-type' },
    { given: { enum: 'a' }, note: 'keyword-of-wrong-type' },
    { given: { oneOf: {} }, note: 'keyword-of-wrong-type' },
    { given: { allOf: [] }, note: 'keyword-of-wrong-type' },
    { given: { items: 'string' }, note: 'keyword-of-wrong-type' },
    { given: { additionalProperties: 'no' }, note: 'keyword-of-wrong-type' },
    { given: { $ref: 5 }, note: 'keyword-of-wrong-type' },
    { given: { discriminator: 5 }, note: 'keyword-of-wrong-type' },
    { given: { pattern: '(' }, note: 'pattern-not-ecmascript' },
    { given: { patternProperties: { '(': {} }, additionalProperties: false }, note: 'pattern-not-ecmascript' },
    { given: { optional: true }, note: 'unknown-keyword' },
    { given: { properties: { a: 'string' } }, note: 'not-a-schema' },
    { given: 'string', note: 'not-a-schema' },
    { given: { type: 'integer', enum: ['1'] }, note: 'enum-contradicts-type' },
  ])('with $given compiles, takes more rather than less, and says so', async ({ given, note }) => {
    const { body, notes, verdict, definitions } = await translate(given);
    expect(notes).toContain(note);
    expect(verdict).toBe('exact');
    const validate = compile(body, definitions);
    const taken = note === 'enum-contradicts-type' ? ['1'] : ['1', { '(': 1 }, []];
    expect(taken.filter((value) => !validate(value))).toEqual([]);
  });

  it('that refers to nothing takes anything, and degrades the operation', async () => {
    const { body, definitions, verdict } = await translate({ type: 'object', properties: { a: { $ref: '#/components/schemas/Gone' } } });
    expect(verdict).toBe('degraded');
    expect(compile(body, definitions)({ a: [1] })).toBe(true);
  });

  it('ignores what stands beside a reference, as the specification says, but its description', async () => {
    const { body } = await translate({ $ref: '#/components/schemas/A', description: 'mine', maxLength: 1 }, '3.0.0', { A: { type: 'string' } });
    expect(body).toEqual({ $ref: '#/$defs/A', description: 'mine' });
  });
});

it('a schema of OpenAPI 3.1 keeps what stands beside a reference, its type arrays and its bounds', async () => {
  const { body } = await translate({ $ref: '#/components/schemas/A', maxLength: 1, type: ['string', 'null'], exclusiveMinimum: 3, const: 'x' }, '3.1.0', { A: { type: 'string' } });
  expect(body).toEqual({ $ref: '#/$defs/A', maxLength: 1, type: ['string', 'null'], exclusiveMinimum: 3, const: 'x' });
});

it('a schema of OpenAPI 3.1 that still says nullable takes null', async () => {
  expect((await translate({ type: ['string', 'integer'], nullable: true }, '3.1.0')).body).toEqual({ type: ['string', 'integer', 'null'] });
});

it('anchors are followed', async () => {
  const { body, definitions } = await translate({ $ref: '#pet' }, '3.1.0', { Pet: { $anchor: 'pet', type: 'integer' } });
  const validate = compile(body, definitions);
  expect([validate(1), validate('a')]).toEqual([true, false]);
});

describe('readOnly and writeOnly', () => {
  const schema = { type: 'object', required: ['id', 'secret', 'name'], properties: { id: { type: 'string', readOnly: true }, secret: { type: 'string', writeOnly: true }, name: { type: 'string' } } };
  it('are required in one direction only', async () => {
    const { body, answer, definitions } = await translate({ $ref: '#/components/schemas/User' }, '3.0.0', { User: schema });
    const [sends, answers] = [compile(body, definitions), compile(answer, definitions)];
    expect([sends({ name: 'n', secret: 's' }), sends({ name: 'n', id: 'i' })]).toEqual([true, false]);
    expect([answers({ name: 'n', id: 'i' }), answers({ name: 'n', secret: 's' })]).toEqual([true, false]);
  });
  it('are seen through allOf, references and circles', async () => {
    const { body, answer, definitions } = await translate({ $ref: '#/components/schemas/Team' }, '3.0.0', {
      Base: { type: 'object', properties: { id: { type: 'string', readOnly: true } } },
      User: { allOf: [{ $ref: '#/components/schemas/Base' }, { type: 'object', required: ['id'], properties: { team: { $ref: '#/components/schemas/Team' } } }] },
      Team: { type: 'object', properties: { lead: { $ref: '#/components/schemas/User' } } },
    });
    expect(compile(body, definitions)({ lead: { team: { lead: {} } } })).toBe(true);
    expect(compile(answer, definitions)({ lead: { id: 'i', team: { lead: {} } } })).toBe(false);
    expect(Object.keys(definitions).toSorted()).toEqual(['Base', 'Team', 'Team.response', 'User', 'User.response']);
  });
});

describe('recursion', () => {
  it('is kept by shared definitions', async () => {
    const { body, definitions, verdict } = await translate({ $ref: '#/components/schemas/Node' }, '3.0.0', { Node: { type: 'object', properties: { children: { type: 'array', items: { $ref: '#/components/schemas/Node' } }, v: { type: 'integer' } } } });
    const validate = compile(body, definitions);
    expect([validate({ children: [{ children: [{ v: 1 }] }] }), validate({ children: [{ children: [{ v: 'x' }] }] })]).toEqual([true, false]);
    expect(verdict).toBe('exact');
  });

  it.each([
    { name: 'a reference to itself', schemas: { A: { $ref: '#/components/schemas/A' } } },
    { name: 'two references to each other', schemas: { A: { $ref: '#/components/schemas/B' }, B: { $ref: '#/components/schemas/A' } } },
    { name: 'allOf itself', schemas: { A: { type: 'object', allOf: [{ $ref: '#/components/schemas/A' }] } } },
    { name: 'a base with oneOf its subtypes', schemas: { A: { type: 'object', oneOf: [{ $ref: '#/components/schemas/B' }, { $ref: '#/components/schemas/C' }] }, B: { allOf: [{ $ref: '#/components/schemas/A' }, { type: 'object', required: ['b'] }] }, C: { allOf: [{ $ref: '#/components/schemas/A' }] } } },
    { name: 'not itself', schemas: { A: { not: { $ref: '#/components/schemas/A' } } } },
  ])('without a step into the value ($name) is cut, noted, and validation ends', async ({ schemas }) => {
    const { body, definitions, notes, verdict } = await translate({ $ref: '#/components/schemas/A' }, '3.0.0', schemas);
    expect(compile(body, definitions)({ b: 1 })).toBe(true);
    expect(notes).toContain('cyclic-composition');
    expect(verdict).toBe('exact');
  });

  it('of a base with oneOf its subtypes keeps what the subtypes take from the base', async () => {
    const { body, definitions } = await translate({ $ref: '#/components/schemas/B' }, '3.0.0', { A: { type: 'object', properties: { kind: { type: 'string' } }, oneOf: [{ $ref: '#/components/schemas/B' }] }, B: { allOf: [{ $ref: '#/components/schemas/A' }] } });
    expect(compile(body, definitions)({ kind: 1 })).toBe(false);
  });

  it('through 20,000 references in a row does not exhaust the stack', async () => {
    const schemas = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`S${i}`, { properties: { next: { $ref: `#/components/schemas/S${i + 1}` } }, allOf: [{ $ref: `#/components/schemas/S${i + 1}` }] }]));
    const { tools, definitions } = await translate({ $ref: '#/components/schemas/S0' }, '3.0.0', { ...schemas, S20000: { type: 'string' } });
    expect(Object.keys(definitions)).toHaveLength(20_001);
    expect(JSON.parse(tools[0]?.listed ?? '')).toHaveProperty('inputSchema.type', 'object');
  });
});

it('names of definitions are legal in a pointer, and differ where the document\'s do', async () => {
  const { definitions } = await translate({ properties: { a: { $ref: '#/components/schemas/List%3CA%3E' }, b: { $ref: '#/components/schemas/List~1A~0' }, c: { $ref: '#/components/schemas/List~1A~0/properties/x' } } }, '3.0.0', { 'List<A>': {}, 'List/A~': { properties: { x: {} } } });
  expect(Object.keys(definitions)).toHaveLength(3);
  for (const key of Object.keys(definitions)) expect(key).toMatch(/^[A-Za-z0-9_.-]+$/);
});

it('a discriminator\'s mapping names the shared definitions; what does not exist is left out and noted', async () => {
  const { definitions, notes } = await translate({ $ref: '#/components/schemas/Pet' }, '3.0.0', { Pet: { discriminator: { propertyName: 'kind', mapping: { cat: 'Cat', dog: '#/components/schemas/Dog', cow: 'cow.yaml' } } }, Cat: {}, Dog: {} });
  expect(definitions['Pet']).toEqual({ discriminator: { propertyName: 'kind', mapping: { cat: '#/$defs/Cat', dog: '#/$defs/Dog' } } });
  expect(Object.keys(definitions).toSorted()).toEqual(['Cat', 'Dog', 'Pet']);
  expect(notes).toEqual(['discriminator-mapping']);
});

it('invisible characters do not reach descriptions', async () => {
  const { body } = await translate({ description: 'a\u200Bb\u{E0041}c\u202Ed' });
  expect(body).toEqual({ description: 'abcd' });
});
