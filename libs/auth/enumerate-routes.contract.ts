import { Agent, request } from 'node:http';
import type { FastifyInstance } from 'fastify';

export interface RegisteredRoute { readonly method: string; readonly pattern: string }

/** Notes every route from now on: call it on a new instance, before anything is registered. Answers the notes. */
export function enumerateRoutes(app: Pick<FastifyInstance, 'addHook'>): readonly RegisteredRoute[] {
  const routes: RegisteredRoute[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of typeof method === 'string' ? [method] : method) routes.push({ method: one, pattern: url });
  });
  return routes;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'] as const;
/** Twelve ways to write a path that a router may take for the same, and a guard for another (security.md, SEC-16). */
const MUTATIONS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.replace(/\/([^/]*)$/, '//$1'),
  (path) => path.replace(/(.)\/([^/]*)$/, '$1%2f$2'),
  (path) => path.toUpperCase(),
  (path) => `${path};a=b`,
  (path) => `/x/..${path}`,
  (path) => `/.${path}`,
  (path) => `/health/..${path}`,
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => `${path}?access_token=a&x=/health`,
];

/**
 * Asks every route × 7 methods × 12 spellings without a token, over a real socket so that no client tidies the path.
 * Answers `METHOD pattern` for each that was answered otherwise than 401, 404 or 405: what must equal the golden list
 * of public routes. `origin` is that of a listening server.
 */
export async function anonymousAnswers(origin: string, routes: readonly RegisteredRoute[]): Promise<readonly string[]> {
  const open = new Set<string>();
  const agent = new Agent({ keepAlive: false, maxSockets: 8 });
  try {
    for (const pattern of new Set(routes.map((route) => route.pattern))) {
      const path = pattern.replaceAll(/:\w+/g, 'acme').replaceAll('*', 'x');
      // oxlint-disable-next-line no-await-in-loop -- one route at a time bounds the load
      await Promise.all(METHODS.flatMap((method) => MUTATIONS.map(async (mutate) => {
        const status = await statusOf(origin, method, mutate(path), agent);
        if (status !== 401 && status !== 404 && status !== 405) open.add(`${method} ${pattern}`);
      })));
    }
  } finally {
    agent.destroy();
  }
  return [...open].toSorted();
}

function statusOf(origin: string, method: string, path: string, agent: Agent): Promise<number> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, method, path, agent }, (answer) => {
      answer.resume().on('end', () => { resolve(answer.statusCode ?? 0); });
    });
    asked.on('error', (cause) => { reject(new Error(`${method} ${path} got no answer`, { cause })); }).end();
  });
}
