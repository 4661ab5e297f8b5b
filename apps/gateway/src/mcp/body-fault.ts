interface Container { readonly names: Set<string> | undefined; name: string; index: number }

/**
 * Walks a valid JSON text once more and answers what two readers could understand differently, with the JSON Pointer (RFC 6901)
 * of its place; undefined when there is nothing. Off the hot path: called for suspicious bodies only.
 */
export function explain(text: string): string | undefined {
  const open: Container[] = [];
  let expectName = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    const inside = open.at(-1);
    if (char === '"') {
      const end = endOfString(text, at);
      const value = JSON.parse(text.slice(at, end + 1)) as string;
      at = end;
      if (expectName && inside?.names) {
        if (inside.names.has(value)) return `The member ${pointer(open, value)} is given twice.`;
        inside.names.add(value);
        inside.name = value;
        expectName = false;
        if (value === '__proto__') return `The member ${pointer(open)} is not allowed.`;
        if (!value.isWellFormed()) return `The member name at ${pointer(open.slice(0, -1))} has a lone surrogate.`;
      } else if (!value.isWellFormed()) return `The string at ${pointer(open)} has a lone surrogate.`;
    } else if (char === '{') {
      open.push({ names: new Set(), name: '', index: -1 });
      expectName = true;
    } else if (char === '[') {
      open.push({ names: undefined, name: '', index: 0 });
      expectName = false;
    } else if (char === '}' || char === ']') {
      open.pop();
      expectName = false;
    } else if (char === ',') {
      if (inside?.names) expectName = true;
      else if (inside) inside.index++;
    } else if (char === '-' || (char >= '0' && char <= '9')) {
      const [token] = /^-?[\d.eE+-]+/.exec(text.slice(at, at + 2_000)) ?? [char];
      if (altered(token)) return `The number at ${pointer(open)} cannot be kept exactly: send it as a string, or within ±(2^53 − 1).`;
      at += token.length - 1;
    }
  }
  return undefined;
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}

/** The significant digits of a JSON number. */
const digits = (token: string): string => token.replace(/^-/, '').replace(/[eE].*$/, '').replace('.', '').replace(/^0+/, '').replace(/0+$/, '');

/** Whether a JSON number becomes another one in IEEE 754 double precision: integers beyond ±(2^53 − 1), overflow, underflow to zero. */
function altered(token: string): boolean {
  const value = Number(token);
  if (!Number.isFinite(value)) return true;
  if (/^-?\d+$/.test(token)) return !Number.isSafeInteger(value);
  if (value === 0) return digits(token) !== '';
  return Math.abs(value) > Number.MAX_SAFE_INTEGER && digits(token) !== digits(String(value));
}

function pointer(open: readonly Container[], last?: string): string {
  const names = open.map((container) => (container.names ? container.name : String(container.index)));
  if (last !== undefined) names[names.length - 1] = last;
  return names.length === 0 ? '/' : names.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
