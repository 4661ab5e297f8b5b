import { expect, it } from 'vitest';
import { createTokenVerifier } from '#libs/auth/token-verifier.js';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import { DevIssuerConfig } from './config.js';
import { createDevIssuer } from './dev-issuer.js';

const env = { JWT_SECRET_KEY: 'a shared secret of at least 32 bytes', JWT_ISSUER: 'dev', JWT_AUDIENCE: 'mcp-gateway', JWT_ISSUER_ADMIN_TOKEN: 'let-me' };
const config = readConfig(DevIssuerConfig, env);
const ask = async (body: object, headers: Record<string, string> = { 'x-issuer-token': 'let-me' }, on = createDevIssuer(config)) => on.inject({ method: 'POST', url: '/token', payload: body, headers });

it('gives a token that the gateway takes, with tenant, roles and version', async () => {
  const answer = await ask({ user_id: 'demo', roles: ['developer'], workspace: 'acme', api_version: '1.1', extra_claims: { team: 'x' } });
  const { access_token: token, ...rest } = answer.json<{ access_token: string; token_type: string; expires_at_epoch: number; claims: { iat: number; exp: number } }>();
  expect(rest).toMatchObject({ token_type: 'Bearer', expires_at_epoch: rest.claims.exp, claims: { iss: 'dev', aud: 'mcp-gateway', sub: 'demo', roles: ['developer'], workspace: 'acme', v: '1.1', team: 'x', exp: rest.claims.iat + 3600 } });
  const verifier = createTokenVerifier({
    issuers: [{ issuer: 'dev', audiences: ['mcp-gateway'], keys: { from: 'secret', secret: env.JWT_SECRET_KEY }, claims: { tenant: 'workspace', roles: 'roles' }, apiVersions: ['1.1'] }],
    outbound: { request: () => expect.unreachable() },
  });
  expect(await verifier.verify(token)).toMatchObject({ tenant: 'acme', subject: 'demo', roles: new Set(['developer']) });
});
it('gives nothing without the token of its administrator, where there is one', async () => {
  for (const headers of [{}, { 'x-issuer-token': '' }, { 'x-issuer-token': 'let-m' }, { 'x-issuer-token': 'let-me-' }]) expect((await ask({ user_id: 'demo' }, headers as Record<string, string>)).statusCode).toBe(401); // oxlint-disable-line no-await-in-loop -- four
  expect((await ask({ user_id: 'demo' }, {}, createDevIssuer({ ...config, adminToken: undefined }))).statusCode).toBe(200);
});
it.each([
  { name: 'nobody', body: {}, loc: ['body', 'user_id'] },
  { name: 'an end in 59 s', body: { user_id: 'a', expires_in_seconds: 59 }, loc: ['body', 'expires_in_seconds'] },
  { name: 'an end in more than a day', body: { user_id: 'a', expires_in_seconds: 86_401 }, loc: ['body', 'expires_in_seconds'] },
  { name: 'a claim that is the issuer\'s', body: { user_id: 'a', extra_claims: { aud: 'other' } }, loc: ['body', 'extra_claims', 'aud'] },
  { name: 'a member that it does not know', body: { user_id: 'a', role: 'x' }, loc: ['body'] },
])('refuses $name', async ({ body, loc }) => {
  const answer = await ask(body);
  expect([answer.statusCode, answer.json<{ detail: { loc: unknown }[] }>().detail[0]?.loc]).toEqual([422, loc]);
});
it('answers its health to anybody', async () => { expect((await createDevIssuer(config).inject('/health')).json()).toMatchObject({ status: 'ok' }); });
it.each([{ ENVIRONMENT: 'prod' }, { JWT_SECRET_KEY: 'short' }, { JWT_ISSUER: '' }])('does not start with %o', (wrong) => {
  expect(() => readConfig(DevIssuerConfig, { ...env, ...wrong })).toThrow(ConfigurationError);
  expect(() => readConfig(DevIssuerConfig, { ...env, ...wrong })).toThrow(new RegExp(Object.keys(wrong)[0] ?? ''));
});
