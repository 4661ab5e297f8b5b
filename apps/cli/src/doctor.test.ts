import { afterEach, describe, expect, it } from 'vitest';
import { CommandError } from './client.js';
import { CLIENTS, type ClientProfile } from './doctor-clients.js';
import { type Faults, resourceOf, serverOf, startScripted } from './doctor-faulty-server.contract.js';
import { diagnose, doctorCommand } from './doctor.js';

let running: Awaited<ReturnType<typeof startScripted>> | undefined;
afterEach(async () => { await running?.close(); running = undefined; });
const profile = (name: string): ClientProfile => { const found = CLIENTS[name]; if (!found) throw new Error(name); return found; };
const seeded = async (client: string, faults?: Faults, token?: string, path = '/mcp') => {
  running = await startScripted(faults);
  return diagnose(running.base + path, profile(client), { token });
};
const MCP = 'POST /mcp', RESOURCE = 'GET /.well-known/oauth-protected-resource/mcp', SERVER = 'GET /.well-known/oauth-authorization-server/realms/stoa';
const REGISTER = 'POST /realms/stoa/register', AUTH = 'GET /realms/stoa/auth', TOKEN = 'POST /realms/stoa/token';
const open = { 'access-control-allow-origin': '*' };
const resource = (more: (base: string) => object): Faults => (base) => ({ [RESOURCE]: { status: 200, headers: open, body: resourceOf(base, more(base)) } });
const server = (more: (base: string) => object): Faults => (base) => ({ [SERVER]: { status: 200, headers: open, body: serverOf(base, more(base)) } });
const challenge = (header: string): Faults => () => ({ [MCP]: { status: 401, headers: { 'www-authenticate': header } } });
const redirectedWith = (error: string): Faults => () => ({ [AUTH]: { status: 302, headers: { location: `http://127.0.0.1:33418/?error=${error}` } } });
const token = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`;

interface Seeded { readonly name: string; readonly faults: Faults; readonly step: string; readonly what: RegExp; readonly fix: RegExp; readonly client?: string; readonly path?: string; readonly token?: (base: string) => string }
const MISCONFIGURATIONS: readonly Seeded[] = [
  { name: 'a wrong path', faults: () => ({}), path: '/api', step: 'challenge', what: /no MCP endpoint/, fix: /ends in \/mcp/ },
  { name: 'authentication off', faults: () => ({ [MCP]: { status: 200, body: {} } }), step: 'challenge', what: /answers without a token/, fix: /AUTH_ENABLED/ },
  { name: 'a host name that is not allowed', faults: () => ({ [MCP]: { status: 403, body: { detail: 'Host not allowed' } } }), step: 'challenge', what: /Host not allowed/, fix: /ALLOWED_HOSTS/ },
  { name: 'an origin that is not allowed', client: 'inspector', faults: () => ({ [MCP]: { status: 403, body: { detail: 'Origin not allowed' } } }), step: 'challenge', what: /Origin not allowed/, fix: /http:\/\/localhost:6274 to ALLOWED_ORIGINS/ },
  { name: 'the issuer\'s keys out of reach', faults: () => ({ [MCP]: { status: 503, body: { detail: 'Authentication service unavailable' } } }), step: 'challenge', what: /503: Authentication service unavailable/, fix: /\/ready/ },
  { name: 'a redirect from http to https', faults: () => ({ [MCP]: { status: 308, headers: { location: 'https://gw.example/mcp' } } }), step: 'challenge', what: /redirects to https:\/\/gw.example/, fix: /final URL/ },
  { name: 'a proxy that drops WWW-Authenticate', faults: () => ({ [MCP]: { status: 401 } }), step: 'challenge', what: /without WWW-Authenticate/, fix: /proxy/ },
  { name: 'a proxy with a password of its own', faults: challenge('Basic realm="proxy"'), step: 'challenge', what: /not Bearer: Basic/, fix: /Bearer/ },
  { name: 'a relative resource_metadata', faults: challenge('Bearer resource_metadata="/.well-known/x"'), step: 'challenge', what: /no absolute URL/, fix: /RESOURCE_URL/ },
  { name: 'metadata named at an inner host', faults: challenge('Bearer resource_metadata="http://gateway.svc:8080/.well-known/oauth-protected-resource/mcp"'), step: 'challenge', what: /another origin/, fix: /RESOURCE_URL to http/ },
  { name: 'metadata that a proxy hides', faults: () => ({ [RESOURCE]: { status: 404 } }), step: 'resource metadata', what: /no protected-resource metadata/, fix: /Pass \/.well-known\/oauth-protected-resource/ },
  { name: 'metadata behind the login', faults: () => ({ [RESOURCE]: { status: 401 } }), step: 'resource metadata', what: /itself asks for a token/, fix: /without one/ },
  { name: 'a web site in the place of metadata', faults: () => ({ [RESOURCE]: { status: 200, headers: open, body: '<!doctype html>' } }), step: 'resource metadata', what: /does not answer JSON/, fix: /web site/ },
  { name: 'RESOURCE_URL of another host', faults: resource(() => ({ resource: 'https://gw.example/mcp' })), step: 'resource metadata', what: /metadata is of https:\/\/gw.example\/mcp/, fix: /RESOURCE_URL/ },
  { name: 'RESOURCE_URL without the path, for a client that compares to the letter', faults: resource((base) => ({ resource: base })), step: 'resource metadata', what: /VS Code asked for/, fix: /must be the same/ },
  { name: 'no issuer', faults: resource(() => ({ authorization_servers: [] })), step: 'resource metadata', what: /no authorization server/, fix: /OIDC_ISSUER/ },
  { name: 'an issuer on plain http', faults: resource(() => ({ authorization_servers: ['http://login.example/realms/stoa'] })), step: 'resource metadata', what: /not on https/, fix: /https/ },
  { name: 'a realm that does not exist', faults: resource((base) => ({ authorization_servers: [`${base}/realms/typo`] })), step: 'issuer metadata', what: /no metadata of .*typo/, fix: /realm must exist/ },
  { name: 'an issuer that is down', faults: resource(() => ({ authorization_servers: ['http://127.0.0.1:9/realms/stoa'] })), step: 'issuer metadata', what: /nothing answers/, fix: /reachable/ },
  { name: 'an issuer that fails', faults: () => ({ [SERVER]: { status: 502 } }), step: 'issuer metadata', what: /answers 502/, fix: /own log/ },
  { name: 'an issuer that believes to be another', faults: server(() => ({ issuer: 'http://keycloak:8080/realms/stoa' })), step: 'issuer metadata', what: /metadata of "http:\/\/keycloak:8080/, fix: /--hostname/ },
  { name: 'an issuer behind a TLS proxy that it does not know of', faults: server(() => ({ token_endpoint: 'http://login.example/token' })), step: 'issuer metadata', what: /token_endpoint is not on https/, fix: /proxy-headers/ },
  { name: 'an issuer without the code flow', faults: server(() => ({ response_types_supported: ['token'] })), step: 'issuer metadata', what: /response type code/, fix: /code flow/ },
  { name: 'an issuer that does not tell of PKCE', faults: server(() => ({ code_challenge_methods_supported: undefined })), step: 'issuer metadata', what: /does not say that it does PKCE/, fix: /S256/ },
  { name: 'an issuer with plain PKCE alone', faults: server(() => ({ code_challenge_methods_supported: ['plain'] })), step: 'issuer metadata', what: /only as plain/, fix: /S256/ },
  { name: 'no registration', client: 'cursor', faults: server(() => ({ registration_endpoint: undefined })), step: 'registration', what: /registers no clients/, fix: /cursor:\/\/anysphere.cursor-mcp/ },
  { name: 'client-id documents without public clients', client: 'claude', faults: server(() => ({ registration_endpoint: undefined, client_id_metadata_document_supported: true, token_endpoint_auth_methods_supported: ['client_secret_basic'] })), step: 'registration', what: /no public clients/, fix: /"none"/ },
  { name: 'Keycloak\'s default of no trusted host', faults: () => ({ [REGISTER]: { status: 403, body: { error: 'insufficient_scope', error_description: 'Policy \'Trusted Hosts\' rejected request to client-registration service. Details: Host not trusted.' } } }), step: 'registration', what: /Host not trusted/, fix: /Trusted Hosts/ },
  { name: 'registration that is closed to browsers', client: 'inspector', faults: () => ({ [REGISTER]: { status: 403, body: { error: 'invalid_token', error_description: 'Invalid origin' } } }), step: 'registration', what: /Invalid origin/, fix: /registrations from http:\/\/localhost:6274/ },
  { name: 'a redirect address that the issuer does not take', client: 'cursor', faults: () => ({ [REGISTER]: { status: 400, body: { error: 'invalid_redirect_uri', error_description: 'must be https' } } }), step: 'registration', what: /invalid_redirect_uri/, fix: /cursor:\/\// },
  { name: 'a scope that the realm does not have', faults: () => ({ [REGISTER]: { status: 403, body: { error: 'invalid_client_metadata', error_description: 'Not permitted to use specified clientScope' } } }), step: 'registration', what: /clientScope/, fix: /"stoa:read stoa:write" a client scope/ },
  { name: 'registration for those with a token alone', faults: () => ({ [REGISTER]: { status: 401, body: { error: 'invalid_token' } } }), step: 'registration', what: /401/, fix: /anonymous registration/ },
  { name: 'an issuer that registers other redirect addresses', faults: () => ({ [REGISTER]: { status: 201, body: { client_id: 'c', redirect_uris: ['https://vscode.dev/redirect'] } } }), step: 'registration', what: /without http:\/\/127.0.0.1:33418/, fix: /redirect address/ },
  { name: 'an answer without client_id', faults: () => ({ [REGISTER]: { status: 200, body: {} } }), step: 'registration', what: /without a client_id/, fix: /RFC 7591/ },
  { name: 'a scope that the client may not ask for', faults: redirectedWith('invalid_scope'), step: 'authorization', what: /invalid_scope/, fix: /stoa:read stoa:write/ },
  { name: 'a resource that the issuer does not know', faults: redirectedWith('invalid_target'), step: 'authorization', what: /invalid_target/, fix: /RFC 8707/ },
  { name: 'a client without the code flow', faults: redirectedWith('unauthorized_client'), step: 'authorization', what: /unauthorized_client/, fix: /code flow/ },
  { name: 'a redirect address that was not registered', faults: () => ({ [AUTH]: { status: 400, headers: { 'content-type': 'text/html' }, body: '<h1>Invalid parameter: redirect_uri</h1>' } }), step: 'authorization', what: /does not know the redirect address/, fix: /Add http/ },
  { name: 'a web site in the place of the token endpoint', faults: () => ({ [TOKEN]: { status: 404, body: '<html>' } }), step: 'token endpoint', what: /no OAuth error/, fix: /proxy/ },
  { name: 'an issuer that wants a secret from a public client', faults: () => ({ [TOKEN]: { status: 401, body: { error: 'invalid_client' } } }), step: 'token endpoint', what: /public client/, fix: /none/ },
  { name: 'metadata without CORS, asked by a browser', client: 'inspector', faults: (base) => ({ [RESOURCE]: { status: 200, body: resourceOf(base) } }), step: 'resource metadata', what: /Access-Control-Allow-Origin is missing/, fix: /Access-Control-Allow-Origin: \*/ },
  { name: 'an issuer without CORS, asked by a browser', client: 'inspector', faults: (base) => ({ [SERVER]: { status: 200, headers: { 'access-control-allow-origin': 'https://console.example' }, body: serverOf(base) } }), step: 'issuer metadata', what: /is https:\/\/console.example/, fix: /Access-Control-Allow-Origin: \*/ },
  { name: 'a token without audience', faults: () => ({}), token: (base) => token({ iss: `${base}/realms/stoa`, exp: 4e9 }), step: 'token', what: /no aud/, fix: /audience mapper/ },
  { name: 'a token for another audience', faults: () => ({}), token: (base) => token({ iss: `${base}/realms/stoa`, aud: 'account', exp: 4e9 }), step: 'token', what: /for "account"/, fix: /ALLOWED_AUDIENCES/ },
  { name: 'a token of another issuer', faults: () => ({}), token: () => token({ iss: 'http://keycloak:8080/realms/stoa', aud: 'x', exp: 4e9 }), step: 'token', what: /keycloak:8080/, fix: /OIDC_ISSUER/ },
  { name: 'an origin that is refused once the token is good', client: 'inspector', faults: () => ({ [MCP]: ({ headers }) => (headers.authorization === undefined ? { status: 401, headers: { 'www-authenticate': 'Bearer' } } : { status: 403, body: { error: { message: 'Origin not allowed.' } } }) }), token: (base) => token({ iss: `${base}/realms/stoa`, aud: `${base}/mcp`, exp: 4e9 }), step: 'token', what: /refuses callers from http:\/\/localhost:6274/, fix: /ALLOWED_ORIGINS/ },
  { name: 'a token that has expired', faults: () => ({}), token: (base) => token({ iss: `${base}/realms/stoa`, aud: 'x', exp: 1 }), step: 'token', what: /expired/, fix: /clock/ },
];

describe('stoa doctor', () => {
  it.each(MISCONFIGURATIONS)('finds $name', async ({ faults, step, what, fix, client = 'vscode', path, token: make }) => {
    running = await startScripted(faults);
    const { failed } = await diagnose(running.base + (path ?? '/mcp'), profile(client), { token: make?.(running.base) });
    expect(failed).toEqual({ step, what: expect.stringMatching(what), fix: expect.stringMatching(fix) });
    expect(`${failed?.what} ${failed?.fix}`).not.toContain('\n');
  });
  it('finds a server that is not there', async () => {
    expect((await diagnose('http://127.0.0.1:9/mcp', profile('vscode'))).failed).toMatchObject({ step: 'challenge', what: expect.stringContaining('nothing answers'), fix: expect.stringContaining('Start the server') });
  });
  it.each(Object.keys(CLIENTS))('finds nothing wrong where nothing is, as %s, and leaves no client behind', async (client) => {
    expect((await seeded(client, undefined, 'good')).failed).toBeUndefined();
    expect([...running?.registered ?? []]).toEqual([]);
  });
  it('looks at the well-known places where the challenge names none, at the path\'s first and then at the root', async () => {
    const { failed, steps } = await seeded('vscode', (base) => ({ [MCP]: { status: 401, headers: { 'www-authenticate': 'Bearer' } }, [RESOURCE]: { status: 404 }, 'GET /.well-known/oauth-protected-resource': { status: 200, body: resourceOf(base) } }));
    expect(failed).toBeUndefined();
    expect(steps[0]?.found).toContain('names no metadata');
  });
  it('names itself by its client-id document where the issuer takes that, and registers nothing', async () => {
    const { failed, steps } = await seeded('claude', (base) => ({ [SERVER]: { status: 200, body: serverOf(base, { client_id_metadata_document_supported: true, token_endpoint_auth_methods_supported: ['none'] }) }, [REGISTER]: () => { throw new Error('registered'); } }));
    expect(failed).toBeUndefined();
    expect(steps.find(({ step }) => step === 'registration')?.found).toContain('client-id metadata document https://claude.ai/');
  });
  it('takes an issuer that has OpenID discovery alone', async () => {
    expect((await seeded('cursor', (base) => ({ [SERVER]: { status: 404 }, 'GET /realms/stoa/.well-known/openid-configuration': { status: 200, body: serverOf(base) } }))).failed).toBeUndefined();
  });
  it('goes on, as a browser does, from a document that it may not read to the next place', async () => {
    expect((await seeded('inspector', (base) => ({ [SERVER]: { status: 200, body: serverOf(base) }, 'GET /realms/stoa/.well-known/openid-configuration': { status: 200, headers: open, body: serverOf(base) } }))).failed).toBeUndefined();
  });
  it('registers nothing where it is told not to', async () => {
    running = await startScripted(() => ({ [REGISTER]: () => { throw new Error('registered'); } }));
    expect((await diagnose(`${running.base}/mcp`, profile('cursor'), { registers: false })).failed).toBeUndefined();
  });
  it('prints what it found, the first fault, and its fix, and ends with 1', async () => {
    running = await startScripted(server(() => ({ code_challenge_methods_supported: ['plain'] })));
    const out: string[] = [], err: string[] = [];
    const code = await doctorCommand([`${running.base}/mcp`, '--client', 'claude'], { out: (line) => { out.push(line); }, err: (line) => { err.push(line); }, stdin: () => new Uint8Array(), env: {} });
    expect([code, out.length]).toEqual([1, 4]);
    expect(out.slice(2)).toEqual([expect.stringMatching(/^FAIL {2}issuer metadata: .*plain/), expect.stringMatching(/^fix: {2}Enable S256/)]);
    expect(err).toEqual([expect.stringMatching(/^note: Claude connects from the internet/)]);
  });
  it.each([[[], /name one URL/], [['http://127.0.0.1/mcp'], /--client is missing: it must be one of claude, vscode/], [['http://127.0.0.1/mcp', '--client', 'netscape'], /netscape must be one of/], [['ftp://x/', '--client', 'claude'], /not an http/]])('says what is wrong with %j', async (args, says) => {
    const failure = await doctorCommand(args, { out: () => undefined, err: () => undefined, stdin: () => new Uint8Array(), env: {} }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CommandError);
    expect((failure as CommandError).message).toMatch(says);
  });
});
