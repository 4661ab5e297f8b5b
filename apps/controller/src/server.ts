import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { endpointLabel } from '#libs/observability/metrics.js';
import type { Logger } from '#libs/observability/logger.js';
import type { ControllerMetrics } from './probes/controller-metrics.js';

const VISIBLE = /^[\x21-\x7e]{1,128}$/;

/** The caller's `X-Request-ID` if it is at most 128 visible ASCII characters, else a UUIDv7 (RFC 9562 §5.7). */
function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && VISIBLE.test(given)) return given;
  const time = Date.now().toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}

export const SERVER_OPTIONS: FastifyServerOptions = {
  logger: false,
  genReqId: requestId,
  requestIdHeader: false,
  bodyLimit: 1024 * 1024,
  // A document of 64 MiB over a slow line.
  requestTimeout: 300_000,
  keepAliveTimeout: 65_000,
  forceCloseConnections: 'idle',
  return503OnClosing: false,
  routerOptions: { maxParamLength: 256 },
};

export interface ServerParts {
  readonly logger: Pick<Logger, 'debug' | 'info'>;
  readonly metrics: ControllerMetrics | undefined;
  /** Puts the door on the server. */
  readonly authenticate: (server: FastifyInstance) => void;
}

/** What every request passes: id, fixed headers, metrics, one log line, then authentication. Call it before any route is made. */
export function equipServer(server: FastifyInstance, { logger, metrics, authenticate }: ServerParts): void {
  server.addHook('onRequest', (request, reply, done) => {
    reply.raw.setHeader('x-request-id', request.id);
    reply.raw.setHeader('x-content-type-options', 'nosniff');
    reply.raw.setHeader('cache-control', 'no-store');
    done();
  });
  server.addHook('onResponse', (request, reply, done) => {
    const endpoint = endpointLabel(request.routeOptions.url);
    const { statusCode: status, elapsedTime: ms } = reply;
    metrics?.httpRequests.add(1, request.method, endpoint, String(status));
    metrics?.httpSeconds.observe(ms / 1000, request.method, endpoint);
    logger[endpoint.startsWith('/admin') ? 'info' : 'debug']({ request_id: request.id, method: request.method, endpoint, status, ms: Math.round(ms * 100) / 100 }, 'request');
    done();
  });
  authenticate(server);
}
