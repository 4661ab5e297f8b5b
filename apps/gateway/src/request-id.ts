import { randomFillSync } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const VISIBLE = /^[\x21-\x7e]{1,128}$/;

/** The caller's `X-Request-ID` if it is at most 128 visible ASCII characters, else a UUIDv7. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && VISIBLE.test(given) ? given : uuidV7(Date.now());
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** Random bytes for this many ids are asked for at a time. */
const pool = Buffer.allocUnsafeSlow(10 * 512);
let next = pool.length;
let at = -1;
let time = '';

/** RFC 9562 §5.7: 48 bits of milliseconds, then 74 random bits; none of them is used twice. */
function uuidV7(now: number): string {
  if (now !== at) {
    const text = now.toString(16).padStart(12, '0');
    at = now;
    time = `${text.slice(0, 8)}-${text.slice(8)}-7`;
  }
  if (next === pool.length) { randomFillSync(pool); next = 0; }
  const b = next;
  next += 10;
  return time + HEX[pool[b]!]![0]! + HEX[pool[b + 1]!]! + '-' + HEX[(pool[b + 2]! & 0x3f) | 0x80]! + HEX[pool[b + 3]!]!
    + '-' + HEX[pool[b + 4]!]! + HEX[pool[b + 5]!]! + HEX[pool[b + 6]!]! + HEX[pool[b + 7]!]! + HEX[pool[b + 8]!]! + HEX[pool[b + 9]!]!;
}
