import { Controller, Get, Inject, Param, Query, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import { restAnswer } from '../error-mapping.js';
import type { Listing } from '../mcp/listing.js';
import { LISTING, RUN_CALL } from '../tokens.js';
import { ProblemFilter } from './problem.js';
import { page, type RawQuery, text } from './query.js';
import { restCall, tellOfCall } from './rest-call.js';
import { promptShape } from './shapes.js';
import { visible } from './tools.controller.js';

/** STOA's prompt routes; a prompt's arguments are query parameters. */
@Controller('mcp/v1/prompts')
@UseFilters(ProblemFilter)
export class PromptsController {
  constructor(@Inject(RUN_CALL) private readonly runCall: RunCall, @Inject(LISTING) private readonly listing: Listing) {}

  @Get()
  async list(@Req() request: FastifyRequest, @Query() query: RawQuery): Promise<object> {
    const { items, nextCursor, total } = page(await visible(this.listing, 'prompt', request, query), query);
    return { prompts: items.map(promptShape), nextCursor, total_count: total };
  }

  @Get(':name')
  async get(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('name') name: string, @Query() query: RawQuery): Promise<void> {
    const args = Object.fromEntries(Object.keys(query).map((key) => [key, text(query, key) ?? '']));
    const call = restCall(request, reply, { kind: 'prompt', name, arguments: args });
    const result = await this.runCall(call);
    tellOfCall(reply, call);
    if (result instanceof Denial || result.type !== 'prompt') {
      const denial = result instanceof Denial ? result : new Denial({ code: 'INTERNAL', message: 'Internal error.' });
      const { status, headers, body } = restAnswer(denial, 'prompt');
      void reply.status(status).headers(headers).send(body);
      return;
    }
    void reply.send({ description: result.description ?? '', messages: result.messages });
  }
}
