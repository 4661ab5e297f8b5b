import { expect, it } from 'vitest';
import { ConfigurationError, type Environment, readConfig } from '#libs/configuration/read-config.js';
import { GatewayConfig } from './config.js';

const least = { DATABASE_URL: 'postgres://stoa@db/stoa', KEYCLOAK_URL: 'https://auth.example/' };
const issuesOf = (env: Environment): readonly string[] => {
  try { readConfig(GatewayConfig, env); return []; } catch (failure) {
    if (failure instanceof ConfigurationError) return failure.issues.map((issue) => issue.env);
    throw failure;
  }
};

it('denies every call, limits nothing and listens on 8080 unless told otherwise', () => {
  expect(readConfig(GatewayConfig, least)).toMatchObject({
    port: 8080, policyMode: 'opa', rateLimitEnabled: true, authEnabled: true, mcpTimeoutSeconds: 30, logLevel: 'info', logFormat: 'json', metricsPrefix: 'stoa_mcp_gateway',
    allowedAudiences: ['stoa-mcp-gateway'], corsMaxAge: 600,
  });
});
it.each([
  { name: 'no issuer', env: { DATABASE_URL: 'postgres://db' }, named: ['OIDC_ISSUER'] },
  { name: 'no database', env: { KEYCLOAK_URL: 'https://auth.example' }, named: ['DATABASE_URL'] },
  { name: 'a database that is not Postgres', env: { ...least, DATABASE_URL: 'mysql://x' }, named: ['DATABASE_URL'] },
  { name: 'authentication off in production', env: { ...least, AUTH_ENABLED: 'false', ENVIRONMENT: 'prod' }, named: ['AUTH_ENABLED'] },
  { name: 'a static token in production', env: { ...least, STATIC_TOKENS: 'a=b', ENVIRONMENT: 'prod' }, named: ['STATIC_TOKENS'] },
  { name: 'the debug header in production', env: { ...least, DEBUG: 'true', ENVIRONMENT: 'prod' }, named: ['DEBUG'] },
  { name: 'a limit of nothing', env: { ...least, RATE_LIMIT_REQUESTS_PER_MINUTE: '0' }, named: ['RATE_LIMIT_REQUESTS_PER_MINUTE'] },
  { name: 'CORS for everybody', env: { ...least, CORS_ORIGINS: '*' }, named: ['CORS_ORIGINS'] },
  { name: 'an unknown log level', env: { ...least, LOG_LEVEL: 'LOUD' }, named: ['LOG_LEVEL'] },
  { name: 'a policy mode that is not one', env: { ...least, POLICY_MODE: 'allow' }, named: ['POLICY_MODE'] },
  { name: 'a drain delay beyond the drain', env: { ...least, DRAIN_SECONDS: '5', DRAIN_DELAY_SECONDS: '6' }, named: ['DRAIN_DELAY_SECONDS'] },
])('stops the start and names the variable: $name', ({ env, named }) => { expect(issuesOf(env)).toEqual(named); });
