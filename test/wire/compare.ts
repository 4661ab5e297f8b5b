import { isDeepStrictEqual } from 'node:util';
import type { BuiltRequest } from '#libs/backends/rest/request.js';
import type { RestBinding } from '#libs/core/rest-binding.js';
import type { ReferenceRequest } from './reference.js';

/** What differs between the two requests; empty when they are the same on the wire. */
export async function differences(binding: RestBinding, ours: BuiltRequest, theirs: ReferenceRequest): Promise<string[]> {
  const found: string[] = [];
  const differ = (what: string, a: unknown, b: unknown): void => { if (!isDeepStrictEqual(a, b)) found.push(`${what}: ${show(a)} / ${show(b)}`); };
  differ('method', ours.method, theirs.method);
  const [ourPath, ourQuery] = split(ours.url);
  const [theirPath, theirQuery] = split(theirs.url);
  differ('path', canonical(ourPath), canonical(theirPath));
  differ('query', sortedPairs(ourQuery), sortedPairs(theirQuery));
  for (const { name } of binding.parameters.filter((p) => p.in === 'header')) differ(`header ${name}`, headerOf(ours.headers, name), headerOf(Object.entries(theirs.headers), name));
  differ('cookie', headerOf(ours.headers, 'cookie'), headerOf(Object.entries(theirs.headers), 'cookie'));
  await differBody(binding, { ours, theirs }, differ);
  return found;
}

const show = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 300);
function split(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)];
}
const headerOf = (headers: Iterable<readonly [string, unknown]>, name: string): string | undefined => {
  for (const [key, value] of headers) if (key.toLowerCase() === name.toLowerCase()) return String(value as string);
  return undefined;
};

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

type Differ = (what: string, a: unknown, b: unknown) => void;
async function differBody(binding: RestBinding, { ours, theirs }: { ours: BuiltRequest; theirs: ReferenceRequest }, differ: Differ): Promise<void> {
  const content = binding.body?.content;
  const type = headerOf(ours.headers, 'content-type');
  if (!content || ours.body === undefined) { differ('body', ours.body === undefined, theirs.body === undefined); return; }
  differ('content type', type?.split(';', 1)[0], headerOf(Object.entries(theirs.headers), 'content-type')?.split(';', 1)[0]);
  const text = Buffer.from(ours.body).toString();
  switch (content.kind) {
    case 'json': differ('JSON body', JSON.parse(text), theirs.body); return;
    case 'text': case 'xml': case 'binary': differ('body', content.kind === 'binary' ? Buffer.from(ours.body).toString('base64') : text, content.kind === 'binary' ? Buffer.from(String(theirs.body), 'base64').toString('base64') : typeof theirs.body === 'string' ? theirs.body : JSON.stringify(theirs.body)); return;
    case 'form': differ('form', formPairs(text), formPairs(typeof theirs.body === 'string' ? theirs.body : '')); return;
    case 'multipart': {
      const mine = await new Response(Buffer.from(ours.body), { headers: { 'content-type': type ?? '' } }).formData();
      differ('parts', await parts(mine), theirs.body instanceof FormData ? await parts(theirs.body) : undefined);
    }
  }
}
const formPairs = (text: string): string[] => [...new URLSearchParams(text)].map(([name, value]) => `${name}=${value}`).toSorted((a, b) => compareText(a.split('=', 1)[0] ?? '', b.split('=', 1)[0] ?? ''));
async function parts(form: FormData): Promise<string[]> {
  const list: string[] = [];
  // FormData turns line ends into CRLF as it serializes (WHATWG HTML, multipart/form-data encoding); the values had none.
  for (const [name, value] of form) list.push(`${name}=${typeof value === 'string' ? Buffer.from(value).toString('latin1') : Buffer.from(await value.arrayBuffer()).toString('latin1')}`);
  return list;
}
