import { DocumentError } from '#libs/openapi/document-error.js';
import type { DocumentFormat } from '#libs/openapi/operation-source.js';
import { isObject, member } from '#libs/tool-listing/raw.js';

/** Which specification the document follows; throws `DocumentError` when it follows none that can be converted. */
export function formatOf(root: unknown, file: string): DocumentFormat {
  if (!isObject(root)) throw new DocumentError({ code: 'not-openapi', file, problem: 'not an OpenAPI document: the top level must be an object with "openapi" or "swagger"' });
  const version = member(root, 'openapi') ?? member(root, 'swagger');
  if (version === undefined) throw new DocumentError({ code: 'not-openapi', file, problem: 'not an OpenAPI document: the top level has neither "openapi" nor "swagger"' });
  const written = typeof version === 'string' || typeof version === 'number' ? String(version) : '';
  const format = Object.hasOwn(root, 'openapi') ? openApi(written) : /^2(\.0)?$/.test(written) ? 'swagger-2.0' : undefined;
  if (!format) throw new DocumentError({ code: 'unsupported-version', file, pointer: Object.hasOwn(root, 'openapi') ? '/openapi' : '/swagger', problem: `version ${JSON.stringify(version)} is not supported; use Swagger 2.0 or OpenAPI 3.0, 3.1 or 3.2` });
  const paths = member(root, 'paths');
  const mayLackPaths = format === 'openapi-3.1' || format === 'openapi-3.2';
  if (paths === undefined && !mayLackPaths) throw new DocumentError({ code: 'invalid-document', file, pointer: '', problem: 'the document has no "paths"; it may be cut short' });
  if (paths !== undefined && !isObject(paths)) throw new DocumentError({ code: 'invalid-document', file, pointer: '/paths', problem: '"paths" must be an object' });
  return format;
}

const FORMATS = ['openapi-3.0', 'openapi-3.1', 'openapi-3.2'] as const;

function openApi(version: string): DocumentFormat | undefined {
  const minor = /^3\.([012])(\.|$)/.exec(version)?.[1];
  return FORMATS.find((format) => format === `openapi-3.${minor ?? ''}`);
}
