import type { RestBinding, RestEncoding, RestParameter } from '#libs/core/rest-binding.js';

/** A class of `disagreements.yaml`: where the reference and we differ, and the specification says why. */
export type ExplainedClass =
  | 'empty-text' | 'empty-list' | 'undefined-member' | 'label-list' | 'matrix-empty' | 'delimited-object' | 'form-object-list' | 'deep-object-nested' | 'allow-reserved' | 'exploded-object-key' | 'json-content-text'
  | 'cookie-list' | 'cookie-escape' | 'several-cookies' | 'swagger2-path' | 'swagger2-object' | 'swagger2-header-list' | 'form-list' | 'form-json-text' | 'falsy-body' | 'json-text-body' | 'querystring' | 'binary-parameter' | 'encoded-body' | 'name-clash' | 'contradictory-enum';

export interface Explained { readonly argument: string; readonly field?: string; readonly because: ExplainedClass }
interface Context { readonly swagger2: boolean; readonly binding: RestBinding }

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isEmpty = (value: unknown): boolean => (Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0);
const membersOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []);
const hasUndefined = (value: unknown): boolean => membersOf(value).some((member) => member === null || member === undefined);

/** The arguments whose values fall into an explained class, each with its class. */
export function explain(context: Context, args: Readonly<Record<string, unknown>>): Explained[] {
  const found: Explained[] = [];
  const cookies = context.binding.parameters.filter((p) => p.in === 'cookie' && args[p.argument] !== undefined);
  for (const parameter of context.binding.parameters) {
    const value = args[parameter.argument];
    if (value === undefined) continue;
    const because = ofParameter(parameter, value, context) ?? (clashes(parameter, context.binding, args) ? 'name-clash' : undefined) ?? (parameter.in === 'cookie' && cookies.length > 1 ? 'several-cookies' : undefined);
    if (because) found.push({ argument: parameter.argument, because });
  }
  const { body } = context.binding;
  const value = body && args[body.argument];
  if (!body || value === undefined) return found;
  const { kind, encoding = {} } = body.content;
  if ((kind === 'binary' || kind === 'text') && /^multipart\/|^application\/x-www-form-urlencoded/.test(body.content.mediaType)) found.push({ argument: body.argument, because: 'encoded-body' });
  else if (kind === 'form' || kind === 'multipart') {
    for (const [field, member] of Object.entries(isObject(value) ? value : {})) {
      const because = ofField(kind, encoding[field], member, context);
      if (because) found.push({ argument: body.argument, field, because });
    }
  } else if (kind === 'json' && typeof value === 'string') found.push({ argument: body.argument, because: 'json-text-body' });
  else if (!value) found.push({ argument: body.argument, because: 'falsy-body' });
  return found;
}

function ofParameter(parameter: RestParameter, value: unknown, { swagger2 }: Context): ExplainedClass | undefined {
  const { in: where, style, explode } = parameter;
  if (where === 'querystring') return 'querystring';
  if (parameter.binary) return 'binary-parameter';
  if (parameter.content !== undefined) return typeof value === 'string' || Array.isArray(value) || where === 'cookie' ? 'json-content-text' : undefined;
  if (value === '' && where !== 'path' && where !== 'header') return 'empty-text';
  if (isEmpty(value)) return 'empty-list';
  if (hasUndefined(value) || value === null) return 'undefined-member';
  if (parameter.allowReserved && where !== 'path') return 'allow-reserved';
  if (where === 'path') {
    if (swagger2) return 'swagger2-path';
    if (style === 'label' && !explode && typeof value === 'object') return 'label-list';
    if (style === 'matrix' && membersOf(value).includes('')) return 'matrix-empty';
    if (isObject(value) && keysEscape(value)) return 'exploded-object-key';
    return undefined;
  }
  if (where === 'header') return swagger2 && typeof value === 'object' ? 'swagger2-header-list' : undefined;
  if (where === 'cookie') return typeof value === 'object' ? 'cookie-list' : 'cookie-escape';
  if (swagger2 && isObject(value)) return 'swagger2-object';
  if (style === 'deepObject' && (Array.isArray(value) || membersOf(value).some((member) => typeof member === 'object'))) return 'deep-object-nested';
  if (isObject(value) && !explode && style !== 'form') return 'delimited-object';
  if (isObject(value) && !explode) return 'form-object-list';
  return undefined;
}
/** An exploded object has keys of its own, which may be the names of other parameters. */
/** Whether an exploded object brings a query name that another parameter, or another exploded object, brings too. */
function clashes(parameter: RestParameter, { parameters }: RestBinding, args: Readonly<Record<string, unknown>>): boolean {
  const names = explodedNames(parameter, args);
  return names.length > 0 && parameters.some((other) => other !== parameter && other.in === 'query' && (names.includes(other.name) || explodedNames(other, args).some((name) => names.includes(name))));
}
function explodedNames({ in: place, style, explode, argument }: RestParameter, args: Readonly<Record<string, unknown>>): readonly string[] {
  const value = args[argument];
  return place === 'query' && style === 'form' && explode && isObject(value) ? Object.keys(value) : [];
}
const keysEscape = (value: object): boolean => Object.keys(value).some((key) => !/^[A-Za-z0-9\-._~]*$/.test(key));

function ofField(kind: 'form' | 'multipart', encoding: RestEncoding | undefined, value: unknown, { swagger2 }: Context): ExplainedClass | undefined {
  if (value === null || hasUndefined(value)) return 'undefined-member';
  if (value === '' || membersOf(value).includes('')) return 'empty-text';
  if (isEmpty(value)) return 'empty-list';
  if (typeof value === 'string' && isJsonText(value)) return 'form-json-text';
  if (encoding?.allowReserved) return 'allow-reserved';
  if (swagger2) return isObject(value) ? 'swagger2-object' : undefined;
  if (Array.isArray(value) && encoding?.style === undefined && encoding?.binary !== true) return 'form-list';
  if (encoding?.style === 'deepObject' && (Array.isArray(value) || membersOf(value).some((member) => typeof member === 'object'))) return 'deep-object-nested';
  if (isObject(value) && encoding?.style !== undefined && encoding.explode === false) return 'form-object-list';
  return kind === 'form' && encoding?.binary ? 'binary-parameter' : undefined;
}
function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The same arguments without those that are explained; in a path, where something must stand, a plain value. */
export function without(binding: RestBinding, args: Readonly<Record<string, unknown>>, explained: readonly Explained[]): Record<string, unknown> {
  const rest: Record<string, unknown> = { ...args };
  for (const { argument, field } of explained) {
    if (field !== undefined) {
      const { [field]: _, ...fields } = rest[argument] as Record<string, unknown>;
      rest[argument] = fields;
      continue;
    }
    const inPath = binding.parameters.find((p) => p.argument === argument && p.in === 'path');
    if (inPath) rest[argument] = inPath.content === undefined ? 'plain' : 1;
    else delete rest[argument];
  }
  const { body } = binding;
  // The reference sends nothing of a form without fields, we an empty one.
  if (body && (body.content.kind === 'form' || body.content.kind === 'multipart') && isEmpty(rest[body.argument])) delete rest[body.argument];
  return rest;
}
