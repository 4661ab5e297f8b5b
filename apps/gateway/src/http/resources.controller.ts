import { Controller, Get, Inject, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import { restAnswer } from '../error-mapping.js';
import type { Listing } from '../mcp/listing.js';
import { LISTING, RUN_CALL } from '../tokens.js';
import { ProblemFilter } from './problem.js';
import { page, type RawQuery } from './query.js';
import { restCall, tellOfCall } from './rest-call.js';
import { resourceShape } from './shapes.js';
import { visible } from './tools.controller.js';

/** STOA's resource routes. */
@Controller('mcp/v1/resources')
@UseFilters(ProblemFilter)
export class ResourcesController {
  constructor(@Inject(RUN_CALL) private readonly runCall: RunCall, @Inject(LISTING) private readonly listing: Listing) {}

  @Get()
  async list(@Req() request: FastifyRequest, @Query() query: RawQuery): Promise<object> {
    const { items, nextCursor, total } = page(await visible(this.listing, 'resource', request, query), query);
    return { resources: items.map(resourceShape), nextCursor, total_count: total };
  }

  /** The URI is the rest of the path, percent-encoded or not, with the query where it has one. */
  @Get('*')
  async read(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { '*': path = '' } = request.params as { '*'?: string };
    const at = request.url.indexOf('?');
    const uri = at === -1 ? path : `${path}${request.url.slice(at)}`;
    const call = restCall(request, reply, { kind: 'resource', name: uri, arguments: {} });
    const result = await this.runCall(call);
    tellOfCall(reply, call);
    if (result instanceof Denial || result.type !== 'resource') {
      const denial = result instanceof Denial ? result : new Denial({ code: 'INTERNAL', message: 'Internal error.' });
      const { status, headers, body } = restAnswer(denial, 'resource');
      void reply.status(status).headers(headers).send(body);
      return;
    }
    void reply.send({ contents: result.contents });
  }
}
