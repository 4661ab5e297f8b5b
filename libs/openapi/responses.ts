import type { JsonSchema } from '#libs/core/json-schema.js';
import { isJson, isMediaType } from '#libs/openapi/media-types.js';
import type { DocumentContext, Findings, OperationSource } from '#libs/openapi/operation-source.js';
import { isObject, listOf, member, token } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';

export interface ResponseResult { readonly accept: string; readonly outputSchema: JsonSchema | undefined }

interface Success { readonly pointer: string; readonly media: readonly { readonly type: string; readonly schema: unknown; readonly pointer: string }[] }

/** What to accept, and the schema of a good answer when every 2xx answer is JSON with a schema. */
export function convertResponses(source: OperationSource, context: DocumentContext, findings: Findings): ResponseResult {
  const successes = successesOf(source, context, findings);
  const types = [...new Set(successes.flatMap((success) => success.media.map(({ type }) => type)))].filter((type) => isMediaType(type))
    .toSorted((a, b) => Number(!isJson(a)) - Number(!isJson(b)));
  const accept = types.length > 0 ? types.join(', ') : '*/*';
  const schemas: JsonSchema[] = [];
  for (const { media } of successes) {
    const [first] = media;
    if (!first || !media.every(({ type, schema }) => isJson(type) && schema !== undefined)) return { accept, outputSchema: undefined };
    for (const { schema, pointer } of media) {
      if (schemas.length > 0 && isRepeat(schema, media, pointer)) continue;
      schemas.push(context.translator.translate(schema, pointer, findings.response));
    }
  }
  return { accept, outputSchema: union(schemas) };
}

/** ASP.NET documents repeat one schema under text/json and application/json. */
function isRepeat(schema: unknown, media: Success['media'], pointer: string): boolean {
  const index = media.findIndex((entry) => entry.pointer === pointer);
  const written = JSON.stringify(schema);
  return media.slice(0, index).some((entry) => JSON.stringify(entry.schema) === written);
}

function union(schemas: readonly JsonSchema[]): JsonSchema | undefined {
  const distinct = [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
  return distinct.length > 1 ? { anyOf: distinct } : distinct[0];
}

function successesOf(source: OperationSource, context: DocumentContext, findings: Findings): readonly Success[] {
  const responses = source.operation && member(source.operation, 'responses');
  if (!isObject(responses)) return [];
  const successes: Success[] = [];
  for (const [status, raw] of Object.entries(responses)) {
    if (!/^2(\d\d|XX|xx)$/.test(status)) continue;
    const written = `${source.pointer}/responses${token(status)}`;
    const target = context.references.follow(raw, written);
    if (!target.found) {
      findings.degrade(target.code, `${target.message}; the answer's schema is unknown`, `${written}/$ref`);
      successes.push({ pointer: written, media: [] });
    } else if (isObject(target.value)) successes.push(readSuccess(target.value, target.pointer, source, context));
  }
  return successes;
}

function readSuccess(response: RawObject, pointer: string, source: OperationSource, context: DocumentContext): Success {
  if (context.format === 'swagger-2.0') {
    const produces = listOf((source.operation && member(source.operation, 'produces')) ?? member(context.root, 'produces')).filter((type) => typeof type === 'string');
    const schema = member(response, 'schema');
    const isFile = isObject(schema) && member(schema, 'type') === 'file';
    if (schema === undefined && produces.length === 0) return { pointer, media: [] };
    const types = produces.length > 0 ? produces : [isFile ? '*/*' : 'application/json'];
    // Without a schema there is no content (Swagger 2.0, Response Object); the types still belong in Accept.
    return { pointer, media: types.map((type) => ({ type, schema: isFile ? undefined : schema, pointer: `${pointer}/schema` })) };
  }
  const content = member(response, 'content');
  return {
    pointer,
    media: (isObject(content) ? Object.entries(content) : []).map(([type, raw]) => {
      const target = context.references.follow(raw, `${pointer}/content${token(type)}`);
      return { type, schema: target.found && isObject(target.value) ? member(target.value, 'schema') : undefined, pointer: `${target.found ? target.pointer : pointer}/schema` };
    }),
  };
}
