import { Agent, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { afterEach, expect, it } from 'vitest';
import { ADMIN_PUBLIC_ROUTES } from '#apps/controller/src/http/access.js';
import { ControllerMetrics } from '#apps/controller/src/probes/controller-metrics.js';
import { PROBE_ROUTES } from '#apps/controller/src/probes/process-parts.js';
import { GatewayConfig } from '#apps/gateway/src/config.js';
import { openGateway } from '#apps/gateway/src/process.module.js';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { Denial } from '#libs/core/errors.js';
import { harness } from '../admin/harness.js';
import { openWorld } from './world.js';

/** Written out on their own: a route that becomes public anywhere in the product alone makes the test red. */
const PROBES = ['/health', '/health/live', '/health/ready', '/health/startup', '/live', '/ready'];
const GATEWAY = [...PROBES, '/', '/info', '/mcp/v1', '/mcp/v1/', '/healthz', '/api/health', '/status', '/api/status', '/metrics', '/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'];
const ADMIN = ['/admin/v1/openapi.json', '/admin/v1/docs', '/admin/v1/docs/:file'];
const CONTROLLER = [...PROBES, ...ADMIN, '/info', '/metrics'];
const ISSUER = ['GET', 'HEAD', 'POST'].flatMap((method) => ['/oidc/*', '/oidc/interaction/:uid'].map((path) => `${method} ${path}`));
const GOLDEN = {
  gateway: read(GATEWAY),
  controller: read(CONTROLLER),
  standalone: [...read([...GATEWAY, ...ADMIN, '/.well-known/oauth-authorization-server/oidc', '/.well-known/openid-configuration/oidc']), ...ISSUER].toSorted(),
};
function read(paths: readonly string[]): string[] { return paths.flatMap((path) => [`GET ${path}`, `HEAD ${path}`]).toSorted(); }

/** Where what a pattern stands for has to be there: behind it others answer 404, and would go unseen. */
const SAMPLES: Readonly<Record<string, readonly string[]>> = { '/admin/v1/docs/:file': ['/admin/v1/docs/swagger-ui.css'], '/oidc/*': ['/oidc/jwks', '/oidc/auth', '/oidc/reg'] };
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'] as const;
/** A path, and how it may be written so that a router takes it for the same and a guard for another. */
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => path, (path) => `${path}/`, (path) => `/${path}`, (path) => path.replace(/\/([^/]*)$/, '//$1'), (path) => path.replace(/(.)\/([^/]*)$/, '$1%2f$2'), (path) => path.toUpperCase(),
  (path) => `${path};a=b`, (path) => path.replace(/^\/([^/]*)/, '/$1;a=b'), (path) => `/x/..${path}`, (path) => `/.${path}`, (path) => `/health/..${path}`, (path) => `/health/%2e%2e${path}`,
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`), (path) => path.replaceAll('/', '\\').replace('\\', '/'), (path) => `${path}%00`, (path) => `${path}?access_token=a&x=/health`,
];
const REFUSED: ReadonlySet<number> = new Set([401, 404, 405]);

let close: () => Promise<unknown>;
afterEach(() => close());

/** `METHOD /pattern` of each route that answers somebody without a credential; the path goes out as it is written, which other clients would tidy. */
async function anonymous(port: number, patterns: Iterable<string>): Promise<{ readonly open: readonly string[]; readonly bent: readonly string[]; readonly asked: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const status = (method: string, path: string): Promise<number> => new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, method, path, agent, headers: { host: `127.0.0.1:${port}` } }, (reply) => { reply.resume().on('end', () => { resolve(reply.statusCode ?? 0); }); })
      .on('error', (failure) => { reject(new Error(`${method} ${path}`, { cause: failure })); }).end();
  });
  const [open, bent] = [new Set<string>(), new Set<string>()];
  let asked = 0;
  for (const pattern of new Set(patterns)) {
    // oxlint-disable-next-line no-await-in-loop -- one route at a time bounds the load
    for (const path of SAMPLES[pattern] ?? [pattern.replaceAll(/:\w+/g, 'acme').replaceAll('*', 'x')]) await Promise.all(METHODS.flatMap((method) => SPELLINGS.map(async (spell, at) => {
      const written = spell(path);
      asked += 1;
      if (REFUSED.has(await status(method, written))) return;
      // The plain spelling, and a query, name the route itself; what else opens says which door it opens.
      if (at === 0 || written.startsWith(`${path}?`)) open.add(`${method} ${pattern}`); else bent.add(`${method} ${written}`);
    })));
  }
  agent.destroy();
  return { open: [...open].toSorted(), bent: [...bent].toSorted(), asked };
}
const port = (app: NestFastifyApplication): number => (app.getHttpServer().address() as AddressInfo).port;
const told = (process: string, { open, asked }: { readonly open: readonly string[]; readonly asked: number }): void => { console.info(`${process}: ${asked} requests without a credential, ${open.length} routes open`); };
/** Another spelling that opens is that of a public route: the decoded and the slashed ones of the router's own. */
const publicSpellings = (golden: readonly string[]): RegExp => new RegExp(`^(?:${golden.map((line) => line.replaceAll(/[.*+?^$()|[\]\\{}]/g, '\\$&').replaceAll(/:\w+/g, '[^/]+').replaceAll('\\*', '.*')).join('|')})$`);
const decoded = (line: string): string => line.replaceAll(/%([0-9a-f]{2})/gi, (all, hex: string) => (hex === '2f' || hex === '00' ? all : String.fromCharCode(Number.parseInt(hex, 16))));

/** What opens, and which spellings of something else than a golden route do. */
const judged = ({ open, bent }: Awaited<ReturnType<typeof anonymous>>, golden: readonly string[]): { readonly open: readonly string[]; readonly bent: readonly string[] } =>
  ({ open, bent: bent.filter((line) => !publicSpellings(golden).test(decoded(line))) });

it('the gateway answers nobody but on its golden list, however the path is written', { timeout: 120_000 }, async () => {
  const environment = { DATABASE_URL: 'postgres://stoa@127.0.0.1:1/stoa', OIDC_ISSUER: 'http://127.0.0.1:1', RESOURCE_URL: 'https://gw.test/mcp', LOG_LEVEL: 'silent' };
  const routes: string[] = [];
  const app = await openGateway(readConfig(GatewayConfig, environment), environment, (server) => { server.addHook('onRoute', ({ url }) => { routes.push(url); }); });
  close = () => app.close();
  await app.listen(0, '127.0.0.1');
  expect(routes).toContain('/v1/token/exchange');
  const answers = await anonymous(port(app), routes);
  told('gateway', answers);
  expect(judged(answers, GOLDEN.gateway)).toEqual({ open: GOLDEN.gateway, bent: [] });
});

it('the controller answers nobody but on its golden list, however the path is written', { timeout: 120_000 }, async () => {
  const routes: string[] = [];
  const door = (server: FastifyInstance): void => {
    server.addHook('onRoute', ({ url }) => { routes.push(url); });
    installDoor(server, { verifier: { verify: () => new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' }) }, isPublic: publicRoutes([...PROBE_ROUTES, ...ADMIN_PUBLIC_ROUTES]), resourceMetadataUrl: 'https://gw.test/x' });
  };
  const { app } = await harness({}, { metrics: new ControllerMetrics('stoa_controller', { version: '0.0.0', environment: 'dev' }) }, door);
  close = () => app.close();
  await app.listen(0, '127.0.0.1');
  expect(routes).toContain('/admin/v1/tenants/:tenant/keys');
  const answers = await anonymous(port(app), routes);
  told('controller', answers);
  expect(judged(answers, GOLDEN.controller)).toEqual({ open: GOLDEN.controller, bent: [] });
});

it('the product in one process answers nobody but on its golden list, however the path is written', { timeout: 180_000 }, async () => {
  const world = await openWorld();
  close = () => world.close();
  const answers = await anonymous(port(world.app), [...world.routes].map((route) => route.slice(route.indexOf(' ') + 1)));
  told('standalone', answers);
  expect(judged(answers, GOLDEN.standalone)).toEqual({ open: GOLDEN.standalone, bent: [] });
});
