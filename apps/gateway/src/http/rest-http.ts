import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify';
import { LOG } from '#libs/core/tokens.js';
import type { Logger } from '#libs/observability/logger.js';
import { BodyFault, parseBody } from '../mcp/body.js';
import { ABOUT, HTTP_SETTINGS } from '../tokens.js';
import { type About, serverInfo } from './info.controller.js';
import { answerFailure, Problem } from './problem.js';

const REST = '/mcp/v1';
const RAW = 'application/vnd.stoa.rest';

export interface HttpSettings { readonly maxBodyBytes: number; readonly metricsPublic: boolean }

/**
 * What the facade's routes need of Fastify and Nest cannot say: bodies as bytes with a limit of their own, read by the same
 * strict reader as MCP's, and one shape of error from the layers below Nest. Touches `/mcp/v1` alone, so that other
 * modules may share the server. Set up in the constructor: Nest's own routes are registered right after.
 */
@Injectable()
export class RestHttp implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost, @Inject(HTTP_SETTINGS) { maxBodyBytes }: HttpSettings,
    @Inject(LOG) logger: Logger, @Inject(ABOUT) private readonly about: About,
  ) {
    const server = host.httpAdapter.getInstance<FastifyInstance>();
    server.addContentTypeParser(RAW, { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) => { done(null, body); });
    server.addHook('onRoute', (route: RouteOptions) => {
      if (route.url !== REST && !route.url.startsWith(`${REST}/`)) return;
      route.errorHandler = (error, request, reply) => { answerFailure(error, request, reply, logger); };
      route.bodyLimit = maxBodyBytes;
      if (route.method === 'POST') route.preParsing = takeBytes;
    });
  }

  onModuleInit(): void {
    const server = this.host.httpAdapter.getInstance<FastifyInstance>();
    // With the slash, as STOA documents it, and without; Nest makes one of the two.
    for (const url of [REST, `${REST}/`]) server.get(url, (_request, reply) => { void reply.send(serverInfo(this.about)); });
  }
}

const takeBytes: Extract<NonNullable<RouteOptions['preParsing']>, (...args: never[]) => void> = (request, _reply, _payload, done) => {
  const type = request.headers['content-type'];
  const isJson = type === undefined || /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type);
  if (isJson) request.headers['content-type'] = RAW;
  done(isJson ? null : new Problem(415, 'Send the body as application/json.'));
};

/** The JSON value of a facade request's body; undefined when there is none. Throws a `Problem` for what is not JSON or ambiguous. */
export function jsonBody(request: FastifyRequest): unknown {
  const { body } = request;
  if (!Buffer.isBuffer(body) || body.length === 0) return undefined;
  const value = parseBody(body);
  if (value instanceof BodyFault) throw new Problem(400, value.message);
  return value;
}
