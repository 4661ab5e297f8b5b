import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { AdministrationPolicy } from '#libs/core/ports.js';
import { ADMINISTRATION } from '#libs/core/tokens.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { ADMIN_PUBLIC_ROUTES, refusal } from './access.js';
import { answerFailure } from './problem-filter.js';
import { Problem } from './problem.js';
import { principalOf, rememberMediaType } from './request.js';

const ADMIN = '/admin/v1';
const IMPORT_ROUTE = `${ADMIN}/tenants/:tenant/apis`;
/** Bytes; on the import route only. Every other route of the admin API takes 1 MiB. */
export const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;
const MAX_BODY_BYTES = 1024 * 1024;
const RAW = 'application/vnd.stoa.raw';

/**
 * What the admin API's routes need of Fastify and Nest cannot say: authorization before a byte of the body is read, one
 * body limit per route, documents as bytes, and one shape of error from the layers below Nest. Touches `/admin/v1` only,
 * so that other modules may share the server. Made in a constructor: routes are registered right after.
 */
@Injectable()
export class AdminHttp {
  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost, @Inject(PARTS) { log }: Pick<ControllerParts, 'log'>, @Inject(ADMINISTRATION) policy: AdministrationPolicy) {
    const server = host.httpAdapter.getInstance<FastifyInstance>();
    server.addContentTypeParser(RAW, { parseAs: 'buffer', bodyLimit: MAX_DOCUMENT_BYTES }, (_request, body, done) => done(null, body));
    server.addHook('onRoute', (route) => { guardRoute(route, log, authorize(policy)); });
  }
}

function guardRoute(route: RouteOptions, log: ControllerParts['log'], guard: Guard): void {
  if (!route.url.startsWith(`${ADMIN}/`)) return;
  const isImport = route.url === IMPORT_ROUTE && route.method === 'POST';
  route.errorHandler = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => { answerFailure(error, { request, reply, log }); };
  route.bodyLimit = isImport ? MAX_DOCUMENT_BYTES : MAX_BODY_BYTES;
  route.preParsing = [
    ...(ADMIN_PUBLIC_ROUTES.includes(`GET ${route.url}`) ? [] : [guard]),
    ...(isImport ? [takeBytes] : []),
  ];
}

type Payload = Parameters<Extract<RouteOptions['preParsing'], (...a: never[]) => void>>[2];
type Done = (error?: Error | null) => void;

type Guard = (request: FastifyRequest) => Promise<void>;

const authorize = (policy: AdministrationPolicy): Guard => async (request) => {
  const { tenant } = request.params as { tenant?: string };
  const no = await refusal(policy, principalOf(request), { method: request.method, route: request.routeOptions.url ?? '', tenant });
  if (no !== undefined) throw new Problem(no.status, no.detail);
};

function takeBytes(request: FastifyRequest, _reply: FastifyReply, _payload: Payload, done: Done): void {
  rememberMediaType(request, request.headers['content-type'] ?? '');
  request.headers['content-type'] = RAW;
  done(null);
}
