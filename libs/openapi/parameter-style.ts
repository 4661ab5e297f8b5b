import type { RestParameter } from '#libs/core/rest-binding.js';
import type { DocumentContext, Findings } from '#libs/openapi/operation-source.js';
import type { RawParameter } from '#libs/openapi/raw-parameter.js';
import { isObject, member } from '#libs/tool-listing/raw.js';

type Style = RestParameter['style'];
export interface ChosenStyle { readonly style: Style; readonly explode: boolean; readonly allowReserved: boolean }

/** OpenAPI 3.2 §4.12.3, the first of each list being the default. */
const STYLES: Readonly<Record<RestParameter['in'], readonly Style[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  querystring: ['form'],
  header: ['simple'],
  cookie: ['form', 'cookie'],
};

/** Swagger 2.0 `collectionFormat`, as the style of OpenAPI that puts the same on the wire. */
const COLLECTION_FORMATS: Readonly<Record<string, Style>> = { csv: 'form', ssv: 'spaceDelimited', tsv: 'tabDelimited', pipes: 'pipeDelimited', multi: 'form' };

/** Style and explode of a parameter that has a schema. A style that its place does not allow is replaced by the default, with a reason. */
export function styleOf(parameter: RawParameter, schema: unknown, context: DocumentContext, findings: Findings): ChosenStyle {
  noteNesting(parameter, schema, context, findings);
  if (context.format === 'swagger-2.0') return collectionStyle(parameter, findings);
  const { node, pointer } = parameter;
  const allowed = STYLES[parameter.in as RestParameter['in']];
  const given = member(node, 'style');
  let style = allowed[0] ?? 'form';
  if (given !== undefined) {
    const legal = allowed.find((candidate) => candidate === given && (candidate !== 'cookie' || context.format === 'openapi-3.2'));
    if (legal) style = legal;
    else findings.degrade('style-not-allowed', `style ${JSON.stringify(given)} does not exist for a parameter in ${parameter.in}; "${style}" is used`, `${pointer}/style`);
  }
  const explode = member(node, 'explode');
  // deepObject has one form only; OpenAPI gives its `explode: false` no meaning (3.2 §4.12.4).
  const exploded = style === 'deepObject' ? true : typeof explode === 'boolean' ? explode : style === 'form' || style === 'cookie';
  noteUndefined({ parameter, style, schema }, context, findings);
  return { style, explode: exploded, allowReserved: allowsReserved(parameter, context, findings) };
}

/** Before 3.2 `allowReserved` means something in a query only (OpenAPI 3.1.1 §4.8.12.2.2, 3.2 §4.12.2.3). */
function allowsReserved({ node, pointer, in: place }: RawParameter, context: DocumentContext, findings: Findings): boolean {
  if (member(node, 'allowReserved') !== true) return false;
  if (place === 'query' || context.format === 'openapi-3.2') return true;
  findings.note('allow-reserved-ignored', `allowReserved has no meaning for a parameter in ${place} before OpenAPI 3.2`, `${pointer}/allowReserved`);
  return false;
}

/** The styles table (3.2 §4.12.6) leaves `deepObject` open for anything but objects, and the delimited styles for single values. */
function noteUndefined(options: { readonly parameter: RawParameter; readonly style: Style; readonly schema: unknown }, context: DocumentContext, findings: Findings): void {
  const { parameter: { name, pointer }, style, schema } = options;
  const target = context.references.follow(schema, '');
  const type = target.found && isObject(target.value) ? member(target.value, 'type') : undefined;
  if (typeof type !== 'string') return;
  const isOpen = style === 'deepObject' ? type !== 'object' : (style === 'spaceDelimited' || style === 'pipeDelimited') && type !== 'array' && type !== 'object';
  if (isOpen) findings.note('style-undefined', `the specification does not say how "${name}" of type ${type} is written in style ${style}`, pointer);
}

function collectionStyle({ node, pointer, in: place }: RawParameter, findings: Findings): ChosenStyle {
  const given = member(node, 'collectionFormat') ?? 'csv';
  const isQuery = place === 'query' || place === 'formData';
  let style = typeof given === 'string' && Object.hasOwn(COLLECTION_FORMATS, given) ? COLLECTION_FORMATS[given] : undefined;
  if (style === undefined || (given === 'multi' && !isQuery)) {
    findings.degrade('collection-format', `collectionFormat ${JSON.stringify(given)} does not exist for a parameter in ${place}; "csv" is used`, `${pointer}/collectionFormat`);
    style = 'form';
  }
  return { style: style === 'form' && !isQuery ? 'simple' : style, explode: given === 'multi' && isQuery, allowReserved: false };
}

/** OpenAPI defines no serialization for arrays or objects inside a parameter's value (3.2 §4.12.4): said, not refused. */
function noteNesting({ name, pointer }: RawParameter, schema: unknown, context: DocumentContext, findings: Findings): void {
  const target = context.references.follow(schema, '');
  if (!target.found || !isObject(target.value)) return;
  const properties = member(target.value, 'properties');
  const inner = [member(target.value, 'items'), ...(isObject(properties) ? Object.values(properties) : [])];
  if (inner.some((part) => isComposite(part, context))) findings.note('nested-value', `"${name}" may hold arrays or objects inside; the specification leaves their serialization open`, pointer);
}

function isComposite(schema: unknown, context: DocumentContext): boolean {
  const target = context.references.follow(schema, '');
  if (!target.found || !isObject(target.value)) return false;
  const type = member(target.value, 'type');
  return type === 'array' || type === 'object' || isObject(member(target.value, 'properties'));
}
