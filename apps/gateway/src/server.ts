import type { ServerOptions } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions, RouteOptions } from 'fastify';
import { endpointLabel } from '#libs/observability/metrics.js';
import type { Gateway } from './compose.js';
import type { CorsSettings } from './parts.js';
import { limitAddresses, PROBES } from './limits.js';
import { requestId } from './request-id.js';

/** Options of the Fastify instance: ids, limits and timeouts (SEC-22). */
export const serverOptions = (maxBodyBytes: number): FastifyServerOptions & { readonly http: ServerOptions } => ({
  logger: false,
  genReqId: requestId,
  requestIdHeader: false,
  bodyLimit: maxBodyBytes,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  http: { headersTimeout: 10_000, maxHeaderSize: 16_384 },
  // Requests that arrive on open connections while we drain are still answered, with `Connection: close`.
  return503OnClosing: false,
  forceCloseConnections: 'idle',
  routerOptions: { maxParamLength: 2048, ignoreTrailingSlash: false, caseSensitive: true },
});

const FIXED_HEADERS: readonly (readonly [string, string])[] = [
  ['x-content-type-options', 'nosniff'],
  ['content-security-policy', "default-src 'none'; frame-ancestors 'none'"],
  ['referrer-policy', 'no-referrer'],
  ['cache-control', 'no-store'],
];

interface Watched { endpoint?: string; startedAt?: number }

interface Equipment {
  readonly cors: CorsSettings | undefined;
  /** Puts the door on the server. */
  readonly authenticate: ((server: FastifyInstance) => void) | undefined;
}

/**
 * What every request passes on this server, in this order: id, fixed headers, CORS, metrics, the limits of its address, then authentication. Call it
 * once, before any route is made.
 */
export function equipServer(server: FastifyInstance, { lifecycle, metrics, logger, called, limits }: Gateway, { cors, authenticate }: Equipment): void {
  server.addHook('onRoute', (route: RouteOptions) => {
    const endpoint = endpointLabel(route.url);
    const mark = (request: FastifyRequest, _reply: FastifyReply, done: () => void): void => { (request as Watched).endpoint = endpoint; done(); };
    route.onRequest = [mark, ...(route.onRequest === undefined ? [] : [route.onRequest].flat())];
  });
  server.addHook('onRequest', (request, reply, done) => {
    (request as Watched).startedAt = performance.now();
    const { raw } = reply;
    raw.setHeader('x-request-id', request.id);
    for (const [name, value] of FIXED_HEADERS) raw.setHeader(name, value);
    if (lifecycle.draining) raw.setHeader('connection', 'close');
    done();
  });
  if (cors) addCors(server, cors);

  server.addHook('onResponse', (request, reply, done) => {
    const { endpoint = 'unmatched', startedAt } = request as Watched;
    const ms = startedAt === undefined ? 0 : performance.now() - startedAt;
    const status = reply.raw.statusCode;
    if (metrics) {
      metrics.httpRequests.add(1, request.method, endpoint, String(status));
      metrics.httpSeconds.observe(ms / 1000, request.method, endpoint);
    }
    // A call has its own line with the same id: one line each is enough.
    const level = called.take(request.id) || PROBES.has(endpoint) ? 'debug' : 'info';
    if (logger.isLevelEnabled(level)) {
      logger[level]({ request_id: request.id, method: request.method, path: pathOf(request.url), endpoint, status, ms: Math.round(ms * 100) / 100 }, 'request');
    }
    done();
  });
  if (metrics) countInProgress(server, metrics.httpInProgress);
  if (limits) limitAddresses(server, limits);
  authenticate?.(server);
}

/** Cut, and without its query: what a caller writes there may be a secret. */
const pathOf = (url: string): string => url.split('?', 1)[0]?.slice(0, 256) ?? '';

function countInProgress(server: FastifyInstance, gauge: { add(amount: number, ...labels: readonly string[]): void }): void {
  server.addHook('onRoute', (route: RouteOptions) => {
    const endpoint = endpointLabel(route.url);
    const enter = (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
      gauge.add(1, request.method, endpoint);
      // `close` comes exactly once, whether the answer was finished or the client left.
      reply.raw.once('close', () => { gauge.add(-1, request.method, endpoint); });
      done();
    };
    route.onRequest = [enter, ...(route.onRequest === undefined ? [] : [route.onRequest].flat())];
  });
}

function addCors(server: FastifyInstance, cors: CorsSettings): void {
  const origins = new Set(cors.origins);
  const expose = cors.exposeHeaders.join(', ');
  server.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    if (origin === undefined) { done(); return; }
    const { raw } = reply;
    raw.setHeader('vary', 'Origin');
    if (!origins.has(origin)) { done(); return; }
    raw.setHeader('access-control-allow-origin', origin);
    raw.setHeader('access-control-expose-headers', expose);
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) { done(); return; }
    raw.setHeader('access-control-allow-methods', cors.methods.join(', '));
    raw.setHeader('access-control-allow-headers', cors.allowHeaders.join(', '));
    raw.setHeader('access-control-max-age', String(cors.maxAge));
    void reply.code(204).send();
  });
}
