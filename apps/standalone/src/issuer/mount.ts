import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Provider } from 'oidc-provider';
import { type DemoUser, LOGIN_HEADERS, loginPage } from './login-page.js';

/** The issuer's routes, for the list of doors that need no token; patterns as registered for an issuer at `/oidc`. */
export const ISSUER_PUBLIC_ROUTES: readonly string[] = [
  ...['GET', 'POST', 'OPTIONS'].map((method) => `${method} /oidc/*`),
  'GET /oidc/interaction/:uid', 'POST /oidc/interaction/:uid',
  'GET /.well-known/oauth-authorization-server/oidc', 'GET /.well-known/openid-configuration/oidc',
];

export interface MountOptions { readonly issuerUrl: string; readonly users: () => Promise<readonly DemoUser[]> }

/**
 * Mounts the provider below the path of its issuer URL. A request for another host than the issuer's own is refused,
 * so that a page of some web site cannot reach the password-less login by rebinding its name to this computer.
 */
export function mountIssuer(app: FastifyInstance, provider: Provider, { issuerUrl, users }: MountOptions): void {
  const { host, origin, pathname, port } = new URL(issuerUrl);
  const prefix = pathname.replace(/\/$/, '');
  const hosts = new Set([host, `127.0.0.1:${port}`, `localhost:${port}`]);
  const handle = provider.callback();

  const guard = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (!hosts.has(request.headers.host ?? '')) await reply.code(403).send({ detail: `This issuer answers on ${host} only` });
    // Links and redirects are made from it: always the issuer's own.
    request.raw.headers.host = host;
  };
  const pass = (request: FastifyRequest, reply: FastifyReply, path: string): void => {
    reply.hijack();
    const raw: IncomingMessage & { originalUrl?: string } = request.raw;
    raw.originalUrl = `${prefix}${path}`;
    raw.url = path;
    void handle(raw, reply.raw);
  };

  void app.register(async (scope) => {
    scope.addHook('onRequest', guard);
    // The provider reads bodies itself.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => { done(null); });
    scope.route({ method: ['GET', 'POST', 'OPTIONS'], url: `${prefix}/*`, handler: (request, reply) => { pass(request, reply, request.raw.url?.slice(prefix.length) ?? '/'); } });
    // RFC 8414 §3.1 puts the well-known part in front of the issuer's path.
    for (const document of ['oauth-authorization-server', 'openid-configuration']) {
      scope.get(`/.well-known/${document}${prefix}`, (request, reply) => { pass(request, reply, `/.well-known/openid-configuration`); });
    }
  });

  void app.register(async (scope) => {
    scope.addHook('onRequest', guard);
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string', bodyLimit: 16_384 }, (_request, body, done) => { done(null, new URLSearchParams(String(body))); });

    scope.get<{ Params: { uid: string } }>(`${prefix}/interaction/:uid`, async (request, reply) => {
      const details = await interaction(provider, request.raw, reply.raw);
      if (details === undefined) return reply.code(400).send({ detail: 'This login has ended; start it again in your client' });
      const client = await provider.Client.find(String(details.params['client_id']));
      const page = loginPage({
        action: `${prefix}/interaction/${encodeURIComponent(request.params.uid)}`, clientName: client?.clientName ?? 'A client',
        redirectUri: String(details.params['redirect_uri']), users: await users(),
      });
      return reply.headers(LOGIN_HEADERS).send(page);
    });

    scope.post<{ Params: { uid: string }; Body: URLSearchParams }>(`${prefix}/interaction/:uid`, async (request, reply) => {
      const from = request.headers.origin;
      if (from !== undefined && from !== origin && !hosts.has(from.replace('http://', ''))) return reply.code(403).send({ detail: 'The login form was sent from another page' });
      if (await interaction(provider, request.raw, reply.raw) === undefined) return reply.code(400).send({ detail: 'This login has ended; start it again in your client' });
      const chosen = request.body.get('user') ?? '';
      const known = (await users()).some(({ id }) => id === chosen);
      reply.hijack();
      await provider.interactionFinished(request.raw, reply.raw, known
        ? { login: { accountId: chosen, remember: false } }
        : { error: 'access_denied', error_description: 'nobody was chosen on the login page' });
      return reply;
    });
  });
}

/** The login in progress that the request's cookie belongs to, if it still runs. */
async function interaction(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<Awaited<ReturnType<Provider['interactionDetails']>> | undefined> {
  try { return await provider.interactionDetails(request, response); } catch { return undefined; }
}
