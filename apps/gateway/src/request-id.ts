import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const VISIBLE = /^[\x21-\x7e]{1,128}$/;

/** The caller's `X-Request-ID` if it is at most 128 visible ASCII characters, else a UUIDv7. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && VISIBLE.test(given) ? given : uuidV7(Date.now());
}

/** RFC 9562 §5.7: 48 bits of milliseconds, then random bits. */
function uuidV7(now: number): string {
  const time = now.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${randomUUID().slice(15)}`;
}
