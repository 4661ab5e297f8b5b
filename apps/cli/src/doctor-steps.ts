import { createHash, randomBytes } from 'node:crypto';
import type { ClientProfile } from './doctor-clients.js';
import { ask, isPrivate, json, type JsonObject, said, type Seen, strings, Trouble } from './doctor-web.js';

/** What is known so far; each step adds to it. */
export interface Journey {
  readonly url: string;
  readonly client: ClientProfile;
  /** Whether a client may be registered at the issuer; it is removed again where the issuer allows that (RFC 7592). */
  readonly registers: boolean;
  readonly token: string | undefined;
  metadataUrl?: string;
  scope?: string;
  resource?: string;
  issuer?: string;
  server?: JsonObject;
  clientId?: string;
  registration?: { readonly uri: string; readonly token: string };
}
export interface Step { readonly name: string; /** One line about what was found. Rejects with `Trouble`. */ readonly run: (journey: Journey) => Promise<string> }

const browser = ({ client }: Journey): Readonly<Record<string, string>> => (client.origin === undefined ? {} : { origin: client.origin });
const initialize = (version: string): string => JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: version, capabilities: {}, clientInfo: { name: 'stoa-doctor', version: '1' } } });
const connect = (journey: Journey, headers: Readonly<Record<string, string>> = {}): Promise<Seen> => ask(journey.url, {
  method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...browser(journey), ...headers }, body: initialize(journey.client.protocolVersion),
}, 'Start the server, and check host, port and TLS certificate of the URL');

async function challenge(journey: Journey): Promise<string> {
  const seen = await connect(journey);
  const { status } = seen;
  if (status >= 300 && status < 400) throw new Trouble(`${journey.url} redirects to ${seen.headers.get('location') ?? 'somewhere'}`, 'Give clients the final URL, to the letter: they do not carry a POST along a redirect');
  if (status >= 200 && status < 300) throw new Trouble('the server answers without a token', 'Switch authentication on (AUTH_ENABLED=true); until then anybody who reaches this address may call');
  if (status === 403) throw new Trouble(`the server refuses this caller before asking who it is: ${said(seen)}`, `Add ${journey.client.origin === undefined ? `the host name ${new URL(journey.url).hostname} to ALLOWED_HOSTS` : `${journey.client.origin} to ALLOWED_ORIGINS`}`);
  if (status === 404 || status === 405) throw new Trouble(`no MCP endpoint is at ${journey.url} (${status})`, 'Use the address of the endpoint itself, which ends in /mcp; behind a proxy check that it passes the path on');
  if (status >= 500) throw new Trouble(`the server fails with ${status}: ${said(seen)}`, 'See GET /ready of the server: it names what is away, the issuer\'s keys above all');
  if (status !== 401) throw new Trouble(`the server answers ${status} to a caller without a token, not 401`, 'Let the gateway itself answer: a proxy before it changes the status');
  const header = seen.headers.get('www-authenticate');
  if (header === null) throw new Trouble('401 without WWW-Authenticate', 'Let a proxy before the server pass WWW-Authenticate on: it is where clients learn where to sign in');
  if (!/(^|,\s*)Bearer\b/i.test(header)) throw new Trouble(`the challenge is not Bearer: ${header}`, 'Answer with Bearer first; with another scheme clients ask for a password or give up');
  const named = /resource_metadata="([^"]*)"/.exec(header)?.[1];
  journey.scope = /\bscope="([^"]*)"/.exec(header)?.[1] ?? '';
  if (named === undefined) return '401 with a Bearer challenge that names no metadata: looked for at the well-known places';
  if (!URL.canParse(named)) throw new Trouble(`resource_metadata is no absolute URL: ${named}`, 'Set RESOURCE_URL to the absolute address that clients use');
  if (new URL(named).origin !== new URL(journey.url).origin) throw new Trouble(`resource_metadata is of another origin: ${named}`, `Set RESOURCE_URL to ${journey.url}: the gateway makes the address of its metadata from it`);
  journey.metadataUrl = named;
  return `401 names ${named}`;
}

function document(journey: Journey, url: string, unreachable: string): Promise<Seen> {
  return ask(url, { headers: { accept: 'application/json', 'mcp-protocol-version': journey.client.protocolVersion, ...browser(journey) } }, unreachable);
}
/** What keeps a browser from reading an answer; undefined where the client is none, or may. */
function hiddenFromBrowser({ client: { origin } }: Journey, { url, headers }: Seen): Trouble | undefined {
  const allowed = headers.get('access-control-allow-origin');
  if (origin === undefined || allowed === '*' || allowed === origin) return undefined;
  return new Trouble(`a browser at ${origin} may not read ${url}: Access-Control-Allow-Origin is ${allowed ?? 'missing'}`, 'Answer discovery documents with Access-Control-Allow-Origin: * (they hold nothing private), and let proxies pass it on');
}

async function resourceMetadata(journey: Journey): Promise<string> {
  const { origin, pathname } = new URL(journey.url);
  const places = journey.metadataUrl === undefined ? [`${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}`, `${origin}/.well-known/oauth-protected-resource`] : [journey.metadataUrl];
  const tried: string[] = [];
  for (const place of places) {
    const seen = await document(journey, place, 'Let the proxy pass /.well-known/ on to the gateway');
    if (seen.status === 404) { tried.push(place); continue; }
    if (seen.status === 401 || seen.status === 403) throw new Trouble(`${place} itself asks for a token (${seen.status})`, 'Let discovery through without one: take /.well-known/ out of what the proxy protects');
    if (seen.status !== 200) throw new Trouble(`${place} answers ${seen.status}: ${said(seen)}`, 'Let the proxy pass /.well-known/ on to the gateway');
    const hidden = hiddenFromBrowser(journey, seen);
    if (hidden) throw hidden;
    const metadata = json(seen);
    if (metadata === undefined) throw new Trouble(`${place} does not answer JSON`, 'Something else answers for /.well-known/, mostly a web site\'s start page: pass the path on to the gateway');
    return readResource(journey, place, metadata);
  }
  throw new Trouble(`no protected-resource metadata (RFC 9728) at ${tried.join(' or ')}`, 'Pass /.well-known/oauth-protected-resource, with and without the path after it, on to the gateway');
}

function readResource(journey: Journey, place: string, metadata: JsonObject): string {
  const { resource } = metadata;
  const { client, url } = journey;
  if (typeof resource !== 'string' || !URL.canParse(resource)) throw new Trouble(`${place} names no resource`, `Set RESOURCE_URL to ${url}`);
  const [own, named] = [new URL(url), new URL(resource)];
  const within = own.origin === named.origin && `${own.pathname.replace(/\/$/, '')}/`.startsWith(`${named.pathname.replace(/\/$/, '')}/`);
  if (!within || (client.resource === 'exact' && own.href.replace(/\/$/, '') !== named.href.replace(/\/$/, ''))) throw new Trouble(`the metadata is of ${resource}, and ${client.name} asked for ${url}`, `Set RESOURCE_URL to ${url}, or give clients ${resource}: the two must be the same`);
  const [issuer] = strings(metadata['authorization_servers']);
  if (issuer === undefined) throw new Trouble(`${place} names no authorization server`, 'Name the issuer: OIDC_ISSUER, or KEYCLOAK_URL and KEYCLOAK_REALM');
  if (!URL.canParse(issuer)) throw new Trouble(`authorization_servers holds ${JSON.stringify(issuer)}, which is no URL`, 'Set OIDC_ISSUER to the issuer\'s absolute URL');
  if (issuer.startsWith('http:') && !isPrivate(issuer)) throw new Trouble(`the authorization server ${issuer} is not on https`, 'Serve the issuer over https: clients send no password over plain http');
  if (isPrivate(issuer) && !isPrivate(url)) throw new Trouble(`the authorization server ${issuer} is on an inner network, and the server is not`, 'Set OIDC_ISSUER (for Keycloak: its --hostname) to the address that people\'s browsers reach');
  journey.resource = resource;
  journey.issuer = issuer;
  // MCP 2025-11-25, authorization: the challenge's scope first, else all that the resource names.
  if (journey.scope === undefined || journey.scope === '') journey.scope = strings(metadata['scopes_supported']).join(' ');
  return `${resource}, signed in to at ${issuer}`;
}

async function serverMetadata(journey: Journey): Promise<string> {
  const issuer = journey.issuer ?? '';
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [...new Set([`${origin}/.well-known/oauth-authorization-server${path}`, `${origin}/.well-known/openid-configuration${path}`, `${origin}${path}/.well-known/openid-configuration`])];
  let hidden: Trouble | undefined;
  for (const place of places) {
    const seen = await document(journey, place, `Make the issuer reachable from where ${journey.client.name} runs, and check OIDC_ISSUER`);
    if (seen.status >= 500) throw new Trouble(`${place} answers ${seen.status}`, 'The issuer is not well: see its own log');
    if (seen.status !== 200) continue;
    // What a browser may not read is to the client as if it were not there.
    const kept = hiddenFromBrowser(journey, seen);
    if (kept) { hidden ??= kept; continue; }
    const server = json(seen);
    if (server === undefined) throw new Trouble(`${place} does not answer JSON`, 'Something else answers there than the issuer: check OIDC_ISSUER');
    return readServer(journey, place, server);
  }
  if (hidden) throw hidden;
  throw new Trouble(`no metadata of ${issuer} at ${places.join(', ')}`, 'Check OIDC_ISSUER: for Keycloak it is {KEYCLOAK_URL}/realms/{realm}, and the realm must exist');
}

function readServer(journey: Journey, place: string, server: JsonObject): string {
  const { issuer = '' } = journey;
  if (server['issuer'] !== issuer) throw new Trouble(`${place} is the metadata of ${JSON.stringify(server['issuer'])}, not of ${issuer}`, 'Make the two the same to the letter: OIDC_ISSUER here, and the host name that the issuer believes to have (Keycloak: --hostname)');
  for (const name of ['authorization_endpoint', 'token_endpoint']) {
    const endpoint = server[name];
    if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) throw new Trouble(`the issuer names no ${name}`, 'Enable the authorization code flow at the issuer');
    if (endpoint.startsWith('http:') && !isPrivate(endpoint)) throw new Trouble(`${name} is not on https: ${endpoint}`, 'Tell the issuer that it is behind a TLS proxy (Keycloak: --proxy-headers=xforwarded and --hostname=https://…)');
  }
  const types = server['response_types_supported'];
  if (types !== undefined && !strings(types).includes('code')) throw new Trouble('the issuer does not offer the response type code', 'Enable the authorization code flow at the issuer');
  const grants = server['grant_types_supported'];
  if (grants !== undefined && !strings(grants).includes('authorization_code')) throw new Trouble('the issuer does not offer the grant authorization_code', 'Enable the authorization code flow at the issuer');
  const methods = server['code_challenge_methods_supported'];
  if (methods === undefined) throw new Trouble('the issuer does not say that it does PKCE (code_challenge_methods_supported is missing)', 'Enable PKCE with S256 at the issuer, and publish it: MCP clients refuse to go on without');
  if (!strings(methods).includes('S256')) throw new Trouble(`the issuer offers PKCE only as ${strings(methods).join(', ') || 'nothing'}`, 'Enable S256 at the issuer: MCP clients use no other');
  journey.server = server;
  return `${place}: code flow, PKCE S256`;
}

async function registration(journey: Journey): Promise<string> {
  const { client, server = {} } = journey;
  const takesDocuments = client.clientIdDocument !== undefined && server['client_id_metadata_document_supported'] === true;
  // A document's client is public: without "none" clients silently register themselves instead.
  if (takesDocuments && strings(server['token_endpoint_auth_methods_supported']).includes('none')) {
    journey.clientId = client.clientIdDocument;
    return `by its client-id metadata document ${client.clientIdDocument}`;
  }
  const endpoint = server['registration_endpoint'];
  if (typeof endpoint !== 'string' && takesDocuments) throw new Trouble('the issuer takes client-id metadata documents but no public clients (token_endpoint_auth_methods_supported has no "none")', 'Add "none" to the issuer\'s token endpoint authentication methods');
  if (typeof endpoint !== 'string') throw new Trouble(`the issuer registers no clients, and ${client.name} has no client id`, `Enable dynamic registration (RFC 7591) at the issuer, or make a public client with the redirect addresses ${client.redirectUris.join(' ')} and give ${client.name} its id`);
  if (!journey.registers) return `not tried (--no-register); it would register at ${endpoint}`;
  const seen = await ask(endpoint, {
    method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json', ...browser(journey) },
    body: JSON.stringify({ client_name: client.clientName, redirect_uris: client.redirectUris, grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], token_endpoint_auth_method: 'none', ...(scopeOf(journey) === '' ? {} : { scope: scopeOf(journey) }) }),
  }, 'Make the registration endpoint reachable');
  if (seen.status !== 201 && seen.status !== 200) throw refusedRegistration(journey, seen);
  const made = json(seen);
  const id = made?.['client_id'];
  if (typeof id !== 'string') throw new Trouble('the issuer registered a client without a client_id', 'See RFC 7591 §3.2.1: the answer holds client_id');
  const kept = strings(made?.['redirect_uris']);
  const [uri, token] = [made?.['registration_client_uri'], made?.['registration_access_token']];
  if (typeof uri === 'string' && typeof token === 'string') journey.registration = { uri, token };
  if (kept.length > 0 && !kept.includes(client.redirectUri)) throw new Trouble(`the issuer registered ${client.name} without ${client.redirectUri}`, `Let the issuer take the redirect address ${client.redirectUri}`);
  journey.clientId = id;
  return `as ${id}`;
}

function refusedRegistration({ client, scope = '' }: Journey, seen: Seen): Trouble {
  const words = said(seen);
  const what = `the issuer refused to register ${client.name} (${seen.status}): ${words}`;
  if (/origin/i.test(words) && client.origin !== undefined) return new Trouble(what, `Let the issuer take registrations from ${client.origin}; Keycloak: Clients, Client registration, Registration Allowed Web Origins`);
  if (/redirect|trusted (host|domain)|host not trusted|uri/i.test(words)) return new Trouble(what, `Let the issuer take ${client.redirectUris.join(' ')}; Keycloak: Clients, Client registration, Trusted Hosts, with the host of each`);
  if (/scope/i.test(words) && !/insufficient_scope/i.test(words)) return new Trouble(what, `Make each of "${scope}" a client scope of the realm and optional by default, or name fewer in the metadata; keycloak/stoa-realm.json has them all`);
  if (seen.status === 401 || seen.status === 403) return new Trouble(what, 'Allow anonymous registration for these redirect addresses at the issuer, or register the client by hand');
  return new Trouble(what, 'Compare the request with the issuer\'s registration policy (RFC 7591 §3.2.2)');
}

const scopeOf = ({ client, scope = '', server }: Journey): string => [scope, client.offline && strings(server?.['scopes_supported']).includes('offline_access') ? 'offline_access' : ''].filter(Boolean).join(' ');

async function authorization(journey: Journey): Promise<string> {
  const { client, clientId, server = {}, resource = '' } = journey;
  if (clientId === undefined) return 'not tried without a client';
  const url = new URL(String(server['authorization_endpoint']));
  const challengeOf = createHash('sha256').update(randomBytes(32)).digest('base64url');
  const scope = scopeOf(journey);
  for (const [name, value] of Object.entries({ response_type: 'code', client_id: clientId, redirect_uri: client.redirectUri, code_challenge: challengeOf, code_challenge_method: 'S256', state: randomBytes(8).toString('hex'), resource, ...(scope === '' ? {} : { scope }) })) url.searchParams.set(name, value);
  const seen = await ask(url.href, { headers: { accept: 'text/html' } }, 'Make the authorization endpoint reachable by browsers');
  const location = seen.headers.get('location');
  const target = location === null || !URL.canParse(location, url.href) ? undefined : new URL(location, url.href);
  const error = target?.searchParams.get('error') ?? undefined;
  if (error !== undefined) throw refusedAuthorization(journey, error, `${error}: ${target?.searchParams.get('error_description') ?? ''}`);
  if (seen.status >= 400) throw /redirect/i.test(said(seen)) ? new Trouble(`the issuer does not know the redirect address ${client.redirectUri}: ${said(seen)}`, `Add ${client.redirectUri} to the client's redirect addresses`) : new Trouble(`the issuer shows an error page (${seen.status}): ${said(seen)}`, 'See the issuer\'s own log for this client');
  return 'a login page is shown';
}

function refusedAuthorization({ client, scope = '', resource = '' }: Journey, error: string, what: string): Trouble {
  const message = `the issuer turns ${client.name} away: ${what}`;
  switch (error) {
    case 'invalid_scope': return new Trouble(message, `Make each of "${scope}" a scope of the issuer that this client may ask for, or publish fewer`);
    case 'invalid_target': return new Trouble(message, `Make ${resource} a resource that the issuer knows (RFC 8707), to the letter`);
    case 'unauthorized_client': case 'unsupported_response_type': return new Trouble(message, 'Enable the authorization code flow for this client');
    default: return new Trouble(message, 'See the issuer\'s own log for this client');
  }
}

async function tokenEndpoint(journey: Journey): Promise<string> {
  const { client, clientId, server = {} } = journey;
  if (clientId === undefined) return 'not tried without a client';
  const url = String(server['token_endpoint']);
  const seen = await ask(url, {
    method: 'POST', headers: { accept: 'application/json', ...browser(journey) },
    body: new URLSearchParams({ grant_type: 'authorization_code', code: 'stoa-doctor-has-none', redirect_uri: client.redirectUri, client_id: clientId, code_verifier: randomBytes(32).toString('base64url'), ...(journey.resource === undefined ? {} : { resource: journey.resource }) }),
  }, 'Make the token endpoint reachable');
  const error = json(seen)?.['error'];
  if (typeof error !== 'string') throw new Trouble(`${url} answers ${seen.status} and no OAuth error to a made-up code`, 'Something else answers there than the issuer\'s token endpoint: check its proxy');
  if (error === 'invalid_client' || error === 'unauthorized_client') throw new Trouble(`the token endpoint does not take ${client.name} as a public client: ${said(seen)}`, 'Let the client be public (token_endpoint_auth_method none) with PKCE: it keeps no secret');
  if (error === 'invalid_target') throw new Trouble(`the token endpoint refuses the resource: ${said(seen)}`, `Make ${journey.resource ?? ''} a resource that the issuer knows (RFC 8707)`);
  return 'refuses a made-up code, as it should';
}

async function withToken(journey: Journey): Promise<string> {
  const { client, token, resource = '', issuer = '' } = journey;
  if (token === undefined) return 'not tried: give a token with --token to have it looked at';
  const claims = claimsOf(token);
  if (claims !== undefined) {
    const audiences = typeof claims['aud'] === 'string' ? [claims['aud']] : strings(claims['aud']);
    if (claims['iss'] !== issuer) throw new Trouble(`the token is of ${JSON.stringify(claims['iss'])}, and the server sends people to ${issuer}`, 'Set OIDC_ISSUER to the iss of the tokens, to the letter');
    if (audiences.length === 0) throw new Trouble('the token has no aud', `Add an audience mapper for ${resource} at the issuer; keycloak/stoa-realm.json has one`);
    if (typeof claims['exp'] === 'number' && claims['exp'] * 1000 < Date.now()) throw new Trouble('the token has expired', 'Get a new one; if it is new, set the clock of the issuer');
  }
  const seen = await connect(journey, { authorization: `Bearer ${token}` });
  if (seen.status === 200) return 'is let in';
  const audience = claims?.['aud'];
  if (seen.status === 401 && audience !== undefined && audience !== resource && !strings(audience).includes(resource)) throw new Trouble(`the token is for ${JSON.stringify(audience)}, not for ${resource}`, `Add an audience mapper for ${resource} at the issuer, or ${JSON.stringify(audience)} to ALLOWED_AUDIENCES`);
  if (seen.status === 403 && /origin/i.test(seen.text) && client.origin !== undefined) throw new Trouble(`the server refuses callers from ${client.origin}`, `Add ${client.origin} to ALLOWED_ORIGINS`);
  throw new Trouble(`a token is answered ${seen.status}: ${said(seen)}`, 'The log of the gateway has the reason, with the request id of the answer');
}

function claimsOf(token: string): JsonObject | undefined {
  return json({ text: Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8') });
}

/** In the order in which the clients go. */
export const STEPS: readonly Step[] = [
  { name: 'challenge', run: challenge },
  { name: 'resource metadata', run: resourceMetadata },
  { name: 'issuer metadata', run: serverMetadata },
  { name: 'registration', run: registration },
  { name: 'authorization', run: authorization },
  { name: 'token endpoint', run: tokenEndpoint },
  { name: 'token', run: withToken },
];

/** Takes the client away again that `registration` made, where the issuer said how. */
export async function removeRegistration({ registration: made }: Journey): Promise<void> {
  if (made) await fetch(made.uri, { method: 'DELETE', headers: { authorization: `Bearer ${made.token}` }, signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
}
