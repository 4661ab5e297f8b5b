import type { FastifyInstance, FastifyReply, onRequestHookHandler } from 'fastify';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who calls, as proved at the door. On a public route it is never set: do not read it there. */
    principal: Principal;
  }
}

export interface DoorOptions {
  readonly verifier: TokenVerifier;
  /** Asked with the upper-case method and the pattern of the matched route, never with the raw path. */
  readonly isPublic: (method: string, routePattern: string) => boolean;
  /** Absolute URL of the protected-resource metadata (RFC 9728 §5.1), named in each challenge. */
  readonly resourceMetadataUrl: string;
  /** Told the private reason of each token that was not proved, for the log; it holds nothing of the token. Must not throw. */
  readonly refused?: (requestId: string, reason: string) => void;
}

/**
 * The explicit list of doors that need no token, as `METHOD /route/pattern`. A listed GET includes HEAD, which has no
 * body of its own; nothing else is implied.
 */
export function publicRoutes(routes: readonly string[]): DoorOptions['isPublic'] {
  const listed = new Set(routes);
  return (method, pattern) => listed.has(`${method === 'HEAD' ? 'GET' : method} ${pattern}`);
}

/**
 * A Fastify `onRequest` hook that lets nobody in unproved: every route needs a bearer token (RFC 6750 §2.1) but those
 * that `isPublic` names. A path that matches no route is refused like one that does, so that nobody learns by trying
 * which routes exist; only below `/.well-known/`, where clients probe for what a server may have, is it a plain 404.
 * Register it on the root instance before any route or plug-in.
 */
function authenticationHook(options: DoorOptions): onRequestHookHandler {
  const challenge = `Bearer resource_metadata="${quoted(options.resourceMetadataUrl)}"`;

  const refuse = (reply: FastifyReply, detail: string, error?: 'invalid_token' | 'invalid_request'): void => {
    const header = error === undefined ? challenge : `${challenge}, error="${error}", error_description="${quoted(detail)}"`;
    void reply.code(401).header('www-authenticate', header).header('cache-control', 'no-store').send({ detail });
  };

  return function authenticate(request, reply, done): void {
    const pattern = request.routeOptions.url;
    if (pattern === undefined ? request.url.startsWith('/.well-known/') : options.isPublic(request.method, pattern)) { done(); return; }

    const { authorization } = request.headers;
    if (authorization === undefined) { refuse(reply, hasQueryToken(request.url) ? QUERY_TOKEN : 'Not authenticated', hasQueryToken(request.url) ? 'invalid_request' : undefined); return; }
    if (hasQueryToken(request.url)) { refuse(reply, QUERY_TOKEN, 'invalid_request'); return; }
    // Node keeps the first of several and says nothing.
    if (countAuthorization(request.raw.rawHeaders) > 1) { refuse(reply, 'Send exactly one Authorization header', 'invalid_request'); return; }
    const token = bearerToken(authorization);
    if (token === undefined) { refuse(reply, 'Not authenticated'); return; }

    const settle = (answer: Principal | Denial): void => {
      if (answer instanceof Denial) {
        options.refused?.(request.id, answer.reason ?? answer.message);
        refuse(reply, answer.message, 'invalid_token');
        return;
      }
      request.principal = answer;
      done();
    };
    const answer = options.verifier.verify(token);
    if (answer instanceof Promise) answer.then(settle, (failure: unknown) => { options.refused?.(request.id, reasonOf(failure)); fail(reply, failure, done); });
    else settle(answer);
  };
}

/** Puts the door on the root instance; call it before any route or plug-in is registered. */
export function installDoor(app: Pick<FastifyInstance, 'addHook'>, options: DoorOptions): void {
  app.addHook('onRequest', authenticationHook(options));
}

const QUERY_TOKEN = 'Send the token in the Authorization header, never in the query string';

function fail(reply: FastifyReply, failure: unknown, done: (error: Error) => void): void {
  if (failure instanceof Unavailable) {
    void reply.code(503).header('retry-after', '1').header('cache-control', 'no-store').send({ detail: 'Authentication service unavailable' });
    return;
  }
  done(failure instanceof Error ? failure : new Error(String(failure)));
}

/** With the cause: an unreachable issuer says why there. */
function reasonOf(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  return failure.cause instanceof Error ? `${failure.message}: ${failure.cause.message}` : failure.message;
}

/** The credential of a `Bearer` header, whose scheme is case-insensitive (RFC 9110 §11.1); undefined for another scheme. */
function bearerToken(authorization: string): string | undefined {
  if (authorization.slice(0, 7).toLowerCase() !== 'bearer ') return undefined;
  const token = authorization.slice(7).trim();
  return token === '' ? undefined : token;
}

/** RFC 6750 §2.3 allows `access_token` in the query; MCP forbids it, since URLs end up in logs. */
function hasQueryToken(url: string): boolean {
  const query = url.indexOf('?');
  return query !== -1 && new URLSearchParams(url.slice(query + 1)).has('access_token');
}

function countAuthorization(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 13 && name.toLowerCase() === 'authorization') count += 1;
  }
  return count;
}

/** For a quoted-string of RFC 9110 §5.6.4. */
function quoted(text: string): string {
  return text.replaceAll(/["\\]/g, '\\$&');
}

