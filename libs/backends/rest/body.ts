import type { RestContent, RestEncoding } from '#libs/core/rest-binding.js';
import { bytesOf, formEncode, percentEncode, reservedInQuery, strict, textOf, Unsendable } from './encode.js';
import { type Field, queryPairs } from './styles.js';

export interface EncodedBody { readonly contentType: string; readonly bytes: Uint8Array }

/** Serialize a request body. `boundary` is asked once per multipart body: 1 to 70 characters of `[A-Za-z0-9-]`, not to be guessed by the caller. */
export function encodeBody(content: RestContent, value: unknown, boundary: () => string): EncodedBody {
  const { mediaType } = content;
  switch (content.kind) {
    case 'json': return { contentType: mediaType, bytes: Buffer.from(json(value)) };
    case 'form': return { contentType: mediaType, bytes: Buffer.from(formBody(content, value)) };
    case 'multipart': {
      const mark = boundary();
      return { contentType: `${mediaType}; boundary=${mark}`, bytes: multipartBody(content, value, mark) };
    }
    case 'text': return { contentType: mediaType, bytes: Buffer.from(typeof value === 'string' ? value : json(value)) };
    case 'xml': return { contentType: mediaType, bytes: Buffer.from(textOnly(value)) };
    case 'binary': return { contentType: mediaType, bytes: bytesOf(value) };
    default: return content.kind satisfies never;
  }
}

function textOnly(value: unknown): string {
  if (typeof value !== 'string') throw new Unsendable('must be XML as text');
  return value;
}

function json(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw new Unsendable('is nested too deeply');
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
/** The field's style when the document sets any of style, explode and allowReserved, which rules its content type out. */
const styleOf = (name: string, encoding: RestEncoding | undefined): Field | undefined => {
  if (encoding?.style === undefined && encoding?.explode === undefined && encoding?.allowReserved === undefined) return undefined;
  const style = encoding.style ?? 'form';
  return { name: percentEncode(name), style, explode: encoding.explode ?? (style === 'form' || style === 'deepObject') };
};
function entriesOf(value: unknown): [string, unknown][] {
  if (!isRecord(value)) throw new Unsendable('must be an object');
  return Object.entries(value);
}

/** OpenAPI 3.2 §4.15.4: a property with style, explode or allowReserved as in a query, any other by its content type; lists repeat the name. */
export function formBody(content: Pick<RestContent, 'encoding'>, value: unknown): string {
  const out: string[] = [];
  for (const [name, member] of entriesOf(value)) {
    const encoding = ownEncoding(content, name);
    at(`/${name}`, () => {
      const style = styleOf(name, encoding);
      if (style) {
        out.push(...queryPairs(style, member, encoding?.allowReserved ? reservedInQuery : strict));
        return;
      }
      const key = formEncode(name);
      for (const item of itemsOf(member, encoding)) {
        if (encoding?.binary) out.push(`${key}=${[...bytesOf(item)].map((b) => formByte(b)).join('')}`);
        else if (item !== null) out.push(`${key}=${formEncode(plainText(item, encoding))}`);
      }
    });
  }
  return out.join('&');
}
const formByte = (byte: number): string => (byte < 0x80 ? formEncode(String.fromCharCode(byte)) : `%${byte.toString(16).toUpperCase()}`);
const ownEncoding = (content: Pick<RestContent, 'encoding'>, name: string): RestEncoding | undefined =>
  content.encoding && Object.hasOwn(content.encoding, name) ? content.encoding[name] : undefined;

/** A list repeats its field unless the document makes one JSON (or other) value of it. */
function itemsOf(member: unknown, encoding: RestEncoding | undefined): readonly unknown[] {
  if (!Array.isArray(member)) return [member];
  return encoding === undefined || encoding.repeated === true || encoding.binary === true || encoding.contentType === undefined ? member : [member];
}
const isJson = (type: string | undefined): boolean => type !== undefined && /^application\/(?:[^;]*\+)?json\b/i.test(type);
function plainText(item: unknown, encoding: RestEncoding | undefined): string {
  if (isJson(encoding?.contentType) || typeof item === 'object') return json(item);
  return textOf(item) ?? '';
}

function at(pointer: string, work: () => void): void {
  try {
    work();
  } catch (problem) {
    if (problem instanceof Unsendable && problem.pointer === undefined) throw new Unsendable(problem.message, pointer);
    throw problem;
  }
}

const oneLine = (text: string): string => text.replaceAll(/[\r\n\0]/g, ' ');

/** RFC 7578; defaults per property as OpenAPI 3.2 §4.15.3: objects as JSON, scalars as text, base64 as bytes, list members one part each. */
function multipartBody(content: RestContent, value: unknown, boundary: string): Uint8Array {
  const chunks: Buffer[] = [];
  const part = (name: string, encoding: RestEncoding | undefined, bytes: Buffer, type: string | undefined): void => {
    const quoted = name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted}"${encoding?.binary ? `; filename="${quoted}"` : ''}\r\n`;
    for (const [header, fixed] of Object.entries({ ...(type === undefined ? {} : { 'Content-Type': type }), ...encoding?.headers })) head += `${oneLine(header)}: ${oneLine(fixed)}\r\n`;
    chunks.push(Buffer.from(`${head}\r\n`), bytes, Buffer.from('\r\n'));
  };
  for (const [name, member] of entriesOf(value)) {
    const encoding = ownEncoding(content, name);
    at(`/${name}`, () => {
      const style = styleOf(name, encoding);
      if (style && encoding?.contentType === undefined && !encoding?.binary) {
        // The same expansion as in a form, but a part's name and value are not percent-encoded.
        for (const pair of queryPairs(style, member, strict)) {
          const [key = '', ...text] = pair.split('=');
          part(decodeURIComponent(key), encoding, Buffer.from(decodeURIComponent(text.join('='))), undefined);
        }
        return;
      }
      for (const item of itemsOf(member, encoding)) {
        if (item === null && !isJson(encoding?.contentType)) continue;
        if (encoding?.binary) part(name, encoding, bytesOf(item), encoding.contentType ?? 'application/octet-stream');
        else part(name, encoding, Buffer.from(plainText(item, encoding)), encoding?.contentType ?? (typeof item === 'object' ? 'application/json' : undefined));
      }
    });
  }
  chunks.push(Buffer.from(`--${boundary}--\r\n`));
  return Buffer.concat(chunks);
}
