import { forbiddenHeaderParameter } from '#libs/core/header-names.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { RestParameter } from '#libs/core/rest-binding.js';
import { cleanText } from '#libs/tool-listing/clean-text.js';
import { essence, isJson } from '#libs/openapi/media-types.js';
import type { DocumentContext, Findings, OperationSource } from '#libs/openapi/operation-source.js';
import type { RawParameter } from '#libs/openapi/raw-parameter.js';
import { styleOf } from '#libs/openapi/parameter-style.js';
import { isObject, listOf, member, textOf, token } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';
import { KEYWORDS } from '#libs/openapi/schema-keywords.js';

export interface ParameterResult {
  readonly binding: RestParameter;
  readonly schema: JsonSchema;
}

const LOCATIONS: ReadonlySet<string> = new Set(['path', 'query', 'header', 'cookie', 'querystring', 'body', 'formData']);
/** OpenAPI 3.2 §4.12.2.1: these header parameters are ignored, since content negotiation and security set them. */
const OWN_HEADERS: ReadonlySet<string> = new Set(['accept', 'content-type', 'authorization']);

/** The operation's parameters over those of its path (OpenAPI 3.2 §4.10), in document order. */
export function rawParameters(source: OperationSource, context: DocumentContext, findings: Findings): readonly RawParameter[] {
  const merged = new Map<string, RawParameter>();
  const lists = [[member(source.item, 'parameters'), `${source.itemPointer}/parameters`], [source.operation && member(source.operation, 'parameters'), `${source.pointer}/parameters`]] as const;
  for (const [list, listPointer] of lists) {
    const inThisList = new Set<string>();
    for (const [i, raw] of listOf(list).entries()) {
      const written = listPointer + token(i);
      const parameter = readParameter(raw, written, context, findings);
      if (!parameter) continue;
      const key = `${parameter.in} ${parameter.in === 'header' ? parameter.name.toLowerCase() : parameter.name}`;
      if (inThisList.has(key)) {
        const first = merged.get(key);
        if (first && JSON.stringify(first.node) === JSON.stringify(parameter.node)) findings.note('duplicate-parameter', `"${parameter.name}" in ${parameter.in} is listed twice`, written);
        else findings.degrade('duplicate-parameter', `"${parameter.name}" in ${parameter.in} is listed twice with different definitions; the first one counts`, written);
        continue;
      }
      inThisList.add(key);
      merged.set(key, parameter);
    }
  }
  return [...merged.values()];
}

function readParameter(raw: unknown, written: string, context: DocumentContext, findings: Findings): RawParameter | undefined {
  const target = context.references.follow(raw, written);
  if (!target.found) { findings.degrade(target.code, `${target.message}; the parameter is left out`, `${written}/$ref`); return undefined; }
  const { value: node, pointer } = target;
  const name = isObject(node) ? member(node, 'name') : undefined;
  const place = isObject(node) ? member(node, 'in') : undefined;
  if (!isObject(node) || typeof place !== 'string' || !LOCATIONS.has(place) || (typeof name !== 'string' && place !== 'querystring' && place !== 'body') || name === '') {
    findings.degrade('malformed-parameter', 'is not a parameter with a name and a place (path, query, header, cookie); left out', pointer);
    return undefined;
  }
  return { node, pointer, name: typeof name === 'string' ? name : place, in: place };
}

/** How one parameter is sent, and what its argument must be. Undefined: left out, with an entry. */
export function convertParameter(parameter: RawParameter, argument: string, context: DocumentContext, findings: Findings): ParameterResult | undefined {
  const { node, pointer, name } = parameter;
  const place = parameter.in as RestParameter['in'];
  if (place === 'header' && OWN_HEADERS.has(name.toLowerCase())) {
    findings.note('reserved-header', `the header "${name}" is set from media types and credentials, as the specification says`, pointer);
    return undefined;
  }
  if (place === 'header' && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    findings.degrade('illegal-header-name', `"${name}" cannot be a header's name (RFC 9110 §5.1); left out`, `${pointer}/name`);
    return undefined;
  }
  if (place === 'header' && forbiddenHeaderParameter(name)) {
    findings.degrade('forbidden-header', `the header "${name}" belongs to the connection, the credentials or the gateway and cannot be an argument; left out`, pointer);
    return undefined;
  }
  const required = place === 'path' || member(node, 'required') === true;
  const content = contentOf(parameter, context, findings);
  if (content) {
    const style = place === 'path' || place === 'header' ? 'simple' : 'form';
    const binding = { argument, name, in: place, style, explode: false, allowReserved: false, required } as const;
    return { binding: content.mediaType === undefined ? binding : { ...binding, content: content.mediaType }, schema: describe(content.schema, node) };
  }
  const { schemaNode, schemaPointer } = schemaOf(parameter, context, findings);
  const schema = context.translator.translate(schemaNode, schemaPointer, findings.request);
  const style = styleOf(parameter, schemaNode, context, findings);
  const binary = isBinary(schemaNode, context);
  const binding: RestParameter = {
    argument, name, in: place, ...style, required,
    ...(member(node, 'allowEmptyValue') === true ? { allowEmptyValue: true } : {}),
    ...(binary ? { binary: true } : {}),
  };
  return { binding, schema: describe(schema, node) };
}

function schemaOf(parameter: RawParameter, context: DocumentContext, findings: Findings): { schemaNode: unknown; schemaPointer: string } {
  const { node, pointer } = parameter;
  if (context.format === 'swagger-2.0') return { schemaNode: inlineSchema(node), schemaPointer: pointer };
  if (Object.hasOwn(node, 'schema')) return { schemaNode: node['schema'], schemaPointer: `${pointer}/schema` };
  if (typeof member(node, 'type') === 'string') {
    findings.note('schema-beside-parameter', 'has its type beside it, as in Swagger 2.0, and is read that way', pointer);
    return { schemaNode: inlineSchema(node), schemaPointer: pointer };
  }
  findings.note('parameter-without-schema', `"${parameter.name}" has no schema; any value is taken`, pointer);
  return { schemaNode: true, schemaPointer: pointer };
}

/** Swagger 2.0 §Parameter Object: the schema's keywords stand in the parameter itself. */
export function inlineSchema(node: RawObject): RawObject {
  return Object.fromEntries(Object.entries(node).filter(([key]) => (KEYWORDS.has(key) || key === 'x-nullable') && key !== 'required' && key !== 'description' && key !== 'example' && key !== 'examples'));
}

interface ParameterContent { readonly mediaType: string | undefined; readonly schema: JsonSchema }

function contentOf({ node, pointer, in: place, name }: RawParameter, context: DocumentContext, findings: Findings): ParameterContent | undefined {
  const content = member(node, 'content');
  const entries = isObject(content) && (place === 'querystring' || !Object.hasOwn(node, 'schema')) ? Object.entries(content) : [];
  const chosen = entries.find(([type]) => isJson(type)) ?? entries[0];
  if (!chosen) return undefined;
  const [mediaType, media] = chosen;
  const at = `${pointer}/content${token(mediaType)}`;
  const target = context.references.follow(media, at);
  const schemaNode = target.found && isObject(target.value) ? member(target.value, 'schema') ?? true : true;
  if (entries.length > 1) findings.note('other-media-types', `"${name}" could also be sent as ${entries.filter((entry) => entry !== chosen).map(([type]) => type).join(', ')}`, `${pointer}/content`);
  const type = essence(mediaType);
  if (isJson(type) || type === 'application/x-www-form-urlencoded') return { mediaType: type.includes('*') ? 'application/json' : mediaType, schema: context.translator.translate(schemaNode, `${at}/schema`, findings.request) };
  const schema = context.translator.translate(schemaNode, `${at}/schema`, findings.request);
  if (type.includes('*')) {
    findings.note('media-type-wildcard', `"${mediaType}" names no type; the value is sent as it is`, at);
    return { mediaType: undefined, schema };
  }
  findings.note('content-as-text', `"${name}" takes the text of ${mediaType} as it is`, at);
  return { mediaType, schema: { type: 'string' } };
}

/** A schema with the parameter's own description, examples and deprecation, which count for more than the schema's. */
export function describe(schema: JsonSchema, node: RawObject): JsonSchema {
  const extra: Record<string, unknown> = {};
  const description = textOf(member(node, 'description'));
  if (description !== undefined) extra['description'] = cleanText(description);
  if (member(node, 'deprecated') === true) extra['deprecated'] = true;
  const examples = member(node, 'examples');
  const values = isObject(examples) ? Object.values(examples).flatMap((example) => (isObject(example) && Object.hasOwn(example, 'value') ? [example['value']] : [])) : [];
  if (Object.hasOwn(node, 'example')) extra['examples'] = [node['example']]; else if (values.length > 0) extra['examples'] = values;
  if (Object.keys(extra).length === 0) return schema;
  if (schema === false) return schema;
  return { ...(schema === true ? {} : schema), ...extra };
}

/** Whether a string schema means bytes: `format: binary` (OpenAPI 3.0 §4.7.2, Swagger 2.0 `file`). */
export function isBinary(schema: unknown, context: DocumentContext): boolean {
  const target = context.references.follow(schema, '');
  if (!target.found || !isObject(target.value)) return false;
  const node = target.value;
  return member(node, 'type') === 'file' || (member(node, 'format') === 'binary' && member(node, 'type') !== 'array' && member(node, 'type') !== 'object');
}
