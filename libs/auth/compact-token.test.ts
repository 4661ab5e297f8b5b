import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasDuplicateMembers, readCompactToken } from './compact-token.js';
import { part } from './fake-issuer.contract.js';

const escaped = (name: string): string => `"${Array.from({ length: name.length }, (_, at) => String.raw`\u` + name.charCodeAt(at).toString(16).padStart(4, '0')).join('')}"`;

describe('duplicate members', () => {
  it('are never seen in what JSON.stringify wrote, whatever the names and values', () => {
    fc.assert(fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1), (value, indent) => { expect(hasDuplicateMembers(JSON.stringify(value, undefined, indent))).toBe(false); }));
  });
  it('are seen wherever one is added, also in another spelling', () => {
    fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), fc.jsonValue(), fc.boolean(), (object, sibling, escape) => {
      const [name = ''] = Object.keys(object);
      const inner = JSON.stringify(object).replace(/\}$/, `,${escape ? escaped(name) : JSON.stringify(name)}:0}`);
      expect(hasDuplicateMembers(`[${JSON.stringify(sibling)},{"deeper":${inner}}]`)).toBe(true);
    }));
  });
});

it('takes any text apart without throwing, and never finds a token in it by chance', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => { expect(readCompactToken(text)).toHaveProperty('fault'); }));
  fc.assert(fc.property(fc.json(), fc.json(), (header, payload) => { expect(readCompactToken(`${part(header)}.${part(payload)}.c2ln`)).toBeTypeOf('object'); }));
});
it('survives nesting as deep as a token can hold', () => {
  expect(readCompactToken(`${part({ alg: 'RS256', kid: 'k' })}.${part(`{"iss":"i","a":${'['.repeat(2900)}${']'.repeat(2900)}}`)}.c2ln`)).toMatchObject({ issuer: 'i' });
});
