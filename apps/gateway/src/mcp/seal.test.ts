import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sealWith } from './seal.js';

const seal = sealWith(new Uint8Array(32).fill(1));

describe('a sealed text', () => {
  it('opens with its key in its context, and nowhere else', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.string(), fc.string(), (text, context, other) => {
      const sealed = seal.seal(context, text);
      expect(seal.open(context, sealed)).toBe(text);
      expect(seal.open(`${context}${other}x`, sealed)).toBeUndefined();
      expect(sealWith(new Uint8Array(32).fill(2)).open(context, sealed)).toBeUndefined();
    }));
  });
  it('does not open when any one character is another', () => {
    const sealed = seal.seal('c', 'text');
    for (let i = 0; i < sealed.length; i++) expect(seal.open('c', `${sealed.slice(0, i)}${sealed[i] === 'A' ? 'B' : 'A'}${sealed.slice(i + 1)}`)).toBeUndefined();
  });
  it('has one spelling: what a lenient decoder would skip makes it another text', () => {
    const sealed = seal.seal('c', 'text');
    for (const other of [` ${sealed}`, `${sealed}\n`, `${sealed}=`, `${sealed.slice(0, 5)}*${sealed.slice(5)}`, `${sealed}!`]) expect(seal.open('c', other)).toBeUndefined();
  });
  it('is never the same twice', () => { expect(seal.seal('c', 'text')).not.toBe(seal.seal('c', 'text')); });
  it('needs a key of 32 bytes', () => { expect(() => sealWith(new Uint8Array(16))).toThrow('give 32'); });
});
