import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ControllerParts, PARTS } from '../parts.js';
import { problemOf } from './problem.js';

/** Answers any failure of the admin API as `{"detail": …}`; what is our fault is logged and told without its cause. */
export function answerFailure(failure: unknown, { request, reply, log }: { request: FastifyRequest; reply: FastifyReply; log: ControllerParts['log'] }): void {
  const problem = problemOf(failure);
  if (problem === undefined) log?.error({ err: failure, request_id: request.id }, 'an admin request failed');
  if (problem?.retryAfterSeconds !== undefined) void reply.header('retry-after', problem.retryAfterSeconds);
  void reply.headers(problem?.headers ?? {});
  if (problem?.status === 401) void reply.header('www-authenticate', 'Bearer');
  void reply.status(problem?.status ?? 500).type('application/json; charset=utf-8').send(JSON.stringify({ detail: problem?.detail ?? 'Internal error' }));
}

@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(PARTS) private readonly parts: Pick<ControllerParts, 'log'>) {}

  catch(failure: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    answerFailure(failure, { request: http.getRequest<FastifyRequest>(), reply: http.getResponse<FastifyReply>(), log: this.parts.log });
  }
}
