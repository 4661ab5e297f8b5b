import { Denial } from '#libs/core/errors.js';
import { type ClientCredentialsOptions, clientCredentialsVerifier } from './client-credentials.js';

export interface SelfCheckOptions extends Omit<ClientCredentialsOptions, 'keepMs'> {
  /** Own client at the issuer, with a service account in some tenant. It needs no role. */
  readonly clientId: string;
  readonly clientSecret: string;
}

/** After a failure the issuer is asked again no sooner than this, in milliseconds. */
const RETRY_MS = 5000;

/**
 * Whether the issuer's tokens would be taken here, found out by getting one and proving it: a realm without the audience mapper, or
 * without the tenant's, is seen before the first caller is. Answers what is wrong and its fix in one line, or undefined. Once right it
 * is not asked again in this process: what is changed at the issuer later must not take every replica away at once.
 */
export function issuerSelfCheck({ clientId, clientSecret, ...options }: SelfCheckOptions): () => Promise<string | undefined> {
  const { issuer, clock = Date.now } = options;
  const signIn = clientCredentialsVerifier({ ...options, keepMs: 0 });
  const credential = Buffer.from(`${clientId}:${clientSecret}`).toString('base64');
  let fault: string | undefined = 'not asked yet';
  let askAt = -Infinity;
  let running: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    try {
      const answer = await signIn(credential);
      if (answer instanceof Denial) fault = refused(issuer, clientId, answer);
      else fault = answer.tenant === undefined ? `tokens of ${issuer} name no tenant: map it into them, and give the service account of ${clientId} one` : undefined;
    } catch (failure) {
      const cause = failure instanceof Error && failure.cause instanceof Error ? failure.cause : failure;
      fault = `no token of ${issuer} could be had to look at: ${cause instanceof Error ? cause.message : String(cause)}`;
    }
    askAt = clock() + RETRY_MS;
    running = undefined;
  };
  return async () => {
    if (fault !== undefined && clock() >= askAt) await (running ??= ask());
    return fault;
  };
}

function refused(issuer: string, clientId: string, { message, reason = message }: Denial): string {
  if (message === 'Invalid client credentials') return `${issuer} gives ${clientId} no token (${reason}): check KEYCLOAK_CLIENT_ID, KEYCLOAK_CLIENT_SECRET, and that the client has a service account`;
  const fix = reason.includes('"aud"') ? 'add an audience mapper for RESOURCE_URL to the realm, or its audience to ALLOWED_AUDIENCES' : 'see docs/authentication.md, Keycloak';
  return `tokens of ${issuer} would be refused here (${reason}): ${fix}`;
}
