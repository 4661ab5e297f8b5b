import { Inject, Injectable, Optional } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { AdminAudit, AdministrationPolicy } from '#libs/core/ports.js';
import { ADMIN_AUDIT, ADMINISTRATION } from '#libs/core/tokens.js';
import { ChangeRecorder, changes } from '../audit/change-recorder.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { ADMIN_PUBLIC_ROUTES, refusal } from './access.js';
import { answerFailure } from './problem-filter.js';
import { Problem } from './problem.js';
import { principalOf, rememberMediaType } from './request.js';

const ADMIN = '/admin/v1';
/** As existing readers of audit logs ask. */
const AUDIT_LOGS = '/admin/audit-logs';
const IMPORT_ROUTE = `${ADMIN}/tenants/:tenant/apis`;
/** Bytes; on the import route only. Every other route of the admin API takes 1 MiB. */
export const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;
const MAX_BODY_BYTES = 1024 * 1024;
const RAW = 'application/vnd.stoa.raw';

/**
 * What the admin API's routes need of Fastify and Nest cannot say: authorization before a byte of the body is read, one
 * body limit per route, documents as bytes, every change on record before it is made, and one shape of error from the layers below Nest. Touches
 * `/admin/v1` and `/admin/audit-logs` only, so that other modules may share the server. Made in a constructor: routes are registered right after.
 */
@Injectable()
export class AdminHttp {
  constructor(@Inject(HttpAdapterHost) host: HttpAdapterHost, @Inject(PARTS) parts: Pick<ControllerParts, 'log' | 'now'>, @Inject(ADMINISTRATION) policy: AdministrationPolicy, @Optional() @Inject(ADMIN_AUDIT) audit?: AdminAudit) {
    const server = host.httpAdapter.getInstance<FastifyInstance>();
    server.addContentTypeParser(RAW, { parseAs: 'buffer', bodyLimit: MAX_DOCUMENT_BYTES }, (_request, body, done) => done(null, body));
    const recorder = audit && new ChangeRecorder(audit, parts);
    server.addHook('onRoute', (route) => {
      guardRoute(route, parts.log, authorize(policy, recorder));
      if (recorder) recordRoute(route, recorder);
    });
  }
}

const isAdmin = ({ url }: Pick<RouteOptions, 'url'>): boolean => url.startsWith(`${ADMIN}/`) || url === AUDIT_LOGS;

function guardRoute(route: RouteOptions, log: ControllerParts['log'], guard: Guard): void {
  if (!isAdmin(route)) return;
  const isImport = route.url === IMPORT_ROUTE && route.method === 'POST';
  route.errorHandler = (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => { answerFailure(error, { request, reply, log }); };
  route.bodyLimit = isImport ? MAX_DOCUMENT_BYTES : MAX_BODY_BYTES;
  route.preParsing = [
    ...(ADMIN_PUBLIC_ROUTES.includes(`GET ${route.url}`) ? [] : [guard]),
    ...(isImport ? [takeBytes] : []),
  ];
}

/** After authorization and the body, before the handler: what cannot be put on record is not done. */
function recordRoute(route: RouteOptions, recorder: ChangeRecorder): void {
  if (!isAdmin(route) || ![route.method].flat().some((method) => changes(method, route.url))) return;
  route.preHandler = [...[route.preHandler ?? []].flat(), async (request: FastifyRequest) => { await recorder.allowed(request); recorded.add(request); }];
  route.onSend = [...[route.onSend ?? []].flat(), async (request: FastifyRequest, reply: FastifyReply, payload: unknown) => {
    if (reply.statusCode >= 400 && recorded.has(request)) await recorder.failed(request, reply);
    return payload;
  }];
}
const recorded = new WeakSet<FastifyRequest>();

type Payload = Parameters<Extract<RouteOptions['preParsing'], (...a: never[]) => void>>[2];
type Done = (error?: Error | null) => void;

type Guard = (request: FastifyRequest) => Promise<void>;

const authorize = (policy: AdministrationPolicy, recorder: ChangeRecorder | undefined): Guard => async (request) => {
  const { tenant } = request.params as { tenant?: string };
  const no = await refusal(policy, principalOf(request), { method: request.method, route: request.routeOptions.url ?? '', tenant });
  if (no === undefined) return;
  if (changes(request.method, request.routeOptions.url ?? '')) await recorder?.refused(request, no);
  throw new Problem(no.status, no.detail);
};

function takeBytes(request: FastifyRequest, _reply: FastifyReply, _payload: Payload, done: Done): void {
  rememberMediaType(request, request.headers['content-type'] ?? '');
  request.headers['content-type'] = RAW;
  done(null);
}
