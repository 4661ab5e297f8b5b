import type { z } from 'zod';
import { invalid, Problem } from '../http/problem.js';
import { ImportBody, type UploadQuery } from './api-schemas.js';
import { readEnvelope } from './envelope.js';
import type { ImportRequest } from './importer.js';
import { intervalSeconds } from './interval.js';

/** Media types of an upload. */
export const DOCUMENT_TYPES = ['application/yaml', 'application/json', 'text/yaml', 'text/plain', 'application/octet-stream'];
const TAKEN = /^(?:application\/(?:json|yaml|x-yaml|octet-stream|vnd\.oai\.openapi(?:\+json|\+yaml)?)|text\/[a-z0-9.+-]+)?$/;

/**
 * An import as the wire carries it: JSON `{name, source, …}`, or the document itself as the body with its options in the query.
 * Rejects with `Problem` 415 for a media type that is no document, 422 naming the field.
 */
export async function readImport(mediaType: string, body: unknown, options: UploadQuery): Promise<ImportRequest> {
  if (!TAKEN.test(mediaType)) throw new Problem(415, `${mediaType} is not a document: send ${DOCUMENT_TYPES.join(', ')}`);
  const bytes = body instanceof Uint8Array ? body : new Uint8Array();
  if (bytes.byteLength === 0) throw invalid(['body'], 'the body is empty', 'missing');
  const { name, ...rest } = options;
  if (name !== undefined) return { ...rest, name, source: { bytes } };
  if (mediaType !== 'application/json') throw invalid(['query', 'name'], 'an uploaded document needs the API\'s name: add ?name=', 'missing');
  const { value, inline } = await readEnvelope(bytes);
  return fromBody(parsed(ImportBody, value), inline, rest);
}

function fromBody({ source: { url, connection }, refreshInterval, dryRun, ...given }: ImportBody, inline: Uint8Array | undefined, { dryRun: dry, ...options }: Omit<UploadQuery, 'name'>): ImportRequest {
  if (typeof refreshInterval === 'string' && url === undefined && connection === undefined) throw invalid(['body', 'refreshInterval'], 'needs a source with a url or a connection');
  const refreshSeconds = typeof refreshInterval === 'string' ? intervalSeconds(refreshInterval) : refreshInterval;
  return { ...options, ...given, dryRun: dryRun || dry, refreshSeconds, source: connection !== undefined ? { connection } : url === undefined ? { bytes: inline ?? new Uint8Array() } : { url } };
}

function parsed<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new Problem(422, result.error.issues.slice(0, 20).map((issue) => ({
    loc: ['body', ...issue.path.map((key) => (typeof key === 'number' ? key : String(key)))], msg: issue.message, type: issue.code,
  })));
}
