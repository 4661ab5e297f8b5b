import { timingSafeEqual } from 'node:crypto';
import fastify, { type FastifyInstance } from 'fastify';
import { SignJWT } from 'jose';
import { z } from 'zod';
import type { DevIssuerConfig } from './config.js';

const name = z.string().min(1).max(256);
const TokenBody = z.strictObject({
  user_id: name,
  roles: z.array(name).max(64).default([]),
  workspace: name.optional(),
  api_version: name.optional(),
  expires_in_seconds: z.int().min(60).max(86_400).default(3600),
  extra_claims: z.record(z.string(), z.unknown()).default({}),
});
/** What `extra_claims` may not say: the request has words of its own for it, or it is not the caller's to say. */
const OWN_CLAIMS: ReadonlySet<string> = new Set(['iss', 'aud', 'sub', 'iat', 'exp', 'nbf', 'roles', 'workspace', 'v']);

/** MCP Gateway's issuer for tests: `POST /token` and `GET /health`. Milliseconds since the epoch come from `clock`. It does not listen yet. */
export function createDevIssuer(config: Pick<DevIssuerConfig, 'jwtSecretKey' | 'jwtIssuer' | 'jwtAudience' | 'adminToken'>, clock: () => number = Date.now): FastifyInstance {
  const secret = new TextEncoder().encode(config.jwtSecretKey);
  const app = fastify({ bodyLimit: 65_536 });
  app.get('/health', () => ({ status: 'ok', app: 'stoa-dev-issuer' }));
  app.post('/token', async (request, reply) => {
    if (config.adminToken !== undefined && !same(request.headers['x-issuer-token'], config.adminToken)) return reply.code(401).send({ detail: 'X-Issuer-Token is missing or wrong' });
    const body = TokenBody.safeParse(request.body ?? {});
    if (!body.success) return reply.code(422).send({ detail: body.error.issues.map(({ path, message, code }) => ({ loc: ['body', ...path.map(String)], msg: message, type: code })) });
    const { user_id: sub, roles, workspace, api_version: version, expires_in_seconds: seconds, extra_claims: extra } = body.data;
    const taken = Object.keys(extra).find((claim) => OWN_CLAIMS.has(claim));
    if (taken !== undefined) return reply.code(422).send({ detail: [{ loc: ['body', 'extra_claims', taken], msg: 'is set by the issuer', type: 'value_error' }] });
    const iat = Math.floor(clock() / 1000);
    const claims = {
      ...extra, iss: config.jwtIssuer, aud: config.jwtAudience, sub, roles, iat, exp: iat + seconds,
      ...(workspace === undefined ? {} : { workspace }), ...(version === undefined ? {} : { v: version }),
    };
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT' }).sign(secret);
    return reply.header('cache-control', 'no-store').send({ access_token: token, token_type: 'Bearer', expires_at_epoch: claims.exp, claims });
  });
  return app;
}

function same(given: unknown, wanted: string): boolean {
  const [a, b] = [Buffer.from(String(given)), Buffer.from(wanted)];
  return typeof given === 'string' && a.length === b.length && timingSafeEqual(a, b);
}
