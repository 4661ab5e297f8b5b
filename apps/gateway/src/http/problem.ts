import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { Unavailable } from '#libs/core/errors.js';
import type { Logger } from '#libs/observability/logger.js';
import { LOG } from '#libs/core/tokens.js';

/** FastAPI's list of what is wrong with a request. */
export interface FieldIssue { readonly loc: readonly (string | number)[]; readonly msg: string; readonly type: string }

/** An answer other than success, as STOA words it: `{"detail": …}`. */
export class Problem extends Error {
  override get name(): string { return 'Problem'; }
  constructor(readonly status: number, readonly detail: unknown, readonly headers: Readonly<Record<string, string>> = {}) { super(typeof detail === 'string' ? detail : 'refused'); }
}
export const invalid = (...issues: readonly FieldIssue[]): Problem => new Problem(422, issues);

/** What any failure below a REST route is answered with; undefined: our own fault, to be logged and told without its cause. */
function problemOf(failure: unknown): Problem | undefined {
  if (failure instanceof Problem) return failure;
  if (failure instanceof Unavailable) return new Problem(503, 'The service is temporarily unavailable.', { 'retry-after': '1' });
  if (failure instanceof HttpException) return new Problem(failure.getStatus(), failure.getStatus() === 404 ? 'Not Found' : failure.message);
  const { code, statusCode } = failure as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE' || statusCode === 413) return new Problem(413, { code: 'PAYLOAD_TOO_LARGE', message: 'The request body is too large.' }, { connection: 'close' });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new Problem(415, 'Send the body as application/json.');
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return new Problem(statusCode, failure instanceof Error ? failure.message : 'Bad request');
  return undefined;
}

export function answerFailure(failure: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  const problem = problemOf(failure);
  if (!problem) logger.error({ request_id: request.id, err: failure }, 'a request failed');
  const { status, detail, headers } = problem ?? new Problem(500, 'Internal error');
  void reply.status(status).headers(headers).type('application/json; charset=utf-8').send(JSON.stringify({ detail }));
}

/** One shape of error for everything that Nest handles on this server. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(LOG) private readonly logger: Logger) {}
  catch(failure: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    answerFailure(failure, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>(), this.logger);
  }
}
