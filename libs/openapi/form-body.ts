import type { JsonSchema } from '#libs/core/json-schema.js';
import type { RestContent, RestEncoding } from '#libs/core/rest-binding.js';
import type { DocumentContext, Findings } from '#libs/openapi/operation-source.js';
import { isBinary } from '#libs/openapi/parameters.js';
import { isObject, listOf, member, textOf, token } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';
import type { MediaChoice } from '#libs/openapi/media-choice.js';

interface FormProperty { readonly schema: unknown; readonly pointer: string }
const STYLES = ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'] as const;

/** The object's own properties and those of its `allOf` members. */
function propertiesOf(schema: unknown, pointer: string, context: DocumentContext): ReadonlyMap<string, FormProperty> {
  const properties = new Map<string, FormProperty>();
  const open = [{ schema, pointer, hops: 0 }];
  for (let at = open.shift(); at; at = open.shift()) {
    const target = context.references.follow(at.schema, at.pointer);
    if (!target.found || !isObject(target.value)) continue;
    const own = member(target.value, 'properties');
    for (const [name, property] of isObject(own) ? Object.entries(own) : []) {
      if (!properties.has(name)) properties.set(name, { schema: property, pointer: `${target.pointer}/properties${token(name)}` });
    }
    if (at.hops < 8) for (const [i, part] of listOf(member(target.value, 'allOf')).entries()) open.push({ schema: part, pointer: `${target.pointer}/allOf${token(i)}`, hops: at.hops + 1 });
  }
  return properties;
}

export function isObjectSchema(schema: unknown, context: DocumentContext): boolean {
  const target = context.references.follow(schema, '');
  if (!target.found || !isObject(target.value)) return false;
  const node = target.value;
  const type = member(node, 'type');
  if (type !== undefined) return type === 'object' || (Array.isArray(type) && type.includes('object'));
  return ['properties', 'allOf', 'oneOf', 'anyOf', 'additionalProperties', 'required'].some((key) => Object.hasOwn(node, key));
}

/** Whether a form of this schema carries bytes, which only multipart can. */
export function hasFiles(schema: unknown, context: DocumentContext): boolean {
  for (const { schema: property } of propertiesOf(schema, '', context).values()) if (isFile(property, context) || isFile(itemsOf(property, context), context)) return true;
  return false;
}

function itemsOf(schema: unknown, context: DocumentContext): unknown {
  const target = context.references.follow(schema, '');
  return target.found && isObject(target.value) && member(target.value, 'type') === 'array' ? member(target.value, 'items') : undefined;
}

/** OpenAPI 3.1 §4.8.14.4: a string with `contentMediaType` and no `contentEncoding` is bytes. */
function isFile(schema: unknown, context: DocumentContext): boolean {
  if (isBinary(schema, context)) return true;
  const target = context.references.follow(schema, '');
  if (!target.found || !isObject(target.value) || context.format === 'openapi-3.0' || context.format === 'swagger-2.0') return false;
  const mediaType = textOf(member(target.value, 'contentMediaType'));
  return mediaType !== undefined && !/^text\/|json$|xml$/.test(mediaType) && member(target.value, 'contentEncoding') === undefined;
}

/** OpenAPI 3.2 §4.15: encodings of a form or multipart body; properties that carry bytes ask for base64. */
export function formBody(choice: MediaChoice, as: { mediaType: string; kind: 'form' | 'multipart' }, context: DocumentContext, findings: Findings): { content: RestContent; schema: JsonSchema } {
  const properties = propertiesOf(choice.schemaNode, choice.schemaPointer, context);
  const encoding: [string, RestEncoding][] = [];
  const files: string[] = [];
  for (const [name, property] of properties) {
    const repeatedItems = itemsOf(property.schema, context);
    const isRepeated = repeatedItems !== undefined && as.kind === 'multipart';
    const binary = as.kind === 'multipart' && (isFile(property.schema, context) || isFile(repeatedItems, context));
    if (binary) files.push(name);
    const raw = member(choice.encoding, name);
    const written = isObject(raw) ? readEncoding(raw, `${choice.pointer}/encoding${token(name)}`, as.kind, findings) : {};
    const styled = written.style !== undefined;
    const entry: RestEncoding = { ...written, ...(binary ? { binary: true } : {}), ...(isRepeated && !styled ? { repeated: true } : {}) };
    if (Object.keys(entry).length > 0) encoding.push([name, entry]);
  }
  for (const name of Object.keys(choice.encoding)) if (!properties.has(name)) findings.note('encoding-of-nothing', `"${name}" is not a property of the body`, `${choice.pointer}/encoding${token(name)}`);
  if (as.kind === 'multipart' && as.mediaType !== 'multipart/form-data' && !as.mediaType.startsWith('multipart/form-data;')) {
    findings.degrade('multipart-subtype', `the parts of ${as.mediaType} are sent in the order of the properties, each with its name, as in multipart/form-data`, choice.pointer);
  }
  const translated = context.translator.translate(choice.schemaNode, choice.schemaPointer, findings.request);
  const content: RestContent = { ...as, ...(encoding.length > 0 ? { encoding: Object.fromEntries(encoding) } : {}) };
  return { content, schema: files.length > 0 ? withFiles(translated, files, properties, context) : translated };
}

function readEncoding(raw: RawObject, pointer: string, kind: 'form' | 'multipart', findings: Findings): RestEncoding {
  const { style, explode, allowReserved } = raw;
  const contentType = textOf(member(raw, 'contentType'));
  const isStyled = style !== undefined || explode !== undefined || allowReserved !== undefined;
  const known = STYLES.find((candidate) => candidate === style);
  if (style !== undefined && known === undefined) findings.degrade('style-not-allowed', `style ${JSON.stringify(style)} does not exist for a form; "form" is used`, `${pointer}/style`);
  const chosen = known ?? 'form';
  const headers = kind === 'multipart' ? fixedHeaders(member(raw, 'headers'), pointer, findings) : undefined;
  return {
    ...(contentType !== undefined && !isStyled ? { contentType: contentType.split(',', 1)[0]?.trim() ?? contentType } : {}),
    ...(isStyled ? { style: chosen, explode: typeof explode === 'boolean' ? explode : chosen === 'form' || chosen === 'deepObject', allowReserved: allowReserved === true } : {}),
    ...(headers ? { headers } : {}),
  };
}

function fixedHeaders(raw: unknown, pointer: string, findings: Findings): Record<string, string> | undefined {
  const fixed: [string, string][] = [];
  for (const [name, header] of isObject(raw) ? Object.entries(raw) : []) {
    if (name.toLowerCase() === 'content-type') continue;
    const schema = isObject(header) ? member(header, 'schema') : undefined;
    const value = isObject(schema) ? member(schema, 'const') ?? (listOf(member(schema, 'enum')).length === 1 ? listOf(member(schema, 'enum'))[0] : undefined) ?? member(schema, 'default') : undefined;
    if (typeof value === 'string' || typeof value === 'number') fixed.push([name, String(value)]);
    else findings.degrade('part-header', `the header "${name}" of the part has no fixed value and is not sent`, `${pointer}/headers${token(name)}`);
  }
  return fixed.length > 0 ? Object.fromEntries(fixed) : undefined;
}

/** The same schema, with the properties that carry bytes asking for base64. */
function withFiles(schema: JsonSchema, files: readonly string[], properties: ReadonlyMap<string, FormProperty>, context: DocumentContext): JsonSchema {
  const replaced = files.map((name): [string, JsonSchema] => {
    const raw = properties.get(name)?.schema;
    const target = context.references.follow(raw, '');
    const node = target.found && isObject(target.value) ? target.value : {};
    const own = textOf(member(node, 'description'));
    const file = { type: 'string', contentEncoding: 'base64', description: `${own === undefined ? '' : `${own} `}Bytes as base64.` };
    return [name, itemsOf(raw, context) === undefined ? file : { type: 'array', items: file }];
  });
  const base = typeof schema === 'boolean' ? {} : schema;
  if (isObject(base['properties'])) return { ...base, properties: { ...base['properties'], ...Object.fromEntries(replaced) } };
  return { allOf: [base], properties: Object.fromEntries(replaced), type: 'object' };
}
