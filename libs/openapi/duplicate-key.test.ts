import fc from 'fast-check';
import { expect, it } from 'vitest';
import { findDuplicateKey } from '#libs/openapi/duplicate-key.js';

it('finds no name twice in what JSON.stringify writes', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => { expect(findDuplicateKey(JSON.stringify(value, undefined, indent))).toBeUndefined(); }));
});

it('finds a name that was written twice, wherever and however it is written', () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.jsonValue(), (object, other) => {
    const [first = ''] = Object.keys(object);
    const escaped = `"${Array.from({ length: first.length }, (_, i) => `\\u${first.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`;
    const text = `[${JSON.stringify(other)}, {"inner": ${JSON.stringify(object).slice(0, -1)}, ${escaped}: 1}}]`;
    expect(findDuplicateKey(text)?.key).toBe(first);
  }));
});
