import { HttpException } from '@nestjs/common';
import { AdmissionError } from '#libs/core/admission.js';
import { AlreadyExists, NoSuchRecord } from '#libs/core/control-store.js';
import { Unavailable } from '#libs/core/errors.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { PolicyRefused } from '#libs/policy/policy-refused.js';
import { tenantNotFound } from './access.js';

/** One thing wrong with a request: where (`body`, `query`, `path`, then keys), what, and a stable type. */
interface Issue { readonly loc: readonly (string | number)[]; readonly msg: string; readonly type: string }
export type Detail = string | readonly Issue[];

/** A refusal with its HTTP status; `detail` is the body's only field. */
export class Problem extends Error {
  override get name(): string { return 'Problem'; }
  constructor(readonly status: number, readonly detail: Detail, readonly retryAfterSeconds?: number, readonly headers: Readonly<Record<string, string>> = {}) {
    super(typeof detail === 'string' ? detail : detail.map((issue) => issue.msg).join('; '));
  }
}

/** 422 about one field. */
export const invalid = (loc: readonly (string | number)[], msg: string, type = 'value_error'): Problem => new Problem(422, [{ loc, msg, type }]);

export const notFound = (noun: string, id: string): Problem => new Problem(404, noun === 'Tenant' ? tenantNotFound(id) : `${noun} not found: ${id}`);

/** What the caller is told of a failure: one table for every door of the admin API. Undefined: it is our fault, 500. */
export function problemOf(failure: unknown): Problem | undefined {
  if (failure instanceof Problem) return failure;
  if (failure instanceof NoSuchRecord) return notFound(failure.noun.charAt(0).toUpperCase() + failure.noun.slice(1), failure.id);
  if (failure instanceof AlreadyExists) return new Problem(409, failure.message);
  if (failure instanceof DocumentError) return invalid(['body', ...place(failure)], failure.message, failure.code);
  if (failure instanceof AdmissionError) return failure.fault === 'input' ? invalid(['body', 'source'], failure.message, failure.code) : new Problem(502, [{ loc: ['body', 'source'], msg: failure.message, type: failure.code }]);
  if (failure instanceof PolicyRefused) return new Problem(422, failure.issues.map(({ file, line, message }) => ({ loc: ['body', 'files', file, ...(line === undefined ? [] : ['line', line])], msg: message, type: 'policy_refused' })));
  if (failure instanceof Unavailable) return new Problem(503, 'The service is temporarily unavailable.', 1);
  if (failure instanceof HttpException) return new Problem(failure.getStatus(), failure.getStatus() === 404 ? 'Not Found' : failure.message);
  return ofFastify(failure);
}

function place({ facts: { line, column, pointer } }: DocumentError): (string | number)[] {
  if (pointer !== undefined) return [pointer];
  return line === undefined ? [] : ['line', line, ...(column === undefined ? [] : ['column', column])];
}

/** Errors of the HTTP layer below (body limit, media type, malformed JSON) carry `statusCode` and `code`. */
function ofFastify(failure: unknown): Problem | undefined {
  if (!(failure instanceof Error) || !('statusCode' in failure) || typeof failure.statusCode !== 'number') return undefined;
  const { statusCode, message } = failure;
  if (statusCode === 413) return new Problem(413, 'The body is larger than this route takes.');
  if (statusCode === 415) return new Problem(415, 'This media type is not taken here.');
  if (statusCode === 400) return invalid(['body'], message, 'json_invalid');
  return statusCode < 500 ? new Problem(statusCode, message) : undefined;
}
