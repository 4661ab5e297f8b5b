import { Denial } from '#libs/core/errors.js';
import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import type { TokenClient } from '#libs/core/rest-binding.js';

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 64 * 1024;
/** Of a token whose end nobody says (RFC 6749 §5.1 recommends to). */
const UNSAID_SECONDS = 60;
const MAX_SECONDS = 86_400;

export interface TokenRequest extends Pick<TokenClient, 'clientId' | 'authentication'> {
  /** Token endpoint, absolute. */
  readonly url: string;
  readonly secret: string;
  readonly form: Readonly<Record<string, string | undefined>>;
}
export interface IssuedToken { readonly token: string; readonly lifeMs: number }

/** Asks a token endpoint (RFC 6749 §4.4.2, RFC 8693 §2.1). A denial `CREDENTIAL_MISSING` says why there is no token, without any of the request. */
export async function askToken(outbound: Pick<Outbound, 'request'>, { url, clientId, secret, authentication = 'basic', form }: TokenRequest): Promise<IssuedToken | Denial> {
  const body = new URLSearchParams(Object.entries(form).filter((member): member is [string, string] => member[1] !== undefined));
  if (authentication === 'post') { body.set('client_id', clientId); body.set('client_secret', secret); }
  try {
    const { status, body: bytes } = await outbound.request({
      url, method: 'POST', timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, body: body.toString(),
      headers: [['accept', 'application/json'], ['content-type', 'application/x-www-form-urlencoded'], ...(authentication === 'basic' ? [['authorization', basic(clientId, secret)] as const] : [])],
    });
    const answer = objectOf(bytes);
    if (status !== 200) return noToken(`the token endpoint answered ${status}${wordOf(answer)}`);
    const { access_token: token, token_type: type, expires_in: seconds } = answer;
    if (typeof token !== 'string' || !/^[\x21-\x7e]{1,16384}$/.test(token)) return noToken('the token endpoint answered without an access token');
    if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') return noToken('the token endpoint answered with a token that is no bearer token');
    return { token, lifeMs: 1000 * Math.min(MAX_SECONDS, typeof seconds === 'number' && seconds > 0 ? seconds : UNSAID_SECONDS) };
  } catch (failure) {
    if (failure instanceof OutboundFailure) return noToken(`the token endpoint cannot be asked: ${failure.message}`);
    throw failure;
  }
}

export const noToken = (why: string): Denial => new Denial({ code: 'CREDENTIAL_MISSING', message: why });

/** RFC 6749 §2.3.1: both parts form-encoded before they are joined. */
const basic = (clientId: string, secret: string): string => `Basic ${Buffer.from(`${formText(clientId)}:${formText(secret)}`).toString('base64')}`;
const formText = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);

function objectOf(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Readonly<Record<string, unknown>> : {};
  } catch { return {}; }
}
/** The error's code (RFC 6749 §5.2), which is of a fixed alphabet and holds nothing of the request. */
const wordOf = ({ error }: Readonly<Record<string, unknown>>): string => (typeof error === 'string' && /^[a-z_]{1,64}$/.test(error) ? `: ${error}` : '');
