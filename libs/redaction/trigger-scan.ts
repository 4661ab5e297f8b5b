/** What a text holds that a pattern could begin with; each a bit. */
export const TRIGGER = {
  at: 1,
  /** A run of at least 15 letters, digits, `+`, `/`, `_` or `-`: keys, tokens, base64, IBANs. */
  longRun: 2,
  /** At least 9 digits with at most one separator between each two. */
  digits: 4,
  /** `%` or a backslash: characters may be written as escapes. */
  escapes: 8,
  nonAscii: 16,
  dashes: 32,
  /** At least 7 digits: a telephone number. */
  fewDigits: 64,
} as const;

const RUN = 15;
// Of each ASCII character: 1 in a run, 2 a digit, 4 a separator between digits, 8 `@`, 16 an escape.
const CLASS = new Uint8Array(128);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-') CLASS[char.charCodeAt(0)]! |= 1;
for (const char of '0123456789') CLASS[char.charCodeAt(0)]! |= 2;
for (const char of ' -.()/') CLASS[char.charCodeAt(0)]! |= 4;
CLASS[64]! |= 8;
CLASS[37]! |= 16;
CLASS[92]! |= 16;

/**
 * One look at each character decides which patterns are worth asking. Answers 0 for a text that none of the shipped patterns
 * can match, written plainly or as escapes, base64 or in compatibility forms of Unicode.
 */
export function triggersOf(text: string, from = 0, to = text.length): number {
  let found = 0;
  let run = 0;
  let digits = 0;
  let separated = false;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (code > 127) { found |= TRIGGER.nonAscii; run = 0; digits = 0; continue; }
    const kind = CLASS[code]!;
    if ((kind & 1) !== 0) {
      run += 1;
      if (run === RUN) found |= TRIGGER.longRun;
    } else run = 0;
    if ((kind & 2) !== 0) {
      digits += 1;
      separated = false;
      if (digits === 9) found |= TRIGGER.digits;
      else if (digits === 7) found |= TRIGGER.fewDigits;
    } else if (digits > 0) {
      if ((kind & 4) === 0 || (separated && code !== 40 && code !== 41)) digits = 0;
      else separated = true;
    }
    if (kind >= 8) found |= (kind & 8) !== 0 ? TRIGGER.at : TRIGGER.escapes;
    else if (code === 45 && run >= 5 && text.charCodeAt(at - 4) === 45 && text.startsWith('-----', at - 4)) found |= TRIGGER.dashes;
  }
  return found;
}
