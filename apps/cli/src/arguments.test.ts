import { describe, expect, it } from 'vitest';
import { readArguments, type ToolInput } from './arguments.js';

const input: ToolInput = {
  properties: {
    id: { type: 'string' }, count: { type: 'integer' }, exact: { type: 'boolean' }, tags: { type: 'array', items: { type: 'string' } },
    sizes: { type: 'array', items: { type: 'integer' } }, either: { type: ['string', 'integer'] }, anything: {}, state: { enum: ['on', 'off'] },
    'a.b': { type: 'string' }, body: { $ref: '#/$defs/Pet' },
  },
  $defs: { Pet: { type: 'object', properties: { name: { type: 'string' }, age: { type: 'integer' }, owner: { $ref: '#/$defs/Pet' } } } },
};

describe('readArguments', () => {
  it.each([
    { name: 'keeps digits as text where the schema wants text', pairs: ['id=007'], is: { id: '007' } },
    { name: 'keeps quotes where the schema wants text', pairs: ['id="x"'], is: { id: '"x"' } },
    { name: 'reads an integer', pairs: ['count=3'], is: { count: 3 } },
    { name: 'leaves a wrong integer as text, for the server to refuse', pairs: ['count=three'], is: { count: 'three' } },
    { name: 'reads a boolean', pairs: ['exact=true'], is: { exact: true } },
    { name: 'keeps = inside a value', pairs: ['id=a=b'], is: { id: 'a=b' } },
    { name: 'keeps an empty value', pairs: ['id='], is: { id: '' } },
    { name: 'reads a JSON array', pairs: ['tags=["a","b"]'], is: { tags: ['a', 'b'] } },
    { name: 'makes an array of one', pairs: ['tags=a'], is: { tags: ['a'] } },
    { name: 'makes an array of a repeated key', pairs: ['sizes=1', 'sizes=2'], is: { sizes: [1, 2] } },
    { name: 'prefers the other type where text is allowed too', pairs: ['either=5'], is: { either: 5 } },
    { name: 'reads any JSON where no type is known', pairs: ['anything={"x":1}'], is: { anything: { x: 1 } } },
    { name: 'takes the type of an enum from its values', pairs: ['state=on'], is: { state: 'on' } },
    { name: 'reads JSON for an object', pairs: ['body={"name":"Rex"}'], is: { body: { name: 'Rex' } } },
    { name: 'sets a property inside the body by its own type', pairs: ['body.name=7', 'body.age=7'], is: { body: { name: '7', age: 7 } } },
    { name: 'goes as deep as the schema', pairs: ['body.owner.age=7'], is: { body: { owner: { age: 7 } } } },
    { name: 'takes a dotted name that exists whole', pairs: ['a.b=1'], is: { 'a.b': '1' } },
    { name: 'passes an unknown name on, for the server to refuse', pairs: ['nope=1'], is: { nope: 1 } },
  ])('$name', ({ pairs, is }) => { expect(readArguments(pairs, input)).toEqual(is); });

  it('treats __proto__ as a name like any other', () => {
    expect(Object.keys(readArguments(['__proto__=1'], {}))).toEqual(['__proto__']);
  });
  it('refuses a pair without =', () => {
    expect(() => readArguments(['count'], input)).toThrow('--arg count is not of the form name=value');
  });
});
