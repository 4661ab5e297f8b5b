import { randomUUID } from 'node:crypto';
import { Denial } from '#libs/core/errors.js';
import type { RestBinding } from '#libs/core/rest-binding.js';
import type { AppliedCredential } from '#libs/backends/http/credentials.js';
import type { BuiltRequest } from '#libs/backends/http/http-caller.js';
import { encodeBody, formBody } from './body.js';
import { compileBinding, type Plan, type Slot, urlSurvives } from './compile.js';
import { percentEncode, textOf, Unsendable } from './encode.js';
import { isHarmless, refusePathEscape } from './path-guard.js';
import { cookiePairs, headerValue, pathExpression, queryPairs } from './styles.js';

export interface RequestOptions {
  readonly credentials?: readonly AppliedCredential[];
  /** Multipart boundary; random unless given. */
  readonly boundary?: () => string;
}
type Arguments = Readonly<Record<string, unknown>>;

const randomBoundary = (): string => `stoa-${randomUUID()}`;

/**
 * The exact request of one call, from validated arguments; pure but for the boundary. A denial `INVALID_ARGUMENTS` names the argument that cannot
 * be sent, or would leave the path of the tool. `api.baseUrl` replaces the binding's own.
 */
export function buildRequest(binding: RestBinding, api: { readonly baseUrl?: string | undefined } | undefined, args: Arguments, options: RequestOptions = {}): BuiltRequest | Denial {
  const plan = compileBinding(binding);
  if (plan.broken !== undefined) return new Denial({ code: 'INTERNAL', message: `This tool cannot be called: ${plan.broken}.` });
  const base = baseOf(api?.baseUrl ?? binding.baseUrl);
  if (base === undefined) return new Denial({ code: 'INTERNAL', message: 'This tool cannot be called: its base URL must be absolute, http or https, without query, fragment, dot segments or user information. Import it with a base URL.' });
  let argument = '';
  /** The argument's value, remembering whose it is in case it cannot be sent. */
  const take = (slot: Slot): unknown => {
    argument = slot.parameter.argument;
    return own(args, argument);
  };
  try {
    const credentials = options.credentials ?? [];
    let risky = false;
    const path = base.path + expand(plan.path, take, (value) => {
      risky = true;
      guard(value);
    });
    if (risky) {
      refusePathEscape(path);
      if (!pathIsPlain(plan, base, path)) throw new Unsendable('would leave the path of this tool');
    }
    const query = queryOf(plan, take, credentials);
    const headers = headersOf({ binding, plan, credentials }, take);
    const request = { method: binding.method, url: `${base.origin}${path === '' ? '/' : path}${query === '' ? '' : `?${query}`}`, headers };
    if (!binding.body) return request;
    argument = binding.body.argument;
    const value = own(args, argument);
    if (value === undefined) return request;
    const body = encodeBody(binding.body.content, value, options.boundary ?? randomBoundary);
    headers.push(['content-type', body.contentType]);
    return { ...request, body: body.bytes };
  } catch (problem) {
    if (!(problem instanceof Unsendable)) throw problem;
    const pointer = `/${argument.replaceAll('~', '~0').replaceAll('/', '~1')}${problem.pointer ?? ''}`;
    return new Denial({ code: 'INVALID_ARGUMENTS', message: `Invalid arguments: ${pointer} ${problem.message}`, issues: [{ pointer, message: problem.message }] });
  }
}

const own = (args: Arguments, name: string): unknown => (Object.hasOwn(args, name) ? args[name] : undefined);

interface Base { readonly origin: string; readonly path: string }
const bases = new Map<string, Base | undefined>();
const MAX_KNOWN_BASES = 4_096;

/** A base URL cut into origin and path without final slash; undefined when it is not one. Few differ, so they are remembered. */
function baseOf(text: string): Base | undefined {
  if (bases.has(text)) return bases.get(text);
  if (bases.size >= MAX_KNOWN_BASES) bases.clear();
  const base = parseBase(text);
  bases.set(text, base);
  return base;
}
function parseBase(text: string): Base | undefined {
  const match = /^(https?:\/\/[^/?#\\@\s{}]+)(\/[^?#\\\s{}]*)?$/i.exec(text);
  if (!match || !URL.canParse(text)) return undefined;
  const { origin, hostname } = new URL(text);
  const path = (match[2] ?? '').replace(/\/+$/, '');
  return hostname !== '' && urlSurvives(origin, path) ? { origin, path } : undefined;
}

/** `look` is told of each value that is more than letters and digits. */
function expand(parts: Plan['path'], take: (slot: Slot) => unknown, look: (value: unknown) => void): string {
  let out = '';
  for (const part of parts) {
    if (typeof part === 'string') { out += part; continue; }
    const value = take(part);
    const text = part.parameter.content === undefined ? pathExpression(part, value, part.encode) : part.encode(value);
    if (text === undefined || text === '') throw new Unsendable('must not be empty: it stands in the path');
    if (!isHarmless(text)) look(value);
    out += text;
  }
  return out;
}
/** Every text inside the value. */
function guard(value: unknown): void {
  if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      refusePathEscape(key);
      refusePathEscape(textOf(member) ?? '');
    }
  } else refusePathEscape(textOf(value) ?? '');
}
/**
 * The last look, at the path as a URL parser understands it: nothing removed, nothing merged. Segments that mix literals and expressions are
 * read whole, so that two harmless values cannot meet in a dot segment.
 */
function pathIsPlain(plan: Plan, base: Base, path: string): boolean {
  if (!urlSurvives(base.origin, path)) return false;
  return path.split('/').length === (base.path + plan.path.map((p) => (typeof p === 'string' ? p : 'x')).join('')).split('/').length;
}

function queryOf(plan: Plan, take: (slot: Slot) => unknown, credentials: readonly AppliedCredential[]): string {
  let pairs: string[] = [];
  const sent = new Set<string>();
  for (const slot of plan.query) {
    const value = take(slot);
    if (value === undefined) continue;
    sent.add(slot.name);
    if (slot.parameter.content === undefined) pairs.push(...queryPairs(slot, value, slot.encode));
    else pairs.push(`${slot.name}=${slot.encode(value) ?? ''}`);
  }
  // What the document wrote into its path gives way to a parameter of the same name.
  if (plan.inlineQuery.length > 0) pairs.unshift(...expand(plan.inlineQuery, take, () => undefined).split('&').filter((pair) => !sent.has(pair.split('=', 1)[0] ?? '')));
  if (plan.queryString) {
    const value = take(plan.queryString);
    if (value !== undefined) pairs.push(wholeQuery(plan.queryString, value));
  }
  for (const { slot, secret } of credentials) {
    if (slot.type !== 'apiKey' || slot.in !== 'query') continue;
    // Ours is the only one: an argument cannot stand in for it or beside it.
    const name = `${percentEncode(slot.name)}=`;
    pairs = pairs.filter((pair) => !pair.startsWith(name));
    pairs.push(name + percentEncode(secret));
  }
  return pairs.join('&');
}
/** `in: querystring` (OpenAPI 3.2 §4.12.2.1): the whole query, serialized as its media type. */
function wholeQuery(slot: Slot, value: unknown): string {
  const media = slot.parameter.content ?? '';
  if (media.startsWith('application/x-www-form-urlencoded')) return formBody({}, value);
  return slot.encode(value) ?? '';
}

function headersOf(call: { binding: RestBinding; plan: Plan; credentials: readonly AppliedCredential[] }, take: (slot: Slot) => unknown): (readonly [string, string])[] {
  const { binding, plan, credentials } = call;
  let headers: (readonly [string, string])[] = [['accept', binding.accept]];
  for (const slot of plan.headers) {
    const value = take(slot);
    if (value === undefined) continue;
    const text = slot.parameter.content === undefined ? headerValue(slot, value, slot.encode) : slot.encode(value);
    if (text !== undefined) headers.push([slot.parameter.name, text]);
  }
  let cookies: string[] = [];
  for (const slot of plan.cookies) {
    const value = take(slot);
    if (value === undefined) continue;
    const text = slot.parameter.content === undefined ? cookiePairs(slot, value, slot.encode) : `${slot.name}=${slot.encode(value) ?? ''}`;
    if (text !== undefined) cookies.push(text);
  }
  for (const { slot, secret } of credentials) {
    if (slot.type === 'bearer') headers.push(['authorization', `Bearer ${secret}`]);
    else if (slot.type === 'basic') headers.push(['authorization', `Basic ${Buffer.from(secret).toString('base64')}`]);
    else if (slot.type === 'certificate') continue;
    else if (slot.in === 'cookie') {
      cookies = cookies.filter((pair) => !pair.startsWith(`${slot.name}=`));
      cookies.push(`${slot.name}=${secret}`);
    } else if (slot.in === 'header') {
      const lower = slot.name.toLowerCase();
      headers = headers.filter(([name]) => name.toLowerCase() !== lower);
      headers.push([slot.name, secret]);
    }
  }
  if (cookies.length > 0) headers.push(['cookie', cookies.join('; ')]);
  return headers;
}
