import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { Denial, Unavailable } from '#libs/core/errors.js';
import { sealToken } from '#libs/core/caller-token.js';
import type { Eventually, TokenVerifier } from '#libs/core/ports.js';
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
  /**
   * Development only: who the `X-Debug-User` header names. Undefined: the header means nothing, as everywhere where it was not asked for.
   * It counts only where no other credential is sent.
   */
  readonly debugUser?: (header: string) => Principal | Denial;
  /** Told the private reason of each credential that was not proved, for the log; it holds nothing of the credential. Must not throw. */
  readonly refused?: (requestId: string, reason: string) => void;
  /** Keeps the bearer token of an issuer with the principal that it proved, sealed, for credentials that are had on behalf of the caller. Default: it is dropped here. */
  readonly sealsTokens?: boolean;
  /** Told of each request whose credential was not proved, for whoever counts them; not of requests without one, nor while nobody can be proved. Must not throw. */
  readonly failed?: (request: FastifyRequest) => void;
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
 * A Fastify `onRequest` hook that lets nobody in unproved: every route needs a credential but those that `isPublic` names. It comes
 * as `Authorization: Bearer` (RFC 6750 §2.1), as `Authorization: Basic` (RFC 7617) where the verifier takes that, or as
 * `X-API-Key`; one of them, once. A path that matches no route is refused like one that does, so that nobody learns by trying
 * which routes exist; only below `/.well-known/`, where clients probe for what a server may have, is it a plain 404.
 * Register it on the root instance before any route or plug-in.
 */
function authenticationHook(options: DoorOptions): onRequestHookHandler {
  const challenge = `Bearer resource_metadata="${quoted(options.resourceMetadataUrl)}"`;

  const refuse = (reply: FastifyReply, { detail, error, status = 401 }: Refusal): void => {
    const header = error === undefined ? challenge : `${challenge}, error="${error}", error_description="${quoted(detail)}"`;
    void reply.code(status).header('www-authenticate', header).header('cache-control', 'no-store').send({ detail });
  };

  return function authenticate(request, reply, done): void {
    const pattern = request.routeOptions.url;
    if (pattern === undefined ? request.url.startsWith('/.well-known/') : options.isPublic(request.method, pattern)) { done(); return; }

    let token: string | undefined;
    const settle = (answer: Principal | Denial): void => {
      if (answer instanceof Denial) {
        options.refused?.(request.id, answer.reason ?? answer.message);
        if (answer.code === 'UNAUTHENTICATED') options.failed?.(request);
        refuse(reply, answer.code === 'FORBIDDEN' ? { detail: answer.message, error: 'insufficient_scope', status: 403 } : { detail: answer.message, error: 'invalid_token' });
        return;
      }
      if (options.sealsTokens === true && token !== undefined && answer.credential === undefined) sealToken(answer, token);
      request.principal = answer;
      done();
    };
    const asked = ask(options, request);
    if ('detail' in asked) { refuse(reply, asked); return; }
    const { answer } = asked;
    ({ token } = asked);
    if (answer instanceof Promise) answer.then(settle, (failure: unknown) => { options.refused?.(request.id, reasonOf(failure)); fail(reply, failure, done); });
    else settle(answer);
  };
}

interface Refusal { readonly detail: string; readonly error?: 'invalid_token' | 'invalid_request' | 'insufficient_scope'; readonly status?: 401 | 403 }
const ANONYMOUS: Refusal = { detail: 'Not authenticated' };
const malformed = (detail: string): Refusal => ({ detail, error: 'invalid_request' });

/** `token`: of `Authorization: Bearer`. */
interface Asked { readonly answer: Eventually<Principal | Denial>; readonly token?: string }

/** Has the request's one credential proved, or says what is wrong with how it was sent. */
function ask({ verifier, debugUser }: DoorOptions, request: FastifyRequest): Asked | Refusal {
  const { authorization, 'x-api-key': key, 'x-debug-user': debug } = request.headers;
  if (hasQueryToken(request.url)) return malformed('Send the token in the Authorization header, never in the query string');
  if (authorization !== undefined) {
    // Node keeps the first of several and says nothing.
    if (countAuthorization(request.raw.rawHeaders) > 1) return malformed('Send exactly one Authorization header');
    if (key !== undefined) return malformed('Send either an Authorization header or X-API-Key');
    const token = credentialOf(authorization, 'bearer ');
    if (token !== undefined) return { answer: verifier.verify(token), token };
    const basic = verifier.verifyBasic === undefined ? undefined : credentialOf(authorization, 'basic ');
    return basic === undefined ? ANONYMOUS : { answer: verifier.verifyBasic?.(basic) ?? INVALID };
  }
  // Node joins several of these by a comma, which no key has.
  if (typeof key === 'string' && key !== '') return { answer: API_KEY.test(key) ? verifier.verify(key) : INVALID_KEY };
  if (debugUser !== undefined && typeof debug === 'string' && debug !== '') return { answer: debugUser(debug) };
  return ANONYMOUS;
}
const INVALID = new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' });
const API_KEY = /^stoa_sk_[A-Za-z0-9_-]{1,200}$/;
const INVALID_KEY = new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid API key', reason: 'X-API-Key holds something else than an API key' });

/** Puts the door on the root instance; call it before any route or plug-in is registered. */
export function installDoor(app: Pick<FastifyInstance, 'addHook'>, options: DoorOptions): void {
  app.addHook('onRequest', authenticationHook(options));
}

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

/** What follows the scheme, which is case-insensitive (RFC 9110 §11.1) and given in lower case with its space; undefined for another scheme, or nothing. */
function credentialOf(authorization: string, scheme: string): string | undefined {
  if (authorization.slice(0, scheme.length).toLowerCase() !== scheme) return undefined;
  const credential = authorization.slice(scheme.length).trim();
  return credential === '' ? undefined : credential;
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

