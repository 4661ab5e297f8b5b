import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeConfig } from './describe.js';
import { ConfigurationError, type Environment, flag, list, readConfig } from './read-config.js';

const Schema = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(8080).meta({ env: 'PORT', description: 'TCP port.' }),
  issuer: z.url().meta({ env: 'OIDC_ISSUER', description: 'Issuer URL.' }),
  open: flag().prefault('false').meta({ env: 'OPEN', description: 'Whether it is open.' }),
  hosts: list().prefault('').meta({ env: 'HOSTS', description: 'Hosts, comma-separated.' }),
  password: z.string().min(8).optional().meta({ env: 'PASSWORD', description: 'The password, at least 8 characters.', secret: true }),
  mode: z.enum(['deny', 'open']).default('deny').meta({ env: 'MODE', description: 'Mode.' }),
});
const issuer = { OIDC_ISSUER: 'https://issuer.example' };
const failure = (env: Environment, files: Record<string, string> = {}): ConfigurationError => {
  try {
    readConfig(Schema, env, (path) => { if (files[path] === undefined) throw new Error('ENOENT'); return files[path]; });
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
};

describe('readConfig', () => {
  it('reads each field from its own environment variable and fills in the defaults', () => {
    expect(readConfig(Schema, { ...issuer, PORT: '9000', OPEN: 'TRUE', HOSTS: ' a, b,,c ' })).toEqual({
      port: 9000, issuer: 'https://issuer.example', open: true, hosts: ['a', 'b', 'c'], mode: 'deny',
    });
  });
  it('takes an empty value as unset, as compose files write it', () => {
    expect(readConfig(Schema, { ...issuer, PORT: '', MODE: '' })).toMatchObject({ port: 8080, mode: 'deny' });
  });
  it('reads a secret from the file that NAME_FILE names, without its last line break', () => {
    expect(readConfig(Schema, { ...issuer, PASSWORD_FILE: '/run/secret' }, () => 'long enough\n').password).toBe('long enough');
  });

  it.each([
    { name: 'a number out of bounds', env: { ...issuer, PORT: '70000' }, named: ['PORT'], says: '"70000"' },
    { name: 'text where a number belongs', env: { ...issuer, PORT: 'http' }, named: ['PORT'], says: 'number' },
    { name: 'a word that is no flag', env: { ...issuer, OPEN: 'maybe' }, named: ['OPEN'], says: '"maybe"' },
    { name: 'a value outside a choice', env: { ...issuer, MODE: 'allow' }, named: ['MODE'], says: '"deny"|"open"' },
    { name: 'a required variable that is missing', env: {}, named: ['OIDC_ISSUER'], says: 'is required. Issuer URL.' },
    { name: 'several at once', env: { PORT: '-1', MODE: 'x' }, named: ['PORT', 'OIDC_ISSUER', 'MODE'], says: 'MODE' },
    { name: 'both NAME and NAME_FILE', env: { ...issuer, PASSWORD: 'long enough', PASSWORD_FILE: '/x' }, named: ['PASSWORD_FILE'], says: 'not both' },
    { name: 'a secret file that is not there', env: { ...issuer, PASSWORD_FILE: '/gone' }, named: ['PASSWORD_FILE'], says: 'cannot read /gone' },
  ])('names the variable for $name', ({ env, named, says }) => {
    const error = failure(env);
    expect(error.issues.map((issue) => issue.env)).toEqual(named);
    expect(error.message).toContain(says);
  });
  it('never shows the value of a secret, not even a wrong one', () => {
    expect(failure({ ...issuer, PASSWORD: 'hunter2' }).message).not.toContain('hunter2');
  });
  it('refuses a schema whose field names no variable, so that no field is unreachable', () => {
    expect(() => readConfig(z.object({ lost: z.string() }), {})).toThrow('lost needs .meta');
  });
});

describe('describeConfig', () => {
  it('gives type, bounds, default and need of each variable', () => {
    expect(describeConfig(Schema).map(({ env, type, default: value, required }) => [env, type, value, required])).toEqual([
      ['PORT', 'integer from 0 to 65535', '8080', false],
      ['OIDC_ISSUER', 'URL', undefined, true],
      ['OPEN', 'true or false', 'false', false],
      ['HOSTS', 'comma-separated list', undefined, false],
      ['PASSWORD', 'text, secret', undefined, false],
      ['MODE', 'deny, open', 'deny', false],
    ]);
  });
});
