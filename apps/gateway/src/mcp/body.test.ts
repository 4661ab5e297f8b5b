import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BodyFault, parseBody } from './body.js';

const parse = (text: string): unknown => parseBody(Buffer.from(text));
const wrap = (inner: string): string => `{"params":{"arguments":${inner}}}`;

describe('parseBody', () => {
  it.each([
    { name: 'a truncated body', text: '{"a":', kind: 'syntax', says: 'not JSON' },
    { name: 'an empty body', text: '', kind: 'syntax', says: 'not JSON' },
    { name: '500,000 levels of arrays', text: '['.repeat(500_000) + ']'.repeat(500_000), kind: 'structure', says: 'deeper than 64' },
    { name: '500,000 levels never closed', text: '{"a":'.repeat(500_000), kind: 'structure', says: 'deeper than 64' },
    { name: '65 levels', text: '['.repeat(65) + ']'.repeat(65), kind: 'structure', says: 'deeper than 64' },
    { name: '10,001 members', text: `{${Array.from({ length: 10_001 }, (_, i) => `"k${i}":1`).join(',')}}`, kind: 'structure', says: 'more than 10000 members' },
    { name: 'a repeated name', text: wrap('{"a":1,"b":{"c":1,"c":2}}'), kind: 'structure', says: '/params/arguments/b/c is given twice' },
    { name: 'a name repeated by an escape', text: wrap('{"a":1,"\\u0061":2}'), kind: 'structure', says: '/params/arguments/a is given twice' },
    { name: '__proto__', text: wrap('{"__proto__":{"polluted":true}}'), kind: 'structure', says: '/params/arguments/__proto__ is not allowed' },
    { name: '__proto__ behind an escape', text: wrap('{"\\u005f_proto__":1}'), kind: 'structure', says: '__proto__ is not allowed' },
    { name: 'a lone high surrogate', text: wrap('{"a":["x","\\ud83d"]}'), kind: 'structure', says: '/params/arguments/a/1 has a lone surrogate' },
    { name: 'a lone low surrogate as a name', text: wrap('{"\\uDC00":1}'), kind: 'structure', says: 'lone surrogate' },
    { name: 'an integer of 2^53', text: wrap('{"id":9007199254740992}'), kind: 'structure', says: '/params/arguments/id cannot be kept' },
    { name: 'an integer that would change', text: wrap('[1,-9007199254740993]'), kind: 'structure', says: '/params/arguments/1 cannot be kept' },
    { name: 'an integer with a fraction that would change', text: wrap('9007199254740993.0'), kind: 'structure', says: 'cannot be kept' },
    { name: 'an overflow', text: wrap('{"a~b":{"c/d":1e400}}'), kind: 'structure', says: '/params/arguments/a~0b/c~1d cannot be kept' },
    { name: 'an underflow', text: wrap('1e-400'), kind: 'structure', says: 'cannot be kept' },
  ])('refuses $name', ({ text, kind, says }) => {
    const fault = parse(text);
    expect(fault).toBeInstanceOf(BodyFault);
    expect((fault as BodyFault).kind).toBe(kind);
    expect((fault as BodyFault).message).toContain(says);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('refuses bytes that are not UTF-8, and an overlong or surrogate encoding', () => {
    for (const bytes of [[0x22, 0xff, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xc0, 0x80, 0x22]]) expect(parseBody(Buffer.from(bytes))).toMatchObject({ kind: 'syntax' });
  });

  it.each(['9007199254740991', '-9007199254740991', '0.1', '1e3', '1.5e300', '1e30', '0e5', '0.0', '123456789012345678e-5'])('keeps the number %s', (text) => {
    expect(parse(wrap(text))).toEqual(JSON.parse(wrap(text)));
  });

  it('keeps surrogate pairs, escapes, keys that look like structure, and 64 levels', () => {
    for (const text of ['{"a":"\\ud83d\\ude00"}', '{"{\\"a\\":1}":"[[[["}', '{"a":"\\\\"}', '{"constructor":1}', '['.repeat(64) + ']'.repeat(64)]) expect(parse(text)).toEqual(JSON.parse(text));
  });

  it('reads every document of unrepeated names as JSON.parse does', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const got = parse(text);
      expect(got instanceof BodyFault ? JSON.parse(text) as unknown : got).toEqual(JSON.parse(text));
      expect(got instanceof BodyFault ? got.message : 'cannot be kept').toMatch(/cannot be kept|__proto__|surrogate/);
    }), { numRuns: 500 });
  });

  it('finds any one repeated name, wherever it is', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), fc.string(), fc.jsonValue({ maxDepth: 2 }), (value, name, other) => {
      const text = `{"x":${JSON.stringify(value)},"y":[{${JSON.stringify(name)}:${JSON.stringify(other)},"q":0,${JSON.stringify(name)}:1}]}`;
      expect(parse(text)).toBeInstanceOf(BodyFault);
    }), { numRuns: 300 });
  });
});
