import SwaggerParser from '@apidevtools/swagger-parser';
import type { ConvertOptions } from '#libs/openapi/convert.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { formatOf } from '#libs/openapi/document-format.js';
import { DOCUMENT_LIMITS } from '#libs/openapi/document-limits.js';
import { isObject, listOf, textOf } from '#libs/tool-listing/raw.js';
import { readDocument } from '#libs/openapi/read-document.js';

/** Largest document that is checked: the checker expands every reference, and its cost grows with the expansion. */
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Checks a document against the JSON Schema that the OpenAPI Initiative publishes for its version, by `@apidevtools/swagger-parser`
 * with every kind of external resolution switched off (docs/adr/0002). Rejects with `DocumentError` naming the first violation.
 * Costs far more than a conversion, so it runs where time and memory are bounded: see `DocumentConverter`.
 */
export async function validateDocument(bytes: Uint8Array, options: ConvertOptions): Promise<void> {
  const file = options.fileName ?? 'document';
  if (bytes.byteLength > MAX_BYTES) throw new DocumentError({ code: 'too-large', file, problem: `only documents of up to ${MAX_BYTES} bytes can be checked against the specification; convert without validation` });
  const document = readDocument(bytes, file, { ...DOCUMENT_LIMITS, ...options.limits });
  if (formatOf(document, file) === 'openapi-3.2') throw new DocumentError({ code: 'unsupported-version', file, pointer: '/openapi', problem: 'validation knows Swagger 2.0 and OpenAPI 3.0 and 3.1; convert without validation' });
  try {
    // The parser works on what it is given: the value was read for it alone.
    await SwaggerParser.validate(document as Parameters<typeof SwaggerParser.validate>[0] & object, {
      resolve: { external: false, file: false, http: false },
      dereference: { circular: 'ignore' },
      validate: { schema: true, spec: true },
    } as SwaggerParser.Options);
  } catch (cause) {
    throw violation(cause, file);
  }
}

function violation(cause: unknown, file: string): DocumentError {
  const details = isObject(cause) ? listOf(cause['details']) : [];
  // The deepest place says most: those above it only repeat that something below does not hold.
  const [deepest] = details.filter(isObject).map((detail) => ({ pointer: textOf(detail['instancePath']) ?? '', message: textOf(detail['message']) ?? '' }))
    .toSorted((a, b) => b.pointer.split('/').length - a.pointer.split('/').length);
  if (deepest) return new DocumentError({ code: 'invalid-document', file, pointer: deepest.pointer, problem: `does not follow the OpenAPI specification: ${deepest.message}` }, { cause });
  const message = cause instanceof Error ? cause.message.split('\n', 1)[0] ?? '' : 'unknown reason';
  return new DocumentError({ code: 'invalid-document', file, problem: `does not follow the OpenAPI specification: ${message}` }, { cause });
}
