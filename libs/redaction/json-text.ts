import type { Budget } from './text-scanner.js';

/** Where a token of a JSON text stands: keys and indices from the root. */
export type Path = readonly (string | number)[];
export interface JsonToken { readonly kind: 'key' | 'string' | 'number' | 'literal'; readonly path: Path; /** Of a string or key: its value; else as written. */ readonly value: string }

export interface JsonEditor {
  readonly wants: (kind: JsonToken['kind'], json: string, start: number, end: number) => boolean;
  /** JSON in the token's place, or undefined to leave it. */
  readonly edit: (token: JsonToken) => string | undefined;
}

const valueOf = (raw: string): string => (raw.includes('\\') ? JSON.parse(raw) as string : raw.slice(1, -1));

/**
 * A valid JSON text with some of its strings, keys and numbers replaced; every other byte stays, numbers beyond 2^53 and the order of
 * members included. `wants` is asked first, with the token's place in the text. Without recursion, so that depth does not matter.
 */
export function editJson(json: string, { wants, edit }: JsonEditor, budget: Budget): string {
  // Of a member its key as written, from `path` to before `ends`; of an element its index, and no end.
  const path: number[] = [];
  const ends: number[] = [];
  const stand = (): Path => path.map((at, depth) => (ends[depth]! < 0 ? at : valueOf(json.slice(at, ends[depth]))));
  const containers: ('object' | 'array')[] = [];
  let isKey = false;
  let out = '';
  let from = 0;
  let tokens = 0;
  const token = (kind: JsonToken['kind'], start: number, end: number): void => {
    if ((tokens += 1) % 256 === 0) budget.check();
    if (kind === 'key') { path[path.length - 1] = start; ends[ends.length - 1] = end; }
    if (!wants(kind, json, start, end)) return;
    const raw = json.slice(start, end);
    const edited = edit({ kind, path: stand(), value: kind === 'string' || kind === 'key' ? valueOf(raw) : raw });
    if (edited === undefined) return;
    out += json.slice(from, start) + edited;
    from = end;
  };
  for (let at = 0; at < json.length;) {
    const code = json.charCodeAt(at);
    switch (code) {
      case 123: containers.push('object'); path.push(0); ends.push(0); isKey = true; at += 1; break;
      case 91: containers.push('array'); path.push(0); ends.push(-1); at += 1; break;
      case 125: case 93: containers.pop(); path.pop(); ends.pop(); isKey = false; at += 1; break;
      case 44: if (containers.at(-1) === 'object') isKey = true; else path[path.length - 1]! += 1; at += 1; break;
      case 58: isKey = false; at += 1; break;
      case 32: case 9: case 10: case 13: at += 1; break;
      case 34: { const end = stringEnd(json, at); token(isKey ? 'key' : 'string', at, end); at = end; break; }
      default: { const end = scalarEnd(json, at); token(code === 45 || (code >= 48 && code <= 57) ? 'number' : 'literal', at, end); at = end; }
    }
  }
  return from === 0 ? json : out + json.slice(from);
}

function stringEnd(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote !== -1; quote = json.indexOf('"', quote + 1)) {
    let slashes = 0;
    while (json.charCodeAt(quote - 1 - slashes) === 92) slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
  }
  return json.length;
}
function scalarEnd(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && !',]} \t\n\r'.includes(json[at]!)) at += 1;
  return at;
}
