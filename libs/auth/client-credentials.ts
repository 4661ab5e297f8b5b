import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { allowInsecureRequests, clientCredentialsGrant, ClientSecretBasic, Configuration, customFetch, ResponseBodyError, type ServerMetadata, WWWAuthenticateChallengeError } from 'openid-client';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Eventually, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { fetchIssuerMetadata, getJson } from './issuer-keys.js';

export interface ClientCredentialsOptions {
  /** Exact issuer at whose token endpoint credentials are exchanged. */
  readonly issuer: string;
  /** Where its metadata is, if not at its own address. */
  readonly metadataUrl?: string;
  /** Sent as `resource` (RFC 8707), for issuers that make the audience of it. */
  readonly resource?: string;
  readonly outbound: Pick<Outbound, 'request'>;
  /** Proves what the issuer gave, as any other token. */
  readonly tokens: TokenVerifier;
  /** How long a success is believed, in milliseconds: for that long a client outlives its end at the issuer. At most 60,000; default 30,000. */
  readonly keepMs?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly clock?: () => number;
}

const MAX_KEEP_MS = 60_000;
const METADATA_MS = 300_000;
const TIMEOUT_MS = 5000;
const MAX_BYTES = 65_536;
/** Exchanges at the same time: guesses must not become a flood at the issuer. */
const MAX_RUNNING = 16;
const MAX_CREDENTIAL = 2048;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

interface Proved { readonly principal: Principal; readonly until: number }

/**
 * Machine login by HTTP Basic (RFC 7617): client id and secret are exchanged for a token at the issuer (RFC 6749 §4.4), and the token is
 * proved. Only a success is kept, under the SHA-256 of the whole credential, so that a wrong secret never profits from a right one.
 * Rejects with `Unavailable` when the issuer cannot answer, or too many exchanges are running.
 */
export function clientCredentialsVerifier(options: ClientCredentialsOptions): (credential: string) => Eventually<Principal | Denial> {
  const { clock = Date.now, keepMs = 30_000, tokens } = options;
  if (!(keepMs >= 0 && keepMs <= MAX_KEEP_MS)) throw new Error(`keepMs: must be 0 to ${MAX_KEEP_MS}`);
  const proved = new LRUCache<string, Proved>({ max: 10_000 });
  const running = new Map<string, Promise<Principal | Denial>>();
  const server = issuerMetadata(options, clock);

  const prove = async (client: Client, digest: string): Promise<Principal | Denial> => {
    const startedAt = clock();
    const token = await exchange(await server(), client, options);
    if (token instanceof Denial) return token;
    const answer = await tokens.verify(token);
    if (answer instanceof Denial) return answer;
    const principal: Principal = { ...answer, credentialId: `client:${client.id}`, credential: 'client-secret' };
    proved.set(digest, { principal, until: Math.min(startedAt + keepMs, principal.expiresAt * 1000) });
    return principal;
  };

  return (credential) => {
    const digest = hash('sha256', credential, 'base64');
    const known = proved.get(digest);
    if (known !== undefined) {
      if (clock() < known.until) return known.principal;
      proved.delete(digest);
    }
    const client = readCredential(credential);
    if (client === undefined) return refused('not a client id and secret in base64');
    let exchanging = running.get(digest);
    if (exchanging === undefined) {
      if (running.size >= MAX_RUNNING) return Promise.reject(new Unavailable(`token issuer ${options.issuer}`, { cause: new Error(`${MAX_RUNNING} exchanges are running already`) }));
      exchanging = prove(client, digest).finally(() => { running.delete(digest); });
      running.set(digest, exchanging);
    }
    return exchanging;
  };
}

interface Client { readonly id: string; readonly secret: string }

function readCredential(credential: string): Client | undefined {
  if (credential.length > MAX_CREDENTIAL || !BASE64.test(credential)) return undefined;
  const text = Buffer.from(credential, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  // RFC 7617 §2: no control characters.
  // oxlint-disable-next-line no-control-regex -- these are meant
  if (colon <= 0 || colon === text.length - 1 || /[\u0000-\u001f\u007f\ufffd]/.test(text)) return undefined;
  return { id: text.slice(0, colon), secret: text.slice(colon + 1) };
}

const refused = (reason: string): Denial => new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid client credentials', reason });

async function exchange(server: ServerMetadata, client: Client, { outbound, resource, issuer }: ClientCredentialsOptions): Promise<string | Denial> {
  const configuration = new Configuration(server, client.id, undefined, ClientSecretBasic(client.secret));
  configuration[customFetch] = (url, { method, headers, body, signal }) => throughEgress(outbound, url, { method, headers, body, signal });
  // The egress policy and the operator decide where the issuer is; development issuers speak plain HTTP.
  if (issuer.startsWith('http:')) allowInsecureRequests(configuration);
  try {
    return (await clientCredentialsGrant(configuration, resource === undefined ? {} : { resource })).access_token;
  } catch (failure) {
    const status = failure instanceof ResponseBodyError || failure instanceof WWWAuthenticateChallengeError ? failure.status : undefined;
    if (status !== undefined && status < 500 && status !== 429) return refused(failure instanceof ResponseBodyError ? `the issuer says ${failure.error}` : `the issuer answered ${status}`);
    throw new Unavailable(`token issuer ${issuer}`, { cause: failure });
  }
}

interface Sent { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body: unknown; readonly signal: AbortSignal | undefined }

async function throughEgress(outbound: Pick<Outbound, 'request'>, url: string, { method, headers, body, signal }: Sent): Promise<Response> {
  const sent = body instanceof URLSearchParams ? body.toString() : typeof body === 'string' ? body : undefined;
  const answer = await outbound.request({
    url, method, headers: Object.entries(headers), timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, ...(sent === undefined ? {} : { body: sent }), ...(signal === undefined ? {} : { signal }),
  });
  return new Response(Uint8Array.from(answer.body), { status: answer.status, headers: answer.headers });
}

/** Kept 300 s. Rejects with `Unavailable`. */
function issuerMetadata({ issuer, metadataUrl, outbound }: ClientCredentialsOptions, clock: () => number): () => Promise<ServerMetadata> {
  let kept: { readonly metadata: Promise<ServerMetadata>; readonly until: number } | undefined;
  const load = async (): Promise<ServerMetadata> => {
    try {
      const metadata = await fetchIssuerMetadata(issuer, metadataUrl, (url) => getJson(outbound, url, TIMEOUT_MS));
      return { ...metadata, issuer };
    } catch (failure) {
      kept = undefined;
      throw new Unavailable(`token issuer ${issuer}`, { cause: failure });
    }
  };
  return () => {
    if (kept === undefined || clock() >= kept.until) kept = { metadata: load(), until: clock() + METADATA_MS };
    return kept.metadata;
  };
}
