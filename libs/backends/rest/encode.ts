/** An argument that cannot be put on the wire as the document asks. Caught in `buildRequest`, which answers a denial. */
export class Unsendable extends Error {
  override get name(): string { return 'Unsendable'; }
  constructor(message: string, readonly pointer?: string) { super(message); }
}

/** A scalar's text on the wire; undefined for what RFC 6570 §2.3 calls undefined (`null`), which is not sent. */
export type Encode = (value: unknown) => string | undefined;

/**
 * The text of a scalar before any escaping. Strings as they are, numbers and booleans as in JSON (OpenAPI 3.2 Appendix B leaves it to
 * us); an array or object where the style has room for scalars only becomes its JSON text.
 */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return value === null || value === undefined ? undefined : JSON.stringify(value);
}

const UNRESERVED = /^[A-Za-z0-9\-._~]*$/;

/** RFC 3986 §2.1: everything but the unreserved characters, as UTF-8. */
export function percentEncode(text: string): string {
  if (UNRESERVED.test(text)) return text;
  try {
    return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  } catch {
    throw new Unsendable('is not valid Unicode text: it has a lone surrogate');
  }
}

export const strict: Encode = (value) => {
  const text = textOf(value);
  return text === undefined ? undefined : percentEncode(text);
};

/**
 * Reserved expansion (RFC 6570 §3.2.3): reserved characters and percent-encoded triples pass. OpenAPI 3.2 §4.12.2 leaves the escaping of those
 * that would end or divide the component to us: `keep` lists the reserved ones that may stand there.
 */
const reserved = (keep: RegExp): Encode => (value) => {
  const text = textOf(value);
  if (text === undefined) return undefined;
  return text.replace(/%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~%]+|%/g, (run) => (run.length === 3 && run.startsWith('%') ? run : Array.from(run, (c) => (keep.test(c) ? c : percentEncode(c))).join('')));
};
/** Not `#`, `[`, `]` (RFC 3986 §3.4), nor `&` and `+`, which would divide or change a form-encoded query. */
export const reservedInQuery = reserved(/[:/?@!$'()*,;=]/);
/** Not `/`, `?`, `#`, `[`, `]` (RFC 3986 §3.3). */
export const reservedInPath = reserved(/[:@!$&'()*+,;=]/);

/** Base64 in, bytes out, percent-encoded. */
export const binary: Encode = (value) => {
  if (value === null || value === undefined) return undefined;
  let out = '';
  for (const byte of bytesOf(value)) {
    const c = String.fromCharCode(byte);
    out += UNRESERVED.test(c) ? c : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
};

/** As it is, for headers and cookies: what HTTP's field syntax cannot carry is refused (RFC 9110 §5.5). */
export const verbatim: Encode = (value) => {
  const text = textOf(value);
  if (text !== undefined && !/^[\t\x20-\x7e]*$/.test(text)) throw new Unsendable('has characters that an HTTP header cannot carry: use visible ASCII, space and tab only');
  return text;
};
/** For the style `cookie`, which escapes nothing: the pair separator may not stand in a value either (OpenAPI 3.2 §4.12.2). */
export const cookieText: Encode = (value) => {
  const text = verbatim(value);
  if (text?.includes(';')) throw new Unsendable('has a semicolon, which would end the cookie');
  return text;
};

/** WHATWG URL §5.2 `application/x-www-form-urlencoded`, space as plus. */
export const formEncode = (text: string): string => percentEncode(text).replaceAll('%20', '+');

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const BASE64URL = /^[A-Za-z0-9_-]*={0,2}$/;
/** Decode base64 (RFC 4648 §4 or §5, padding optional). */
export function bytesOf(value: unknown): Buffer {
  if (typeof value !== 'string') throw new Unsendable('must be a base64 string');
  if (BASE64.test(value)) return Buffer.from(value, 'base64');
  if (BASE64URL.test(value) && value.replaceAll('=', '').length % 4 !== 1) return Buffer.from(value, 'base64url');
  throw new Unsendable('must be base64 (RFC 4648)');
}
