import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import type { Budget } from './text-scanner.js';
import { MOST_STEPS, ownPattern } from './settings.js';

/** Shapes on which backtracking engines take exponential or high polynomial time, over different atoms. `Z` never occurs in the text. */
const SHAPES: readonly ((x: string) => string)[] = [
  (x) => `(${x}+)+Z`, (x) => `(${x}*)*Z`, (x) => `(${x}|${x})+Z`, (x) => `(${x}|${x}${x})+Z`, (x) => `^(${x}+)*Z$`, (x) => `(${x}+${x}+)+Z`, (x) => `((${x}+)+)+Z`, (x) => `${x}*${x}*${x}*${x}*${x}*Z`,
  (x) => `(${x}?){30}${x}{30}`, (x) => `(.*${x}){12}Z`, (x) => `(${x}{1,10}){1,10}Z`, (x) => `(${x}{1,40}){1,40}Z`, (x) => `(?:${x}|.)*Z`, (x) => `(${x}+)*(${x}+)*(${x}+)*Z`,
];
const ATOMS = ['a', '\\w', '[a-z]', '[^Z]', '.', '\\s', '\\d', '(?:ab|a)', '[a-zA-Z0-9_.-]', '(?:a|b)', '\\p{L}', '(?:\\w|\\d)', '[ab]', 'aa', '(?:a?)', '\\S'];
const CORPUS = SHAPES.flatMap((shape) => ATOMS.map(shape));
const TEXT = 'a'.repeat(3000);

function attempt(regex: string): { readonly pattern: ReturnType<typeof ownPattern> } | { readonly refused: string } {
  try { return { pattern: ownPattern({ name: 'evil', regex }, 'dlp.patterns.0') }; } catch (failure) { return { refused: String(failure) }; }
}

describe('a tenant\'s pattern', () => {
  it(`of any of ${CORPUS.length} evil shapes takes at most ${MOST_STEPS} steps for each character, or is refused by what is wrong with it`, () => {
    expect(CORPUS.length).toBeGreaterThanOrEqual(200);
    const refused: string[] = [];
    for (const regex of CORPUS) {
      const made = attempt(regex);
      if ('refused' in made) { refused.push(made.refused); continue; }
      let looks = 0;
      made.pattern.find(TEXT, () => undefined, { check: () => { looks += 1; } } as Budget);
      expect([regex, RE2JS.compile(RE2JS.translateRegExp(regex)).programSize() <= MOST_STEPS, looks <= 1 + TEXT.length]).toEqual([regex, true, true]);
    }
    for (const reason of refused) expect(reason).toMatch(/^RedactionRefused: dlp\.patterns\.0: evil: the regular expression (takes \d+ steps for each character, more than 1000|matches nothing at all|cannot be used)/);
    // Most of them are harmless here; what is refused is refused for its size.
    expect([refused.length > 0, refused.length < CORPUS.length / 4]).toEqual([true, true]);
  });
});
