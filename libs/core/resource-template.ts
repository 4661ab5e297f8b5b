import type { CatalogueSnapshot } from './catalogue.js';
import type { Target } from './target.js';

/** A template of RFC 6570 level 1 (`{name}` only), cut at its variables; undefined: not of that level. */
interface Template { readonly target: Target; readonly literals: readonly string[]; readonly variables: readonly string[] }
const templates = new WeakMap<CatalogueSnapshot, readonly Template[]>();

/**
 * The resource template of a snapshot that a URI is an expansion of, and its variables' values, percent-decoded. A variable takes at
 * least one character and never `/`, `?` or `#`. Linear in the URI: no regular expression is made from a template (CVE-2026-0621).
 */
export function templateFor(snapshot: CatalogueSnapshot, uri: string): { readonly target: Target; readonly variables: Readonly<Record<string, string>> } | undefined {
  let known = templates.get(snapshot);
  if (!known) templates.set(snapshot, known = [...snapshot.resources.values()].flatMap(cut));
  for (const template of known) {
    const variables = match(template, uri);
    if (variables) return { target: template.target, variables };
  }
  return undefined;
}

function cut(target: Target): Template[] {
  if (!target.name.includes('{')) return [];
  const literals: string[] = [];
  const variables: string[] = [];
  let rest = target.name;
  for (let open = rest.indexOf('{'); open >= 0; open = rest.indexOf('{')) {
    const close = rest.indexOf('}', open);
    const name = rest.slice(open + 1, close);
    if (close < 0 || !/^\w+$/.test(name)) return [];
    literals.push(rest.slice(0, open));
    variables.push(name);
    rest = rest.slice(close + 1);
  }
  return [{ target, literals: [...literals, rest], variables }];
}

function match({ literals, variables }: Template, uri: string): Readonly<Record<string, string>> | undefined {
  if (!uri.startsWith(literals[0]!)) return undefined;
  const values: Record<string, string> = {};
  let at = literals[0]!.length;
  for (let i = 0; i < variables.length; i++) {
    const literal = literals[i + 1]!;
    const last = i === variables.length - 1;
    const end = last ? uri.length - literal.length : uri.indexOf(literal, at + 1);
    if (end <= at || (last && !uri.endsWith(literal))) return undefined;
    const value = uri.slice(at, end);
    if (/[/?#]/.test(value)) return undefined;
    try { values[variables[i]!] = decodeURIComponent(value); } catch { return undefined; }
    at = end + literal.length;
  }
  return values;
}
