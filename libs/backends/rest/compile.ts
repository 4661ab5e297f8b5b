import { forbiddenHeaderParameter } from '#libs/core/header-names.js';
import type { RestBinding, RestParameter } from '#libs/core/rest-binding.js';
import { binary, cookieText, type Encode, percentEncode, reservedInPath, reservedInQuery, strict, textOf, verbatim } from './encode.js';
import type { Field } from './styles.js';

export interface Slot extends Field {
  readonly parameter: RestParameter;
  readonly encode: Encode;
}
/** A binding made ready for calls: nothing in it depends on arguments. */
export interface Plan {
  /** Literals and expressions of the path and of a query that the document wrote into its path, in order. */
  readonly path: readonly (string | Slot)[];
  readonly inlineQuery: readonly (string | Slot)[];
  readonly query: readonly Slot[];
  readonly queryString: Slot | undefined;
  readonly headers: readonly Slot[];
  readonly cookies: readonly Slot[];
  /** Why no call can be made, whatever the arguments. */
  readonly broken: string | undefined;
}

const plans = new WeakMap<RestBinding, Plan>();

/** The binding's plan, made on first use and kept as long as the binding lives. */
export function compileBinding(binding: RestBinding): Plan {
  let plan = plans.get(binding);
  if (!plan) plans.set(binding, (plan = compile(binding)));
  return plan;
}

function compile(binding: RestBinding): Plan {
  const inPath = new Map(binding.parameters.filter((p) => p.in === 'path').map((p) => [p.name, slot(p)]));
  // A fragment never leaves the client (RFC 3986 §3.5); documents use it to tell operations on one path apart.
  const template = binding.path.split('#', 1)[0] ?? '';
  const mark = template.search(/\?(?![^{]*\})/);
  const path = parts(mark < 0 ? template : template.slice(0, mark), inPath);
  const inlineQuery = mark < 0 ? [] : parts(template.slice(mark + 1), inPath);
  const all = (where: RestParameter['in']): Slot[] => binding.parameters.filter((p) => p.in === where).map((p) => slot(p));
  return { path, inlineQuery, query: all('query'), queryString: all('querystring')[0], headers: all('header'), cookies: all('cookie'), broken: brokenBinding(binding, path) };
}

function slot(parameter: RestParameter): Slot {
  const raw = parameter.in === 'header' || (parameter.in === 'cookie' && parameter.style === 'cookie');
  return { parameter, name: raw ? parameter.name : percentEncode(parameter.name), style: parameter.style, explode: parameter.explode, encode: byContent(parameter, encoder(parameter)) };
}
function encoder(parameter: RestParameter): Encode {
  if (parameter.in === 'header') return verbatim;
  if (parameter.in === 'cookie' && parameter.style === 'cookie') return cookieText;
  if (parameter.binary) return binary;
  if (parameter.allowReserved) return parameter.in === 'path' ? reservedInPath : reservedInQuery;
  return strict;
}
/** `content` instead of `schema` (OpenAPI 3.2 §4.12.2.1): the whole value becomes one text of that media type. */
function byContent(parameter: RestParameter, encode: Encode): Encode {
  const media = parameter.content;
  if (media === undefined) return encode;
  const json = /^application\/(?:[^;]*\+)?json\b/i.test(media);
  // A header carries ASCII alone; JSON can say the rest with escapes (RFC 8259 §7).
  const ascii = parameter.in === 'header' || parameter.style === 'cookie';
  return (value) => {
    if (value === undefined) return undefined;
    if (!json) return encode(textOf(value));
    const text = JSON.stringify(value);
    return encode(ascii ? text.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`) : text);
  };
}

/** Literals are written as RFC 3986 §3.3 allows them; an expression without a parameter stays literal, and breaks the binding. */
function parts(template: string, parameters: ReadonlyMap<string, Slot>): (string | Slot)[] {
  const list: (string | Slot)[] = [];
  let literal = '';
  for (const piece of template.split(/(\{[^{}]*\})/)) {
    const found = piece.startsWith('{') && piece.endsWith('}') ? parameters.get(piece.slice(1, -1)) : undefined;
    if (!found) { literal += escapeLiteral(piece); continue; }
    if (literal !== '') list.push(literal);
    literal = '';
    list.push(found);
  }
  if (literal !== '') list.push(literal);
  return list;
}
const escapeLiteral = (text: string): string =>
  text.replace(/%[0-9A-Fa-f]{2}|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]|%/gu, (c) => (c.length === 3 && c.startsWith('%') ? c : percentEncode(c)));

function brokenBinding(binding: RestBinding, path: readonly (string | Slot)[]): string | undefined {
  const bad = binding.parameters.find((p) => p.in === 'header' && forbiddenHeaderParameter(p.name));
  if (bad) return `the header parameter ${JSON.stringify(bad.name)} is not a caller's to set`;
  const sample = path.map((part) => (typeof part === 'string' ? part : 'x')).join('');
  if (/%7B|%7D/i.test(sample)) return `the path ${binding.path} has an expression without a parameter`;
  if (!sample.startsWith('/') && sample !== '') return `the path ${binding.path} does not begin with a slash`;
  return urlSurvives('http://host', sample) ? undefined : `the path ${binding.path} has dot segments`;
}

/** Whether a URL parser leaves origin and path exactly as they were written: no segment removed, none merged. */
export function urlSurvives(origin: string, path: string): boolean {
  try {
    const url = new URL(origin + path);
    return url.origin === origin && url.pathname === (path === '' ? '/' : path);
  } catch {
    return false;
  }
}
