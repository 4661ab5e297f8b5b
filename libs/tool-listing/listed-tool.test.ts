/* oxlint-disable unicorn/consistent-function-scoping -- helpers stand beside the cases that use them */
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { LISTED_BUDGET, LISTED_SCHEMA_CAP } from '#libs/tool-listing/listed-tool.js';
import { reduceSchema } from '#libs/tool-listing/reduce-schema.js';
import { definitionsNamedIn, selfContained } from '#libs/tool-listing/self-contained.js';

const ajv = () => new Ajv2020({ strict: false, logger: false, validateFormats: false });

const scalar = fc.oneof(
  fc.record({ type: fc.constantFrom('string', 'integer', 'boolean', 'null', 'number') }),
  fc.record({ type: fc.constant('string'), minLength: fc.nat(2), pattern: fc.constantFrom('^a', 'b$') }, { requiredKeys: ['type'] }),
  fc.record({ type: fc.constant('integer'), minimum: fc.nat(3), maximum: fc.integer({ min: 3, max: 9 }) }, { requiredKeys: ['type'] }),
  fc.record({ enum: fc.uniqueArray(fc.constantFrom('a', 'ab', 1, null, true), { minLength: 1 }) }),
  fc.record({ const: fc.constantFrom<unknown>('a', 1, null) }),
  fc.constantFrom<JsonSchema>(true, {}, { $ref: '#/$defs/A' }, { $ref: '#/$defs/B' }),
);
const KEYS = ['p', 'q', 'r'];
const schemas = fc.letrec<{ schema: JsonSchema; object: JsonSchemaObject }>((tie) => ({
  schema: fc.oneof({ maxDepth: 3 },
    scalar,
    tie('object'),
    fc.record({ type: fc.constant('array'), items: tie('schema'), maxItems: fc.constant(3), prefixItems: fc.array(tie('schema'), { minLength: 1, maxLength: 2 }) }, { requiredKeys: ['type'] }),
    fc.record({ oneOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ anyOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }), description: fc.string() }, { requiredKeys: ['anyOf'] }),
    fc.record({ allOf: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }), type: fc.constant('object') }, { requiredKeys: ['allOf'] }),
    fc.record({ allOf: fc.array(tie('object'), { minLength: 1, maxLength: 3 }), anyOf: fc.array(tie('object'), { minLength: 1, maxLength: 2 }), properties: fc.dictionary(fc.constantFrom(...KEYS), tie('schema'), { maxKeys: 2 }), additionalProperties: tie('schema') }, { requiredKeys: ['allOf'] }),
    fc.record({ not: tie('schema') }),
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    fc.record({ if: tie('schema'), then: tie('schema'), else: tie('schema') }),
    fc.record({ $ref: fc.constantFrom('#/$defs/A', '#/$defs/B'), description: fc.string(), properties: fc.dictionary(fc.constantFrom(...KEYS), tie('schema'), { maxKeys: 2 }) }, { requiredKeys: ['$ref'] }),
  ) as fc.Arbitrary<JsonSchema>,
  object: fc.record({
    type: fc.constant('object'),
    properties: fc.dictionary(fc.constantFrom(...KEYS), tie('schema'), { maxKeys: 3 }),
    required: fc.subarray(KEYS),
    additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
    patternProperties: fc.dictionary(fc.constantFrom('^q', 'r'), tie('schema'), { maxKeys: 1 }),
    unevaluatedProperties: fc.boolean(),
    description: fc.string(),
  }, { requiredKeys: ['type'] }) as fc.Arbitrary<JsonSchemaObject>,
}));
const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, fc.constantFrom<unknown>('a', 'ab', 'b', 1, 4, null, true, 0.5), fc.dictionary(fc.constantFrom(...KEYS, 's'), tie('value'), { maxKeys: 3 }), fc.array(tie('value'), { maxLength: 3 })),
})).value;
const reductions = fc.record({ depth: fc.nat(4), text: fc.constantFrom(0, 5, 100), constraints: fc.boolean() });

describe('a reduced schema', () => {
  it('takes every value that the full one takes', () => {
    let compared = 0;
    // Definitions lead into the value, so that no validation goes round for ever.
    const definitions = fc.record({ A: fc.record({ type: fc.constant('object'), properties: fc.record({ p: schemas.schema }), additionalProperties: fc.constant(false) }), B: fc.record({ items: schemas.schema, not: fc.record({ const: fc.constant('ab') }) }, { requiredKeys: ['items'] }) }) as fc.Arbitrary<Record<string, JsonSchema>>;
    fc.assert(fc.property(schemas.schema, definitions, reductions, fc.array(values, { minLength: 20, maxLength: 30 }), (schema, pool, reduction, candidates) => {
      const reduced = reduceSchema(schema, pool, reduction, 100_000);
      if (reduced === undefined) throw new Error('there was room');
      const [full, wide] = [ajv().compile(selfContained(schema, pool, 1e9) ?? {}), ajv().compile(reduced)];
      for (const value of candidates) {
        if (!full(value)) continue;
        compared += 1;
        if (!wide(value)) throw new Error(`${JSON.stringify(value)} is refused by ${JSON.stringify(reduced)}`);
      }
    }), { numRuns: 60 });
    expect(compared).toBeGreaterThan(200);
  });

  it.each<{ name: string; schema: JsonSchemaObject; value: unknown }>([
    { name: 'patternProperties beside additionalProperties: false', schema: { properties: { a: {} }, patternProperties: { '^x': {} }, additionalProperties: false }, value: { xy: 1 } },
    { name: 'patternProperties beside an additionalProperties schema', schema: { patternProperties: { '^x': {} }, additionalProperties: { type: 'string' } }, value: { xy: 1 } },
    { name: 'prefixItems beside items', schema: { prefixItems: [{ type: 'string' }], items: { type: 'integer' } }, value: ['a', 1] },
    { name: 'oneOf whose branches only differ deep down', schema: { oneOf: ['a', 'b'].map((k) => ({ properties: { x: { properties: { y: { const: k } } } } })) }, value: { x: { y: 'a' } } },
    { name: 'not', schema: { not: { properties: { x: { properties: { y: { const: 1 } } } }, required: ['x'] } }, value: { x: { y: 2 } } },
    // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
    { name: 'if, then and else', schema: { if: { properties: { x: { const: 1 } } }, then: { required: ['a'] }, else: { required: ['b'] } }, value: { x: 2, b: 1 } },
    { name: 'unevaluatedProperties over allOf', schema: { allOf: [{ $ref: '#/$defs/A' }], unevaluatedProperties: false }, value: { p: 1 } },
    { name: 'additionalProperties: false beside allOf', schema: { properties: { a: {} }, additionalProperties: false, allOf: [{ properties: { b: { type: 'string' } } }] }, value: { a: 1 } },
    { name: 'additionalProperties: false inside allOf', schema: { allOf: [{ properties: { a: {} }, additionalProperties: false }, { required: ['a'] }, { properties: { a: { type: 'integer' } } }] }, value: { a: 1 } },
    { name: 'required twice', schema: { required: ['a'], allOf: [{ required: ['b'] }] }, value: { a: 1, b: 1 } },
    { name: 'bounds that contain does not give to all items', schema: { contains: { const: 1 }, maxContains: 1 }, value: [1, 2] },
  ])('takes what the full one takes ($name) at every depth', ({ schema, value }) => {
    const pool = { A: { properties: { p: { type: 'integer' } } } };
    expect(ajv().compile(selfContained(schema, pool, 1e9) ?? {})(value)).toBe(true);
    for (const depth of [0, 1, 2, 3]) for (const constraints of [true, false]) {
      const reduced = reduceSchema(schema, pool, { depth, text: 0, constraints }, 10_000);
      expect({ depth, reduced, takes: ajv().compile(reduced ?? false)(value) }).toMatchObject({ takes: true });
    }
  });

  it('has no reference', () => {
    const reduced = reduceSchema({ type: 'object', properties: { a: { $ref: '#/$defs/A' } } }, { A: { type: 'object', properties: { a: { $ref: '#/$defs/A' } } } }, { depth: 3, text: 0, constraints: true }, 1000);
    expect(reduced).toEqual({ type: 'object', properties: { a: { type: 'object', properties: { a: { type: 'object', properties: { a: { type: 'object' } } } } } } });
  });

  it('is not made when there is no room for it', () => { expect(reduceSchema({ type: 'object', properties: { a: { type: 'string' } } }, {}, { depth: 2, text: 0, constraints: false }, 20)).toBeUndefined(); });
});

describe('an entry of tools/list', () => {
  const wide = (width: number, depth: number): object => (depth === 0 ? { type: 'string', description: 'A field with a description of some length.' } : { type: 'object', properties: Object.fromEntries(Array.from({ length: width }, (_, i) => [`field${i}`, wide(width, depth - 1)])) });
  const listedOf = async (operation: object, components: object = {}) => {
    const { tools, definitions } = await convertDocument(new TextEncoder().encode(JSON.stringify({ openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }], paths: { '/a': { post: { operationId: 'op', summary: 'Sum', ...operation } } }, components: { schemas: components } })), {});
    const [tool] = tools;
    return { tool, definitions, text: tool?.listed ?? '', listed: JSON.parse(tool?.listed ?? '{}') as { inputSchema: JsonSchemaObject; outputSchema?: JsonSchemaObject } };
  };
  const json = (schema: object) => ({ content: { 'application/json': { schema } } });

  it('has the full schemas, and the definitions they lead to, when they fit', async () => {
    const { listed } = await listedOf({ requestBody: json({ $ref: '#/components/schemas/Node' }), responses: { 200: json({ $ref: '#/components/schemas/Node' }) } }, { Node: { type: 'object', properties: { next: { $ref: '#/components/schemas/Node' } } } });
    const node = { type: 'object', properties: { next: { $ref: '#/$defs/Node' } } };
    expect(listed).toEqual({
      name: 'op', title: 'Sum', description: 'Sum',
      inputSchema: { type: 'object', properties: { body: { $ref: '#/$defs/Node' } }, additionalProperties: false, $defs: { Node: node } },
      outputSchema: { type: 'object', $ref: '#/$defs/Node', $defs: { Node: node } },
      annotations: { title: 'Sum', readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
    });
  });

  it('stays within its budget however large the schemas are, and keeps every argument', async () => {
    const { listed, text } = await listedOf({ parameters: [{ name: 'q', in: 'query', required: true, schema: { type: 'integer' } }], requestBody: json(wide(10, 4)), responses: { 200: json(wide(10, 4)) } });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(LISTED_BUDGET);
    expect(listed.inputSchema).toMatchObject({ type: 'object', required: ['q'], properties: { q: { type: 'integer' }, body: { type: 'object' } } });
    expect(listed.outputSchema).toMatchObject({ type: 'object' });
  });

  it('exceeds its budget for the names of arguments, but never the cap of a schema', async () => {
    const parameters = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `parameter_number_${i}`, in: 'query', required: i === 0, description: 'x'.repeat(100), schema: { type: 'string' } }));
    const many = await listedOf({ parameters: parameters(200), responses: {} });
    expect(Object.keys(many.listed.inputSchema['properties'] as object)).toHaveLength(200);
    const tooMany = await listedOf({ parameters: parameters(5000), responses: {} });
    expect(Buffer.byteLength(JSON.stringify(tooMany.listed.inputSchema))).toBeLessThanOrEqual(LISTED_SCHEMA_CAP);
    expect(tooMany.listed.inputSchema).toEqual({ type: 'object', required: ['parameter_number_0'] });
    expect(tooMany.tool?.inputSchema).toHaveProperty('properties.parameter_number_4999');
  });

  it('never has a reference that leads nowhere, not even in a discriminator', async () => {
    const pet = { type: 'object', discriminator: { propertyName: 'k', mapping: { cat: '#/components/schemas/Cat' } }, properties: { k: { type: 'string' } } };
    const { listed, definitions } = await listedOf({ requestBody: json({ $ref: '#/components/schemas/Pet' }), responses: {} }, { Pet: pet, Cat: { allOf: [{ $ref: '#/components/schemas/Pet' }] } });
    expect(definitionsNamedIn(definitions['Pet'])).toEqual(new Set(['Cat']));
    for (const key of definitionsNamedIn(listed.inputSchema)) expect(listed.inputSchema['$defs']).toHaveProperty(key);
  });
});
