import { z } from 'zod';
import { flag, list } from '#libs/configuration/read-config.js';

/** What an operator says of capability tokens. */
export const capabilityFields = {
  capabilityTokensEnabled: flag().prefault('true').meta({ env: 'CAPABILITY_TOKENS_ENABLED', description: 'Short-lived tokens for named tools, at /v1/token. Off where AUTH_ENABLED is false.' }),
  capabilitySecrets: list().pipe(z.array(z.string().min(32, 'expected at least 32 characters each, e.g. of "openssl rand -hex 32"'))).prefault('').meta({ env: 'CAPABILITY_SECRETS', description: 'Secrets that the signing keys of capability tokens are derived from, the same in every replica; the first signs, all verify. To rotate, put a new one first, and take the old one away two minutes later. Unset: made at random at each start, for one replica.', secret: true }),
};
