import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problemOf } from './problem.js';

/** Answers any failure of the admin API as `{"detail": …}`; what is our fault is logged and told without its cause. */
export function answerFailure(failure: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(failure);
  if (problem === undefined) request.log.error({ err: failure, request_id: request.id }, 'an admin request failed');
  if (problem?.retryAfterSeconds !== undefined) void reply.header('retry-after', problem.retryAfterSeconds);
  if (problem?.status === 401) void reply.header('www-authenticate', 'Bearer');
  void reply.status(problem?.status ?? 500).type('application/json; charset=utf-8').send(JSON.stringify({ detail: problem?.detail ?? 'Internal error' }));
}

@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(failure: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    answerFailure(failure, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}
