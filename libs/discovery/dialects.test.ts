import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DIALECTS, type Dialect, inDialect } from '#libs/discovery/dialects.js';
import { lintDialect } from '#libs/discovery/lint-dialect.js';

const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
/** Gemini's `nullable` in the words of 2020-12. */
const nullable = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(nullable);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { nullable: isNullable, ...rest } = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, nullable(value)]));
  return isNullable === true ? { anyOf: [rest, { type: 'null' }] } : rest;
};
const compile = (dialect: Dialect, schema: unknown): ValidateFunction => ajv.compile((dialect === 'gemini' ? nullable(schema) : schema) as object);

/** A schema, and values of its kind: most of them valid. */
const leaf = fc.oneof(
  fc.constantFrom({ type: 'string' }, { type: 'string', format: 'uuid', pattern: '^a' }, { type: 'string', enum: ['a', 'b'] }, { const: 'a' }, { enum: ['a', 1, null] }, { type: ['string', 'null'] }, { type: ['integer', 'string'] }, { type: 'integer', minimum: 1, exclusiveMaximum: 5 }, { type: 'boolean' }, {}, { type: 'array' }, { type: 'null' },
    { $ref: '#/$defs/Node' }, { type: 'number', format: 'float' }, { type: 'string', xml: {}, example: 'x' }, { type: 'object' }),
);
const schema = fc.letrec((tie) => ({
  one: fc.oneof({ depthSize: 'small' }, leaf,
    fc.record({ type: fc.constant('array'), items: tie('one') }), fc.record({ anyOf: fc.array(tie('one'), { minLength: 1, maxLength: 3 }) }), fc.record({ oneOf: fc.array(tie('one'), { minLength: 1, maxLength: 2 }) }), fc.record({ allOf: fc.array(tie('object'), { minLength: 1, maxLength: 2 }) }), tie('object')),
  object: fc.record({ type: fc.constant('object'), properties: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd e', 'ü'), tie('one'), { maxKeys: 3, noNullPrototype: true }), required: fc.uniqueArray(fc.constantFrom('a', 'b', 'd e'), { maxLength: 1 }), additionalProperties: fc.constantFrom(true, false, { type: 'string' }) }, { requiredKeys: ['type'] }),
})).object;
const value = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, fc.constantFrom('a', 'b', 'ab', 'x', 1, 2, 4, 7, 1.5, true, null), fc.array(tie('value'), { maxLength: 2 }), tie('object')),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd e', 'ü', 'name', 'next'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
})).object;
const DEFINITIONS = { Node: { type: 'object', properties: { name: { type: 'string' }, next: { anyOf: [{ $ref: '#/$defs/Node' }, { type: 'null' }] } }, required: ['name'] } };

describe.each(DIALECTS)('a tool in dialect %s', (dialect) => {
  it('has nothing that the dialect does not take, and never refuses what the full schema takes', () => {
    let taken = 0;
    fc.assert(fc.property(schema, fc.array(value, { minLength: 5, maxLength: 20 }), (made, values) => {
      const inputSchema = { ...made as object, $defs: DEFINITIONS };
      const said = JSON.parse(inDialect(JSON.stringify({ name: 't', description: 'd', inputSchema }), dialect)) as { readonly name: string; readonly inputSchema: object };
      expect(lintDialect(said, dialect)).toEqual([]);
      const full = ajv.compile(inputSchema);
      const wide = compile(dialect, said.inputSchema);
      const valid = values.filter((one) => full(one));
      taken += valid.length;
      expect(valid.filter((one) => !wide(one))).toEqual([]);
    }), { numRuns: 400 });
    expect(taken).toBeGreaterThan(500);
  });
  it('is the same text each time', () => {
    const listed = JSON.stringify({ name: 't', inputSchema: { type: 'object', properties: { a: { $ref: '#/$defs/Node' } }, $defs: DEFINITIONS } });
    expect(inDialect(listed, dialect)).toBe(inDialect(listed, dialect));
  });
});
describe('the linter', () => {
  it.each<[Dialect, object, RegExp]>([
    ['anthropic', { type: 'object', anyOf: [{}] }, /anyOf: not taken at the root/], ['anthropic', { type: 'object', properties: { 'a b': {} } }, /a b: a name/], ['openai', { type: 'object', properties: { a: { type: 'array' } } }, /array without items/],
    ['gemini', { type: 'object', properties: { a: { $ref: '#/$defs/A' } } }, /\$ref: not in the Schema object/], ['gemini', { type: 'object', properties: { a: { type: ['string', 'null'] } } }, /must be one type/], ['gemini', { type: 'object', required: ['b'] }, /b is no property/],
    ['strict-2020-12', { type: 'object', nullable: true }, /nullable: not a keyword/], ['openai', { type: 'object', properties: { a: { $ref: '#/$defs/A' } } }, /leads nowhere/], ['openai', { anyOf: [] }, /must have type object/],
  ])('of %s finds %j', (dialect, inputSchema, fault) => { expect(lintDialect({ name: 't', inputSchema }, dialect).join('\n')).toMatch(fault); });
});
