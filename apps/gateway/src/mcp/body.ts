import { isUtf8 } from 'node:buffer';
import { explain } from './body-fault.js';

/** Nesting and member limits of a JSON-RPC body; the byte limit is the route's. */
const BODY_LIMITS = { depth: 64, members: 10_000 } as const;

/** Why a body is refused: not JSON at all, or JSON that two readers could understand differently. */
export class BodyFault {
  constructor(readonly kind: 'syntax' | 'structure', readonly message: string) {}
}

const QUOTE = 0x22, BACKSLASH = 0x5c, COLON = 0x3a, MINUS = 0x2d, ZERO = 0x30, NINE = 0x39;
const OPEN_OBJECT = 0x7b, CLOSE_OBJECT = 0x7d, OPEN_ARRAY = 0x5b, CLOSE_ARRAY = 0x5d;
const LOWER_U = 0x75, LOWER_D = 0x64, UPPER_D = 0x44;
/** The longest digit run that cannot leave ±(2^53 − 1). */
const SAFE_DIGITS = 15;

/**
 * The value of a JSON text (RFC 8259), or why it is refused: invalid UTF-8, malformed, deeper than 64, more than 10,000 members,
 * a repeated member name, a member named `__proto__`, a lone surrogate, or a number that JavaScript would alter (an integer
 * beyond ±(2^53 − 1), overflow). One scan of the bytes settles depth, counts and what is suspicious; only suspicious
 * bodies are looked at again, to name the place.
 */
export function parseBody(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) return new BodyFault('syntax', 'The body is not valid UTF-8.');
  let depth = 0;
  let members = 0;
  let suspicious = false;
  const end = bytes.length;
  for (let at = 0; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      for (at++; at < end; at++) {
        const inside = bytes[at]!;
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) {
          at++;
          // \ud800–\udfff: the only way that a surrogate gets into valid UTF-8.
          if (bytes[at] === LOWER_U && (bytes[at + 1] === LOWER_D || bytes[at + 1] === UPPER_D)) suspicious = true;
        }
      }
    } else if (byte === COLON) {
      if (++members > BODY_LIMITS.members) return new BodyFault('structure', `The body has more than ${BODY_LIMITS.members} members.`);
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (++depth > BODY_LIMITS.depth) return new BodyFault('structure', `The body is nested deeper than ${BODY_LIMITS.depth} levels.`);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--;
    } else if (byte === MINUS || (byte >= ZERO && byte <= NINE)) {
      const start = at;
      let plain = true;
      for (at++; at < end; at++) {
        const next = bytes[at]!;
        if (next >= ZERO && next <= NINE) continue;
        if (next !== 0x2e && next !== 0x65 && next !== 0x45 && next !== 0x2b && next !== MINUS) break;
        plain = false;
      }
      if (!plain || at - start > SAFE_DIGITS) suspicious = true;
      at--;
    }
  }
  const text = bytes.toString('utf8');
  let value: unknown;
  try { value = JSON.parse(text); } catch (error) {
    return new BodyFault('syntax', `The body is not JSON: ${error instanceof Error ? error.message.slice(0, 120) : 'syntax error'}`);
  }
  // Every colon outside a string is one member: fewer keys than colons means that a name was repeated.
  if (suspicious || (typeof value === 'object' && value !== null && countKeys(value) !== members)) {
    const fault = explain(text);
    if (fault !== undefined) return new BodyFault('structure', fault);
  }
  return value;
}

/** Own keys of all objects in the tree; a `__proto__` key makes the count wrong on purpose. */
function countKeys(value: object): number {
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (typeof item === 'object' && item !== null) count += countKeys(item);
    return count;
  }
  for (const key in value) {
    if (key === '__proto__') return -1e9;
    count++;
    const item = (value as Record<string, unknown>)[key];
    if (typeof item === 'object' && item !== null) count += countKeys(item);
  }
  return count;
}
