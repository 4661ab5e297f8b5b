import type { JsonSchema } from '#libs/core/json-schema.js';
import type { RestEncoding } from '#libs/core/rest-binding.js';
import { choose, convertContent } from '#libs/openapi/request-body.js';
import type { BodyResult } from '#libs/openapi/request-body.js';
import type { MediaChoice } from '#libs/openapi/media-choice.js';
import { rank, essence } from '#libs/openapi/media-types.js';
import type { DocumentContext, Findings, OperationSource } from '#libs/openapi/operation-source.js';
import { styleOf } from '#libs/openapi/parameter-style.js';
import { describe, inlineSchema } from '#libs/openapi/parameters.js';
import type { RawParameter } from '#libs/openapi/raw-parameter.js';
import { listOf, member } from '#libs/tool-listing/raw.js';

/** The body of a Swagger 2.0 operation: its `in: body` parameter, or all of its `in: formData` parameters. */
export function convertSwaggerBody(source: OperationSource, parameters: readonly RawParameter[], context: DocumentContext, findings: Findings): BodyResult | undefined {
  const whole = parameters.find((parameter) => parameter.in === 'body');
  const fields = parameters.filter((parameter) => parameter.in === 'formData');
  const consumes = consumedTypes(source, context);
  if (whole) {
    for (const field of fields) findings.degrade('body-and-form', `"${field.name}" cannot be sent in a form beside a body; left out`, field.pointer);
    return wholeBody(whole, consumes, context, findings);
  }
  return fields.length > 0 ? formFields(fields, consumes, context, findings) : undefined;
}

function consumedTypes(source: OperationSource, context: DocumentContext): readonly string[] {
  const own = source.operation && member(source.operation, 'consumes');
  return listOf(own ?? member(context.root, 'consumes')).filter((type) => typeof type === 'string');
}

function wholeBody(parameter: RawParameter, consumes: readonly string[], context: DocumentContext, findings: Findings): BodyResult {
  const { node, pointer } = parameter;
  const types = consumes.length > 0 ? consumes : ['application/json'];
  // A body parameter is a single value: forms do not apply to it (Swagger 2.0, Parameter Object).
  const usable = types.filter((type) => rank(type, false) !== rank('application/x-www-form-urlencoded', false) && !essence(type).startsWith('multipart/'));
  const choices = (usable.length > 0 ? usable : types).map((mediaType): MediaChoice => ({ mediaType, pointer, schemaNode: member(node, 'schema') ?? true, schemaPointer: `${pointer}/schema`, encoding: {} }));
  const { content, schema } = convertContent(choose(choices, context, findings), context, findings);
  return { content, schema: describe(schema, node), required: member(node, 'required') === true };
}

function formFields(fields: readonly RawParameter[], consumes: readonly string[], context: DocumentContext, findings: Findings): BodyResult {
  const hasFile = fields.some((field) => member(field.node, 'type') === 'file');
  const multipart = consumes.find((type) => essence(type) === 'multipart/form-data');
  const urlencoded = consumes.find((type) => essence(type) === 'application/x-www-form-urlencoded');
  const isMultipart = hasFile || (multipart !== undefined && urlencoded === undefined);
  if (multipart !== undefined && urlencoded !== undefined) findings.note('other-media-types', `sent as ${isMultipart ? multipart : urlencoded}; the backend also takes ${isMultipart ? urlencoded : multipart}`, fields[0]?.pointer ?? '');
  const properties: [string, JsonSchema][] = [];
  const encoding: [string, RestEncoding][] = [];
  for (const field of fields) {
    const isFile = member(field.node, 'type') === 'file';
    const schema: JsonSchema = isFile ? { type: 'string', contentEncoding: 'base64' } : context.translator.translate(inlineSchema(field.node), field.pointer, findings.request);
    properties.push([field.name, describe(schema, field.node)]);
    if (isFile) encoding.push([field.name, { binary: true }]);
    if (member(field.node, 'type') !== 'array') continue;
    const { style, explode } = styleOf(field, inlineSchema(field.node), context, findings);
    if (isMultipart && explode) encoding.push([field.name, { repeated: true }]);
    else encoding.push([field.name, { style: style === 'simple' || style === 'matrix' || style === 'label' || style === 'cookie' ? 'form' : style, explode, allowReserved: false }]);
  }
  const required = fields.filter((field) => member(field.node, 'required') === true).map((field) => field.name);
  return {
    content: {
      mediaType: isMultipart ? 'multipart/form-data' : 'application/x-www-form-urlencoded',
      kind: isMultipart ? 'multipart' : 'form',
      ...(encoding.length > 0 ? { encoding: Object.fromEntries(encoding) } : {}),
    },
    required: required.length > 0,
    schema: { type: 'object', properties: Object.fromEntries(properties), ...(required.length > 0 ? { required } : {}), additionalProperties: false },
  };
}
