import { describe, expect, it } from 'vitest';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import { ControllerConfig } from './config.js';

const given = { DATABASE_URL: 'postgres://db/stoa', OIDC_ISSUER: 'https://issuer.test' };

describe('the controller\'s configuration', () => {
  it('needs a database and an issuer, and has a default for everything else', () => {
    expect(readConfig(ControllerConfig, given)).toMatchObject({ port: 8081, host: '0.0.0.0', refreshEnabled: true, egressAllow: [], logLevel: 'info' });
  });
  it.each([
    { name: 'no database', env: { OIDC_ISSUER: given.OIDC_ISSUER }, key: 'DATABASE_URL' },
    { name: 'another kind of database', env: { ...given, DATABASE_URL: 'mysql://hunter2@db' }, key: 'DATABASE_URL' },
    { name: 'no issuer', env: { DATABASE_URL: given.DATABASE_URL }, key: 'OIDC_ISSUER' },
    { name: 'a static token in production', env: { ...given, STATIC_TOKENS: 'a=hunter2', ENVIRONMENT: 'prod' }, key: 'STATIC_TOKENS' },
    { name: 'a port that is none', env: { ...given, PORT: '70000' }, key: 'PORT' },
    { name: 'an unknown log level', env: { ...given, LOG_LEVEL: 'loud' }, key: 'LOG_LEVEL' },
    { name: 'a look every zero seconds', env: { ...given, REFRESH_POLL_SECONDS: '0' }, key: 'REFRESH_POLL_SECONDS' },
  ])('refuses $name, naming $key and no secret', ({ env, key }) => {
    const read = (): unknown => readConfig(ControllerConfig, env);
    expect(read).toThrow(ConfigurationError);
    expect(read).toThrow(new RegExp(`\\b${key}\\b`));
    expect(read).not.toThrow(/hunter2/);
  });
});
