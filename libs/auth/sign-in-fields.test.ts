import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import { checkSignIn, type SignIn, signInFields, signInOf } from './sign-in-fields.js';
import { debugUser, readStaticToken, staticTokenVerifier } from './static-tokens.js';
import { Denial } from '#libs/core/errors.js';

const Config = z.object({ environment: z.enum(['dev', 'staging', 'prod']).default('dev').meta({ env: 'ENVIRONMENT', description: '-' }), ...signInFields })
  .superRefine((config, context) => { checkSignIn(config, (path, message) => { context.addIssue({ code: 'custom', path: [path], message }); }); });
const SECRET = 'a shared secret of at least 32 bytes';
const oidc = { OIDC_ISSUER: 'https://login.example' };
const shared = { JWT_SECRET_KEY: SECRET, JWT_ISSUER: 'upstream' };
const read = (env: Record<string, string>, files: Readonly<Record<string, string>> = {}): SignIn =>
  signInOf(readConfig(Config, env), { environment: env, readFile: (path) => files[path] ?? expect.unreachable(path) });
const named = (env: Record<string, string>): readonly string[] => {
  try { readConfig(Config, env); return []; } catch (failure) {
    if (failure instanceof ConfigurationError) { expect(failure.message).not.toContain(SECRET); return failure.issues.map((issue) => issue.env); }
    throw failure;
  }
};

describe('the environment', () => {
  it('names one issuer with public keys, where Basic credentials are exchanged', () => {
    expect(read({ KEYCLOAK_URL: 'https://auth.example/', RESOURCE_URL: 'https://gw.example/mcp' })).toMatchObject({
      issuers: [{ issuer: 'https://auth.example/realms/stoa', audiences: ['stoa-mcp-gateway', 'https://gw.example/mcp'], keys: { from: 'discovery' }, maxTokenAgeSeconds: 0, clockSkewSeconds: 30 }],
      basic: { issuer: 'https://auth.example/realms/stoa', resource: 'https://gw.example/mcp', keepMs: 30_000 }, authorizationServers: ['https://auth.example/realms/stoa'], debugUser: false,
    });
    expect(read({ ...oidc, KEYCLOAK_URL: 'https://auth.example/' }).issuers.map(({ issuer }) => issuer)).toEqual(['https://login.example']);
    expect(read({ ...oidc, ALLOWED_AUDIENCES: '' }).issuers[0]?.audiences).toEqual(['stoa-mcp-gateway']);
    expect(read({ ...oidc, BASIC_AUTH_ENABLED: 'false' }).basic).toBeUndefined();
  });
  it('names one with a shared secret beside it, or alone, with claim names of its own', () => {
    const { issuers, authorizationServers, basic } = read({ ...oidc, ...shared, JWT_AUDIENCE: 'mcp', JWT_ALLOWED_ALGORITHMS: 'HS256,RS256' });
    expect(issuers).toMatchObject([
      { issuer: 'https://login.example', keys: { from: 'discovery', algorithms: ['RS256'] } },
      { issuer: 'upstream', audiences: ['mcp'], keys: { from: 'secret', secret: SECRET }, claims: { tenant: 'workspace', roles: 'roles' } },
    ]);
    expect(issuers[0]?.claims).not.toHaveProperty('tenant');
    expect(authorizationServers).toEqual(['https://login.example']);
    expect(basic?.issuer).toBe('https://login.example');
    expect(read(shared)).toMatchObject({ authorizationServers: [], basic: undefined });
  });
  it('renames claims and sets limits for both', () => {
    const { issuers } = read({ ...oidc, ...shared, JWT_TENANT_CLAIM: 'tid,org_id', JWT_ROLES_CLAIM: 'r', JWT_USER_ID_CLAIM: 'u', JWT_EXP_CLAIM: 'e', JWT_IAT_CLAIM: 'i', JWT_API_VERSION_CLAIM: 'av', JWT_GROUPS_CLAIM: 'g', JWT_ALLOWED_API_VERSIONS: '1.1', JWT_MAX_TOKEN_AGE_MINUTES: '60', JWT_CLOCK_SKEW_SECONDS: '5', JWT_REQUIRED_GROUPS: 'mcp.users' });
    for (const issuer of issuers) {
      expect(issuer).toMatchObject({
        claims: { tenant: ['tid', 'org_id'], roles: 'r', subject: 'u', expiresAt: 'e', issuedAt: 'i', apiVersion: 'av', groups: 'g' }, apiVersions: ['1.1'], maxTokenAgeSeconds: 3600, clockSkewSeconds: 5, requiredGroups: ['mcp.users'],
      });
    }
  });
  it('adds the issuers of a file, none of them twice', () => {
    const files = { '/i.yaml': '- {issuer: https://other.example, audiences: [x]}', '/same.yaml': '- {issuer: https://login.example, audiences: [x]}', '/bad.yaml': '- {issuer: a}' };
    expect(read({ ...oidc, ISSUERS_FILE: '/i.yaml' }, files).authorizationServers).toEqual(['https://login.example', 'https://other.example']);
    expect(read({ ISSUERS_FILE: '/i.yaml' }, files).issuers).toHaveLength(1);
    expect(() => read({ ...oidc, ISSUERS_FILE: '/same.yaml' }, files)).toThrow(/configured twice/);
    expect(() => read({ ISSUERS_FILE: '/bad.yaml' }, files)).toThrow(/^ISSUERS_FILE: \/bad\.yaml:1: 0\./);
  });
  it.each<{ readonly name: string; readonly env: Record<string, string>; readonly variable: string }>([
    { name: 'nobody who could sign in', env: {}, variable: 'OIDC_ISSUER' },
    { name: 'a secret without an issuer', env: { JWT_SECRET_KEY: SECRET }, variable: 'JWT_ISSUER' },
    { name: 'an issuer without a secret', env: { ...oidc, JWT_ISSUER: 'x' }, variable: 'JWT_SECRET_KEY' },
    { name: 'a short secret', env: { ...shared, JWT_SECRET_KEY: 'short' }, variable: 'JWT_SECRET_KEY' },
    { name: 'one issuer with both', env: { ...oidc, ...shared, JWT_ISSUER: oidc.OIDC_ISSUER }, variable: 'JWT_ISSUER' },
    { name: 'HS256 for an issuer with public keys', env: { ...oidc, JWT_ALLOWED_ALGORITHMS: 'RS256,HS256' }, variable: 'JWT_ALLOWED_ALGORITHMS' },
    { name: 'the algorithm none', env: { ...oidc, JWT_ALLOWED_ALGORITHMS: 'RS256,none' }, variable: 'JWT_ALLOWED_ALGORITHMS' },
    { name: 'no algorithm for an issuer', env: { ...oidc, ...shared, JWT_ALLOWED_ALGORITHMS: 'HS256' }, variable: 'JWT_ALLOWED_ALGORITHMS' },
    { name: 'a success that is believed for hours', env: { ...oidc, BASIC_AUTH_CACHE_SECONDS: '61' }, variable: 'BASIC_AUTH_CACHE_SECONDS' },
    { name: 'keys that are stale before they are old', env: { ...oidc, JWKS_STALE_SECONDS: '60' }, variable: 'JWKS_STALE_SECONDS' },
    { name: 'static tokens in production', env: { ...oidc, STATIC_TOKENS: 'a=b', ENVIRONMENT: 'prod' }, variable: 'STATIC_TOKENS' },
    { name: 'the debug header in production', env: { ...oidc, DEBUG: 'true', ENVIRONMENT: 'prod' }, variable: 'DEBUG' },
    { name: 'a static token that is none', env: { ...oidc, STATIC_TOKENS: 'a' }, variable: 'STATIC_TOKENS' },
    { name: 'a static token that looks like an API key', env: { ...oidc, STATIC_TOKENS: 'a=stoa_sk_x' }, variable: 'STATIC_TOKENS' },
  ])('with $name stops the start and names $variable', ({ env, variable }) => { expect(named(env)).toEqual([variable]); });
  it('gives the debug header a meaning in dev alone', () => {
    expect(read({ ...oidc, DEBUG: 'true' }).debugUser).toBe(true);
    expect(read({ ...oidc, DEBUG: 'true', ENVIRONMENT: 'staging' }).debugUser).toBe(false);
    expect(read(oidc).debugUser).toBe(false);
  });
});

describe('a static token', () => {
  it.each([
    { text: 'robot=t', is: { subject: 'robot', tenant: undefined, roles: ['stoa.agent'], token: 't' } },
    { text: 'robot@acme=a=b', is: { subject: 'robot', tenant: 'acme', roles: ['stoa.agent'], token: 'a=b' } },
    { text: 'robot@acme:viewer+devops=t', is: { subject: 'robot', tenant: 'acme', roles: ['viewer', 'devops'], token: 't' } },
    { text: 'robot:viewer=t', is: { subject: 'robot', tenant: undefined, roles: ['viewer'], token: 't' } },
  ])('is read from $text', ({ text, is }) => { expect(readStaticToken(text)).toEqual(is); });
  it.each(['', '=t', 'robot=', 'robot@ACME=t', 'robot@=t', 'robot=a.b.c', 'robot=a b'])('is not read from %j', (text) => { expect(() => readStaticToken(text)).toThrow(/form|tenant|look like/); });
  it('stands for its subject, and is taken by nobody twice', () => {
    const verifier = staticTokenVerifier([readStaticToken('robot@acme=demo-token')]);
    expect(verifier.takes('demo-token')).toBe(true);
    expect(verifier.verify('demo-token')).toMatchObject({ subject: 'robot', tenant: 'acme', roles: new Set(['stoa.agent']), credential: 'static-token' });
    for (const other of ['demo-toke', 'demo-token ', '', 'DEMO-TOKEN']) expect(verifier.takes(other)).toBe(false);
    expect(() => staticTokenVerifier([readStaticToken('a=t'), readStaticToken('b=t')])).toThrow(/twice/);
  });
});
it.each(['a da', '@acme', 'ada@ACME', ''])('the debug header %j signs nobody in', (header) => { expect(debugUser(header)).toBeInstanceOf(Denial); });
