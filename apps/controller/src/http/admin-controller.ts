import { applyDecorators, Controller, UseFilters, UsePipes } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { ZodType } from 'zod';
import { ProblemAnswer } from './problem-schema.js';
import { ProblemFilter } from './problem-filter.js';
import { SchemaPipe } from './schema-pipe.js';

/** A Nest controller of the admin API below `/admin/v1/{path}`. */
export const AdminController = (path: string, tag: string): ClassDecorator => applyDecorators(
  Controller(`admin/v1/${path}`),
  UsePipes(new SchemaPipe()),
  UseFilters(ProblemFilter),
  ApiTags(tag),
  ApiBearerAuth(),
);

/** Describes a route: its summary and what it answers, by status; `undefined` stands for no body. The shared refusals are added. */
export function Describe(summary: string, answers: Readonly<Record<number, ZodType | undefined>>): MethodDecorator {
  const given = Object.entries(answers).map(([status, schema]) => ApiResponse({
    status: Number(status), description: TEXTS[status] ?? '', ...(schema === undefined ? {} : { standardSchema: schema }),
  }));
  const refusals = [401, 403, 404, 422].filter((status) => !(status in answers))
    .map((status) => ApiResponse({ status, description: TEXTS[status] ?? '', standardSchema: ProblemAnswer }));
  return applyDecorators(countParameters, ApiOperation({ summary }), ...given, ...refusals);
}

/** The description's explorer skips methods without the compiler's parameter types, which this code base does not emit; the schemas say the rest. */
const countParameters: MethodDecorator = (target, key, descriptor) => {
  const { length } = descriptor.value as unknown as (...parameters: unknown[]) => unknown;
  Reflect.defineMetadata('design:paramtypes', Array.from({ length }, () => Object), target, key);
};

const TEXTS: Readonly<Record<string, string>> = {
  200: 'Done.', 201: 'Created.', 204: 'Done; no content.',
  401: 'No valid bearer token.', 403: 'The role does not allow it.', 404: 'No such thing, or not the caller\'s to see.',
  409: 'It exists already, or is not editable.', 413: 'The body is too large.', 415: 'The media type is not taken.',
  422: 'The request or the document is wrong; each issue says where.', 502: 'The document\'s address did not answer.', 503: 'Try again later.',
};
