import { isDeepStrictEqual } from 'node:util';
import type { BuiltRequest } from '#libs/backends/http/http-caller.js';
import type { RestBinding, RestContent } from '#libs/core/rest-binding.js';
import type { ReferenceRequest } from './reference.js';

/** A request in one spelling, as plain data: two requests are the same on the wire when their forms are equal. */
export interface Form {
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
  /** Headers that parameters set, by lower-case name. */
  readonly headers: Readonly<Record<string, string | null>>;
  readonly contentType: string | null;
  readonly body: unknown;
}

export async function formOf(binding: RestBinding, request: BuiltRequest | ReferenceRequest): Promise<Form> {
  const [path, query] = split(request.url);
  const all: Iterable<readonly [string, unknown]> = Array.isArray(request.headers) ? (request.headers) : Object.entries(request.headers);
  const headers = new Map([...all].map(([name, value]) => [name.toLowerCase(), String(value)]));
  const names = [...binding.parameters.filter((p) => p.in === 'header').map((p) => p.name.toLowerCase()), 'cookie'];
  const contentType = headers.get('content-type') ?? null;
  return {
    method: request.method,
    path: canonical(path),
    query: sortedPairs(query),
    headers: Object.fromEntries(names.map((name) => [name, headers.get(name) ?? null])),
    contentType: request.body === undefined ? null : contentType?.split(';', 1)[0] ?? null,
    body: request.body === undefined ? null : await bodyForm(binding.body?.content.kind, request.body, contentType),
  };
}

/** What differs between two forms; empty when nothing does. */
export function differences(ours: Form, theirs: Form): string[] {
  return (Object.keys(ours) as (keyof Form)[]).filter((key) => !isDeepStrictEqual(ours[key], theirs[key])).map((key) => `${key}: ${show(ours[key])} / ${show(theirs[key])}`);
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 300);
function split(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
}
/**
 * One spelling of equal URIs: escapes in upper case, none for unreserved characters (RFC 3986 §6.2.2), none for `!'()*`, which the encoder of
 * ECMAScript leaves and ours escapes; characters that may not stand in a URI escaped.
 */
function canonical(text: string): string {
  return text
    .replaceAll(/[^\u0021-\u007e]|["<>\\^`{|}[\]]/gu, (c) => encodeURIComponent(c))
    .replaceAll(/%[0-9a-f]{2}/gi, (escape) => {
      const c = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
      return /[A-Za-z0-9\-._~!'()*]/.test(c) ? c : escape.toUpperCase();
    });
}
/** The order of different parameters has no meaning; the order of values of one name has. */
function sortedPairs(query: string): string[] {
  return query.split('&').filter((pair) => pair !== '').map((pair) => canonical(pair)).toSorted((a, b) => compareText(a.split('=', 1)[0] ?? '', b.split('=', 1)[0] ?? ''));
}
const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Our bodies are bytes; the reference leaves JSON as a value, text as text, and multipart as `FormData`. */
async function bodyForm(kind: RestContent['kind'] | undefined, body: unknown, contentType: string | null): Promise<unknown> {
  const bytes = Buffer.isBuffer(body) || body instanceof Uint8Array ? Buffer.from(body) : undefined;
  switch (kind ?? 'text') {
    case 'json': return bytes ? JSON.parse(bytes.toString()) as unknown : body;
    case 'form': return formPairs(bytes?.toString() ?? String(body));
    case 'multipart': {
      const form = body instanceof FormData ? body : await new Response(bytes ?? '', { headers: { 'content-type': contentType ?? '' } }).formData();
      return parts(form);
    }
    case 'binary': return bytes ? bytes.toString('base64') : Buffer.from(String(body), 'base64').toString('base64');
    case 'text': case 'xml': default: return bytes?.toString() ?? (typeof body === 'string' ? body : JSON.stringify(body));
  }
}
const formPairs = (text: string): string[] => [...new URLSearchParams(text)].map(([name, value]) => `${name}=${value}`).toSorted((a, b) => compareText(a.split('=', 1)[0] ?? '', b.split('=', 1)[0] ?? ''));
async function parts(form: FormData): Promise<string[]> {
  const list: string[] = [];
  for (const [name, value] of form) list.push(`${name}=${typeof value === 'string' ? Buffer.from(value).toString('latin1') : Buffer.from(await value.arrayBuffer()).toString('latin1')}`);
  return list;
}
