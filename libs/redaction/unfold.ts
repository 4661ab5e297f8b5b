/** A text as a reader would understand it, and where each of its characters stands in what was written. */
export interface Unfolded { readonly text: string; /** One longer than `text`: the last is the original's end. */ readonly from: readonly number[] }

// What nobody sees between two letters: soft hyphen, zero-width and direction marks, variation selectors.
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;
const ESCAPE = /%([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})/y;

/** Percent and backslash escapes of ASCII read, compatibility forms folded (NFKC), invisible characters left out; undefined when that is the text itself. */
export function unfold(written: string): Unfolded | undefined {
  let text = '';
  const from: number[] = [];
  let differs = false;
  const add = (chars: string, at: number): void => { for (let n = 0; n < chars.length; n += 1) from.push(at); text += chars; };
  for (let at = 0; at < written.length;) {
    const code = written.charCodeAt(at);
    if (code === 37 || code === 92) {
      ESCAPE.lastIndex = at;
      const [whole, percent, long, short] = ESCAPE.exec(written) ?? [];
      const value = Number.parseInt(percent ?? long ?? short ?? '', 16);
      if (whole !== undefined && value >= 32 && value < 127) {
        add(String.fromCharCode(value), at);
        at += whole.length;
        differs = true;
        continue;
      }
    }
    if (code < 128) { from.push(at); text += written[at]!; at += 1; continue; }
    const char = String.fromCodePoint(written.codePointAt(at)!);
    if (INVISIBLE.test(char)) differs = true;
    else {
      const folded = char.normalize('NFKC');
      if (folded !== char) differs = true;
      add(folded, at);
    }
    at += char.length;
  }
  if (!differs) return undefined;
  from.push(written.length);
  return { text, from };
}
