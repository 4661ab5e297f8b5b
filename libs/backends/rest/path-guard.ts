import { Unsendable } from './encode.js';

/** The characters that no decoder, proxy or router can take for more than themselves; a dot is not one of them. */
const HARMLESS = /^[A-Za-z0-9_~-]+$/;
const DECODE_ROUNDS = 3;

/** Whether an encoded path value needs no further look. */
export const isHarmless = (encoded: string): boolean => HARMLESS.test(encoded);

/**
 * Refuses an argument that a backend or a proxy before it could take for a step out of its path segment, however often it decodes: dot
 * segments, also with a matrix parameter behind (`..;x`) or in look-alike characters; backslashes; control characters. A lone slash is
 * data: it goes out as `%2F` (RFC 3986 §2.2). Percent sequences are looked through three times.
 */
export function refusePathEscape(text: string): void {
  let seen = text;
  for (let round = 0; ; round++) {
    refuseDots(seen);
    if (round === DECODE_ROUNDS || !seen.includes('%')) return;
    const decoded = decodeOnce(seen);
    if (decoded === seen) return;
    seen = decoded;
  }
}

/** By bytes: a broken sequence must not hide an intact one beside it. */
function decodeOnce(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
}

function refuseDots(text: string): void {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) throw new Unsendable('has control characters, which a path cannot carry');
  // oxlint-disable-next-line no-control-regex
  const plain = /^[\u0000-\u007f]*$/.test(text) ? text : text.normalize('NFKC');
  if (plain.includes('\\')) throw new Unsendable('has a backslash, which some servers take for a path separator');
  for (const segment of plain.split('/')) {
    const name = segment.split(';', 1)[0]?.trim();
    if (name === '.' || name === '..') throw new Unsendable('has a dot segment, which would leave the path of this tool');
  }
}
