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
  (path) => path.replace(/\/([^/]*)$/, '%2f$1'),
  (path) => path.toUpperCase(),
  (path) => `${path};a=b`,
  (path) => `/x/..${path}`,
  (path) => `/.${path}`,
  (path) => `/health/..${path}`,
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => `${path}?access_token=a&x=/health`,
];

/**
 * Asks every route × 7 methods × 12 spellings without a token. Answers `METHOD path → status` for each that was answered
 * otherwise than 401, 404 or 405: what must equal the golden list of public routes.
 */
export async function anonymousAnswers(app: Pick<FastifyInstance, 'inject'>, routes: readonly RegisteredRoute[]): Promise<readonly string[]> {
  const open = new Set<string>();
  for (const pattern of new Set(routes.map((route) => route.pattern))) {
    const path = pattern.replaceAll(/:\w+/g, 'acme').replaceAll('*', 'x');
    for (const method of METHODS) {
      for (const mutate of MUTATIONS) {
        const url = mutate(path);
        // oxlint-disable-next-line no-await-in-loop -- a bounded walk, one at a time
        const { statusCode } = await app.inject({ method, url });
        if (statusCode !== 401 && statusCode !== 404 && statusCode !== 405) open.add(`${method} ${url} → ${statusCode}`);
      }
    }
  }
  return [...open].toSorted();
}
