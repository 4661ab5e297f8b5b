import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import type { RestContent } from '#libs/core/rest-binding.js';
import { formBody, hasFiles, isObjectSchema } from '#libs/openapi/form-body.js';
import { essence, isMediaType, kindOf, rank } from '#libs/openapi/media-types.js';
import type { ContentKind } from '#libs/openapi/media-types.js';
import type { DocumentContext, Findings, OperationSource } from '#libs/openapi/operation-source.js';
import type { MediaChoice } from '#libs/openapi/media-choice.js';
import { describe } from '#libs/openapi/parameters.js';
import { isObject, member, token } from '#libs/tool-listing/raw.js';

export interface BodyResult { readonly content: RestContent; readonly required: boolean; readonly schema: JsonSchema }

/** The Request Body Object of OpenAPI 3.x. */
export function convertRequestBody(source: OperationSource, context: DocumentContext, findings: Findings): BodyResult | undefined {
  const raw = source.operation && member(source.operation, 'requestBody');
  if (raw === undefined) return undefined;
  const written = `${source.pointer}/requestBody`;
  const target = context.references.follow(raw, written);
  if (!target.found) { findings.refuse(target.code, `${target.message}; without it the body is unknown`, `${written}/$ref`); return undefined; }
  const { value: body, pointer } = target;
  const content = isObject(body) ? member(body, 'content') : undefined;
  const choices = isObject(content) ? Object.entries(content).map(([mediaType, media]) => readMedia(mediaType, media, `${pointer}/content`, context)) : [];
  if (!isObject(body) || choices.length === 0) {
    findings.degrade('body-without-content', 'the body has no media type; none is sent', pointer);
    return undefined;
  }
  if (source.method === 'TRACE') { findings.degrade('body-on-trace', 'a TRACE request has no body (RFC 9110 §9.3.8); none is sent', pointer); return undefined; }
  const chosen = choose(choices, context, findings);
  const result = convertContent(chosen, context, findings);
  return { ...result, required: member(body, 'required') === true, schema: describe(result.schema, { description: member(body, 'description') }) };
}

function readMedia(mediaType: string, raw: unknown, parent: string, context: DocumentContext): MediaChoice {
  const target = context.references.follow(raw, parent + token(mediaType));
  const pointer = target.found ? target.pointer : parent + token(mediaType);
  const media = target.found && isObject(target.value) ? target.value : {};
  const encoding = member(media, 'encoding');
  return { mediaType, pointer, schemaNode: member(media, 'schema') ?? true, schemaPointer: `${pointer}/schema`, encoding: isObject(encoding) ? encoding : {} };
}

/** JSON before forms before text before bytes; the others are noted. */
export function choose(choices: readonly MediaChoice[], context: DocumentContext, findings: Findings): MediaChoice {
  const [first, ...others] = choices.map((choice, i) => ({ choice, i, rank: rank(choice.mediaType, hasFiles(choice.schemaNode, context)) }))
    .toSorted((a, b) => a.rank - b.rank || a.i - b.i);
  if (!first) throw new RangeError('choose needs at least one media type');
  if (others.length > 0) findings.note('other-media-types', `sent as ${first.choice.mediaType}; the backend also takes ${others.map((other) => other.choice.mediaType).join(', ')}`, first.choice.pointer);
  return first.choice;
}

/** The body's media type and schema for one choice. */
export function convertContent(choice: MediaChoice, context: DocumentContext, findings: Findings): { content: RestContent; schema: JsonSchema } {
  const kind = decideKind(choice, context, findings);
  const mediaType = concreteType(choice, kind, findings);
  if (kind === 'form' || kind === 'multipart') return formBody(choice, { mediaType, kind }, context, findings);
  if (kind === 'json') return { content: { mediaType, kind }, schema: context.translator.translate(choice.schemaNode, choice.schemaPointer, findings.request) };
  return { content: { mediaType, kind }, schema: stringSchema(choice, kind, context, findings) };
}

function decideKind(choice: MediaChoice, context: DocumentContext, findings: Findings): ContentKind {
  const known = kindOf(choice.mediaType);
  if (known === 'form' && !isObjectSchema(choice.schemaNode, context)) {
    findings.note('form-as-text', 'the form has no object schema; the body takes the encoded text as it is', choice.pointer);
    return 'text';
  }
  if (known === 'multipart' && !isObjectSchema(choice.schemaNode, context)) {
    findings.note('multipart-as-bytes', 'the multipart body has no object schema; the body takes the encoded bytes as base64', choice.pointer);
    return 'binary';
  }
  if (known) return known;
  const shape = shapeOf(choice.schemaNode, context);
  if (shape === 'bytes') return 'binary';
  if (shape === 'string') return 'text';
  const type = essence(choice.mediaType);
  if (type.includes('*') || !isMediaType(choice.mediaType)) return type.startsWith('text/') ? 'text' : 'json';
  if (shape === 'none') return 'binary';
  findings.degrade('media-type-without-serialization', `OpenAPI does not say how a value becomes ${choice.mediaType}; the body takes the finished text as it is`, choice.pointer);
  return 'text';
}

function shapeOf(schema: unknown, context: DocumentContext): 'bytes' | 'string' | 'none' | 'value' {
  const target = context.references.follow(schema, '');
  if (!target.found || !isObject(target.value)) return 'none';
  const node = target.value;
  const format = member(node, 'format');
  if (format === 'binary' || member(node, 'contentEncoding') !== undefined) return 'bytes';
  if (member(node, 'type') === 'string') return 'string';
  return Object.keys(node).length === 0 ? 'none' : 'value';
}

const STAND_IN: Readonly<Record<ContentKind, string>> = {
  json: 'application/json', text: 'text/plain', xml: 'application/xml', binary: 'application/octet-stream', form: 'application/x-www-form-urlencoded', multipart: 'multipart/form-data',
};

function concreteType({ mediaType, pointer }: MediaChoice, kind: ContentKind, findings: Findings): string {
  if (essence(mediaType).includes('*')) {
    findings.note('media-type-wildcard', `"${mediaType}" names no type; ${STAND_IN[kind]} is sent`, pointer);
    return STAND_IN[kind];
  }
  if (isMediaType(mediaType)) return mediaType.trim().replace(/\s*;$/, '');
  const bare = essence(mediaType);
  const type = isMediaType(bare) ? bare : STAND_IN[kind];
  findings.degrade('illegal-media-type', `"${mediaType}" is not a media type (RFC 9110 §8.3.1); ${type} is sent`, pointer);
  return type;
}

/** Text, XML and bytes are given as one string. What the document says of their structure is told, not enforced. */
function stringSchema(choice: MediaChoice, kind: 'text' | 'xml' | 'binary', context: DocumentContext, findings: Findings): JsonSchema {
  const shape = shapeOf(choice.schemaNode, context);
  if (kind === 'binary') {
    if (shape === 'value') findings.note('body-as-bytes', `the body takes the bytes of ${choice.mediaType} as base64; its schema is not enforced`, choice.pointer);
    return { type: 'string', contentEncoding: 'base64', description: `The bytes of the body (${choice.mediaType}) as base64.` };
  }
  if (shape === 'string') {
    const schema = context.translator.translate(choice.schemaNode, choice.schemaPointer, findings.request);
    return schema === true ? { type: 'string' } : schema;
  }
  if (shape === 'value') findings.note(kind === 'xml' ? 'xml-as-text' : 'body-as-text', `the body takes the finished text of ${choice.mediaType}; its schema is not enforced`, choice.pointer);
  return { type: 'string', description: `The text of the body (${choice.mediaType}), sent as it is.${outline(choice.schemaNode, context)}` } satisfies JsonSchemaObject;
}

/** Names of an object's members, so that a caller who writes XML or YAML by hand knows what belongs in it. */
function outline(schema: unknown, context: DocumentContext): string {
  const target = context.references.follow(schema, '');
  const properties = target.found && isObject(target.value) ? member(target.value, 'properties') : undefined;
  const names = isObject(properties) ? Object.keys(properties) : [];
  return names.length > 0 ? ` Elements: ${names.slice(0, 30).join(', ')}${names.length > 30 ? ', …' : ''}.` : '';
}
