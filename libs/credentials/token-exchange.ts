import { openToken } from '#libs/core/caller-token.js';
import { Denial } from '#libs/core/errors.js';
import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import type { Principal } from '#libs/core/principal.js';
import { noToken } from './token-endpoint.js';

const TIMEOUT_MS = 5000;
const MAX_BYTES = 256 * 1024;
const KEPT_MS = 300_000;

/** What is sent to the token endpoint on behalf of a caller (RFC 8693 §2.1). */
export interface Subject { readonly token: string; readonly form: Readonly<Record<string, string>> }

/** The caller's own token, as the subject of an exchange at the issuer that proved it. */
export function subjectOf(principal: Principal | undefined): Subject | Denial {
  const token = principal === undefined ? undefined : openToken(principal);
  if (token === undefined) return noToken('it is had on behalf of the caller, who must come with a token of an identity provider, where the operator has set TOKEN_EXCHANGE_ENABLED');
  return {
    token,
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    },
  };
}

/**
 * The token endpoint of an issuer, as the issuer's own metadata names it (RFC 8414 §2): no tenant's setting can send a caller's token elsewhere.
 * Kept for 300 s.
 */
export function tokenEndpoints(outbound: Pick<Outbound, 'request'>, now: () => number): (issuer: string) => Promise<string | Denial> {
  const known = new Map<string, { readonly url: Promise<string | Denial>; readonly until: number }>();
  return async (issuer) => {
    let found = known.get(issuer);
    if (found === undefined || now() >= found.until) known.set(issuer, found = { url: endpointOf(outbound, issuer), until: now() + KEPT_MS });
    const url = await found.url;
    if (url instanceof Denial && known.get(issuer) === found) known.delete(issuer);
    return url;
  };
}

async function endpointOf(outbound: Pick<Outbound, 'request'>, issuer: string): Promise<string | Denial> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  let why = 'the caller\'s issuer does not say where its token endpoint is';
  for (const url of [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`]) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- the second address is asked only where the first has nothing
      const { status, body } = await outbound.request({ url, method: 'GET', headers: [['accept', 'application/json']], timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
      const metadata = status === 200 ? JSON.parse(new TextDecoder().decode(body)) as { readonly issuer?: unknown; readonly token_endpoint?: unknown } : {};
      const { token_endpoint: endpoint } = metadata;
      // Metadata of another issuer than the one that was asked is not its word (RFC 8414 §3.3).
      if (metadata.issuer !== issuer || typeof endpoint !== 'string' || !URL.canParse(endpoint)) continue;
      if (issuer.startsWith('https:') && !endpoint.startsWith('https:')) return noToken('the token endpoint of the caller\'s issuer is not https');
      return endpoint;
    } catch (failure) {
      if (!(failure instanceof OutboundFailure) && !(failure instanceof SyntaxError)) throw failure;
      if (failure instanceof OutboundFailure) why = `the caller's issuer cannot be asked: ${failure.message}`;
    }
  }
  return noToken(why);
}
