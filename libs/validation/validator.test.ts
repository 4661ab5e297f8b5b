import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';
import { backtrackingDegree } from './pattern.js';
import { createArgumentValidator } from './validator.js';

const validator = createArgumentValidator();
const check = (inputSchema: JsonSchema, args: unknown, definitions: Definitions = {}): string[] => {
  const verdict = validator.validate({ inputSchema, definitions }, args);
  return 'issues' in verdict ? verdict.issues.map(({ pointer, message }) => `${pointer}: ${message}`) : [];
};
const object = (properties: Record<string, JsonSchema>, required: string[] = []): JsonSchema => ({ type: 'object', properties, required, additionalProperties: false });

describe('arguments', () => {
  const schema = object({ id: { type: 'integer', minimum: 1 }, kind: { enum: ['cat', 'dog'] }, 'a/b~c': { type: 'string' }, tags: { type: 'array', items: { type: 'string' } }, when: { type: 'string', format: 'date-time' }, big: { type: 'integer', format: 'int32' } }, ['id']);
  it.each([
    { name: 'pass', args: { id: 1, kind: 'cat', tags: [] }, issues: [] },
    { name: 'are told which is missing', args: {}, issues: ['/id: is required'] },
    { name: 'may be left out altogether', args: undefined, issues: ['/id: is required'] },
    { name: 'are told which is unknown', args: { id: 1, nme: 'x' }, issues: [': unknown argument "nme"'] },
    { name: 'are told all at once', args: { id: 0, kind: 'cow', tags: [1], 'a/b~c': 5 }, issues: ['/id: must be >= 1', '/kind: must be one of ["cat","dog"]', '/a~1b~0c: must be string', '/tags/0: must be string'] },
    { name: 'are never coerced', args: { id: '1' }, issues: ['/id: must be integer'] },
    { name: 'must be an object', args: [1], issues: [': must be an object'] },
    { name: 'keep the formats that are asserted', args: { id: 1, when: 'yesterday' }, issues: ['/when: must match format "date-time"'] },
    { name: 'may be any integer where a format only annotates', args: { id: 1, big: 5_000_000_000 }, issues: [] },
  ])('$name', ({ args, issues }) => { expect(check(schema, args)).toEqual(issues); });

  it('give back the very object, unchanged', () => {
    const args = { id: 1 };
    expect(validator.validate({ inputSchema: schema, definitions: {} }, args)).toEqual({ input: args });
  });

  it('give at most 20 issues', () => {
    expect(check(object({ list: { type: 'array', items: { type: 'string' } } }), { list: Array.from({ length: 100 }, () => 0) })).toHaveLength(20);
    expect(check(object({ list: { type: 'array', items: { type: 'string' } } }), { list: Array.from({ length: 100_000 }, () => 0) })).toHaveLength(1);
  });

  it('with inherited or magic names are not read from prototypes', () => {
    const magic = JSON.parse('{"id":1,"__proto__":{"polluted":true}}') as unknown;
    expect(check(schema, magic)).toEqual([': unknown argument "__proto__"']);
    expect(check(object({ constructor: { type: 'string' }, toString: { type: 'string' } }, ['constructor']), {})).toEqual(['/constructor: is required']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

const body = (ref: string): JsonSchema => object({ body: { $ref: `#/$defs/${ref}` } });

describe('definitions', () => {
  const definitions: Definitions = {
    Node: { type: 'object', properties: { value: { type: 'integer' }, next: { $ref: '#/$defs/Node' }, all: { type: 'array', items: { $ref: '#/$defs/Node' } } }, required: ['value'] },
    Base: { type: 'object', properties: { kind: { type: 'string' } }, required: ['kind'] },
    Cat: { allOf: [{ $ref: '#/$defs/Base' }, { type: 'object', properties: { lives: { type: 'integer' } } }], unevaluatedProperties: false },
    Loop: { allOf: [{ $ref: '#/$defs/Loop' }] },
    Broken: { type: 'nonsense' },
    'odd name/%': { type: 'boolean' },
  };
  it.each([
    { name: 'recurse with the data', ref: 'Node', value: { value: 1, next: { value: 2, all: [{ value: 'x' }] } }, issues: ['/body/next/all/0/value: must be integer'] },
    { name: 'keep the pointer of what is missing', ref: 'Node', value: { value: 1, next: {} }, issues: ['/body/next/value: is required'] },
    { name: 'see through references for unevaluated properties', ref: 'Cat', value: { kind: 'c', lives: 9 }, issues: [] },
    { name: 'refuse unevaluated properties', ref: 'Cat', value: { kind: 'c', dog: 1 }, issues: ['/body: unknown argument "dog"'] },
    { name: 'with odd names are found', ref: 'odd name~1%25', value: 'x', issues: ['/body: must be boolean'] },
    { name: 'that refer to themselves without end are an issue, not a crash', ref: 'Loop', value: {}, issues: [': cannot be checked: the schema refers to itself without end'] },
    { name: 'that do not exist are an issue', ref: 'Missing', value: {}, issues: [': cannot be checked: the reference #/$defs/Missing points to nothing'] },
  ])('$name', ({ ref, value, issues }) => { expect(check(body(ref), { body: value }, definitions)).toEqual(issues); });

  it('that cannot be compiled fail closed, and only where they are used', () => {
    expect(check(body('Broken'), { body: 1 }, definitions)[0]).toContain('cannot be checked');
    expect(check(body('Broken'), {}, definitions)).toEqual([]);
  });

  it('are compiled only as far as the values reach', () => {
    const many: Record<string, JsonSchema> = {};
    for (let i = 0; i < 20_000; i++) many[`T${i}`] = { type: 'object', properties: { next: { $ref: `#/$defs/T${(i + 1) % 20_000}` }, name: { type: 'string' } } };
    let touched = 0;
    const watched = new Proxy(many, { get: (target, key) => { touched += 1; return Reflect.get(target, key) as JsonSchema; } });
    expect(check(object({ body: { $ref: '#/$defs/T0' } }), { body: { next: { next: { name: 'x' } } } }, watched)).toEqual([]);
    expect(touched).toBe(3);
  });
});

const matches = (pattern: string, text: string): string[] => check(object({ s: { type: 'string', pattern } }), { s: text });

describe("a stranger's pattern", () => {
  it.each([
    { pattern: '^[a-z]{2,4}$', yes: 'abc', no: 'a1' },
    { pattern: '^[\\w\\-_]+$', yes: 'a-b', no: 'a b' },
    { pattern: '^(?=.*[A-Z])(?=.*\\d).{4,}$', yes: 'Abc1', no: 'abc1' },
    { pattern: '^(a+)+$', yes: 'aaa', no: 'aab' },
    { pattern: '^\\p{Lu}', yes: 'É', no: 'é' },
    { pattern: '(a)\\1', yes: 'aa', no: 'ab' },
  ])('means what ECMAScript means by it ($pattern)', ({ pattern, yes, no }) => {
    expect(matches(pattern, yes)).toEqual([]);
    expect(matches(pattern, no)).toEqual([expect.stringContaining('/s: must match pattern')]);
  });

  it('that is none says nothing about a value', () => { expect(matches('(?<!', 'x')).toEqual([]); });

  it.each([
    '^(a+)+$', '^(a|a)+$', '^(a|aa)*$', '(a*)*b', '^(([a-z])+.)+[A-Z]([a-z])+$', '(x+x+)+y', '^(.*a){20}$', '^(?:a?){40}a{40}$', '^(?=(a+)+$)', '(a+)+\\1$', 'a*a*a*a*a*a*b', '\\s+$', '^(\\w+\\s?)*$', '^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$',
  ])('cannot hold the process (%s)', (pattern) => {
    for (const text of [`${'a'.repeat(50_000)}!`, `${' '.repeat(50_000)}!`, `${'x'.repeat(5_000)}z`, `${'ab '.repeat(10_000)}!`]) {
      // Unguarded, most of these take minutes or years.
      for (const issue of matches(pattern, text)) expect(issue).toMatch(/must match pattern|cannot be checked in time/);
    }
  });

  it('cannot hold it by many values either: all of one call share one budget', () => {
    const schema = object({ list: { type: 'array', items: { type: 'string', pattern: '^(?=a)(a+)+$' } } });
    expect(check(schema, { list: Array.from({ length: 20 }, () => 'a'.repeat(40)).concat(`${'a'.repeat(40)}!`) })).toEqual([expect.stringContaining('cannot be checked in time')]);
    expect(check(object({ list: { type: 'array', items: { type: 'string', pattern: '^(a+)+$' } } }), { list: Array.from({ length: 200 }, () => 'a'.repeat(40)) })).toEqual([]);
  });

  it('is only run without a clock where its shape bounds it', () => {
    expect(backtrackingDegree('^[a-z]+$')).toEqual({ unbounded: 1, bounded: 1 });
    expect(backtrackingDegree('a*b*')).toEqual({ unbounded: 3, bounded: 1 });
    expect(backtrackingDegree('^a{1,3}b?$')).toEqual({ unbounded: 1, bounded: 6 });
    expect(['(a+)+', '(?:a)*', '(a)\\1', '(?=a)', '(a){3}', '\\k<x>'].filter((risky) => backtrackingDegree(risky) !== undefined)).toEqual([]);
  });
});

describe('an answer', () => {
  it('is checked against the output schema, without formats', () => {
    const target = { outputSchema: object({ at: { type: 'string', format: 'date-time' }, n: { type: 'integer' } }), definitions: {} };
    expect(validator.checkOutput(target, { at: 'yesterday', n: 1 })).toBeUndefined();
    expect(validator.checkOutput(target, { n: 'x' })).toBe('/n must be integer');
    expect(validator.checkOutput({ definitions: {} }, 1)).toBeUndefined();
  });
});

it('never throws, whatever the schema and the value', () => {
  const any = fc.jsonValue({ maxDepth: 4 });
  const keyword = fc.constantFrom('type', 'properties', 'items', 'required', 'enum', 'allOf', 'oneOf', '$ref', 'pattern', 'patternProperties', 'minimum', 'format', 'nullable', 'additionalProperties', 'if', 'not', 'unevaluatedProperties', '$dynamicRef', '$id', 'dependentRequired', 'propertyNames', 'contains', 'multipleOf');
  expect(() => fc.assert(fc.property(fc.dictionary(keyword, any), any, (schema, value) => {
    const verdict = validator.validate({ inputSchema: schema, definitions: {} }, value);
    return 'input' in verdict || (verdict.issues.length > 0 && verdict.issues.length <= 20);
  }), { numRuns: 2_000 })).not.toThrow();
});
