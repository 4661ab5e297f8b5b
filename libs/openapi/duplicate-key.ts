export interface DuplicateKey { readonly key: string; readonly offset: number }

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;

/**
 * The first name that stands twice in one object of well-formed JSON. RFC 8259 §4 leaves open which of the two counts, and
 * `JSON.parse` silently takes the last: a path written twice would lose its operations.
 */
export function findDuplicateKey(text: string): DuplicateKey | undefined {
  /** Names of each open object; undefined for an open array. */
  const open: (Set<string> | undefined)[] = [];
  let names: Set<string> | undefined;
  let isName = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case OPEN_BRACE: names = new Set(); open.push(names); isName = true; break;
      case OPEN_BRACKET: names = undefined; open.push(names); isName = false; break;
      case CLOSE_BRACE: case CLOSE_BRACKET: open.pop(); names = open.at(-1); isName = false; break;
      case COMMA: isName = names !== undefined; break;
      case QUOTE: {
        const end = endOfString(text, i);
        if (isName && names) {
          const raw = text.slice(i + 1, end);
          const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
          if (names.has(key)) return { key, offset: i };
          names.add(key);
          isName = false;
        }
        i = end;
        break;
      }
      default:
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}
