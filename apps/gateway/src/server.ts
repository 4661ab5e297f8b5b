import type { ServerOptions } from 'node:http';
import type { FastifyContextConfig, FastifyInstance, FastifyServerOptions, RouteOptions } from 'fastify';
import { endpointLabel, type Metrics } from '#libs/observability/metrics.js';
import type { Count, Distribution } from '#libs/observability/series.js';
import type { Gateway } from './compose.js';
import type { CorsSettings } from './parts.js';
import { limitAddresses, PROBES } from './limits.js';
import { addHeader, beginHead } from './reply-head.js';
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


declare module 'fastify' {
  interface FastifyContextConfig {
    /** What is counted for the route; made when the route is. */
    watch?: Watch;
  }
}

/** The numbers of one route, found once and then only added to. */
class Watch {
  readonly probe: boolean;
  readonly #inProgress = new Map<string, Count>();
  readonly #seconds = new Map<string, Distribution>();
  readonly #answers = new Map<number, Map<string, Count>>();
  constructor(readonly endpoint: string, private readonly metrics: Metrics | undefined) { this.probe = PROBES.has(endpoint); }

  inProgress(method: string): Count | undefined {
    let found = this.#inProgress.get(method);
    if (!found && this.metrics) this.#inProgress.set(method, found = this.metrics.httpInProgress.of(method, this.endpoint));
    return found;
  }
  answered(method: string, status: number, ms: number): void {
    if (!this.metrics) return;
    let byMethod = this.#answers.get(status);
    if (!byMethod) this.#answers.set(status, byMethod = new Map());
    let count = byMethod.get(method);
    if (!count) byMethod.set(method, count = this.metrics.httpRequests.of(method, this.endpoint, String(status)));
    count.value += 1;
    let seconds = this.#seconds.get(method);
    if (!seconds) this.#seconds.set(method, seconds = this.metrics.httpSeconds.of(method, this.endpoint));
    seconds.observe(ms / 1000);
  }
}

interface Watched { startedAt?: number; watch?: Watch }

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
  const unmatched = new Watch('unmatched', metrics);
  server.addHook('onRoute', (route: RouteOptions) => { route.config = { ...route.config, watch: new Watch(endpointLabel(route.url), metrics) }; });
  server.addHook('onRequest', (request, reply, done) => {
    const { config } = request.routeOptions as { readonly config: FastifyContextConfig | undefined };
    const watched = request as Watched;
    watched.startedAt = performance.now();
    // Fastify makes its route options anew each time that they are asked for.
    watched.watch = config?.watch ?? unmatched;
    beginHead(reply, request.id, config?.ownHead === true);
    if (lifecycle.draining) addHeader(reply, 'connection', 'close');
    const running = config?.watch?.inProgress(request.method);
    if (running) {
      running.value += 1;
      // `close` comes exactly once, whether the answer was finished or the client left.
      reply.raw.on('close', () => { running.value -= 1; });
    }
    done();
  });
  if (cors) addCors(server, cors);

  server.addHook('onResponse', (request, reply, done) => {
    const { startedAt, watch = unmatched } = request as Watched;
    const ms = startedAt === undefined ? 0 : performance.now() - startedAt;
    const status = reply.raw.statusCode;
    watch.answered(request.method, status, ms);
    // A call has its own line with the same id: one line each is enough.
    const level = called.take(request.id) || watch.probe ? 'debug' : 'info';
    if (logger.isLevelEnabled(level)) {
      logger[level]({ request_id: request.id, method: request.method, path: pathOf(request.url), endpoint: watch.endpoint, status, ms: Math.round(ms * 100) / 100 }, 'request');
    }
    done();
  });
  if (limits) limitAddresses(server, limits);
  authenticate?.(server);
}

/** Cut, and without its query: what a caller writes there may be a secret. */
const pathOf = (url: string): string => url.split('?', 1)[0]?.slice(0, 256) ?? '';

function addCors(server: FastifyInstance, cors: CorsSettings): void {
  const origins = new Set(cors.origins);
  const expose = cors.exposeHeaders.join(', ');
  server.addHook('onRequest', (request, reply, done) => {
    const { origin } = request.headers;
    if (origin === undefined) { done(); return; }
    addHeader(reply, 'vary', 'Origin');
    if (!origins.has(origin)) { done(); return; }
    addHeader(reply, 'access-control-allow-origin', origin);
    addHeader(reply, 'access-control-expose-headers', expose);
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) { done(); return; }
    addHeader(reply, 'access-control-allow-methods', cors.methods.join(', '));
    addHeader(reply, 'access-control-allow-headers', cors.allowHeaders.join(', '));
    addHeader(reply, 'access-control-max-age', String(cors.maxAge));
    void reply.code(204).send();
  });
}
