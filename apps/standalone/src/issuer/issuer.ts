import { Provider, errors, interactionPolicy } from 'oidc-provider';
import type { Adapter, AdapterPayload, ClientMetadata, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import type { FastifyInstance } from 'fastify';
import { grantedScopes, STOA_ROLES, STOA_SCOPES } from '#libs/auth/scopes.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { issuerState, RegisteredClients } from './issuer-state.js';
import type { DemoUser } from './login-page.js';
import { mountIssuer } from './mount.js';

/** The client of the command line; its secret is in the data folder. */
export const CLI_CLIENT_ID = 'stoa-cli';
/** A public client for MCP clients that want a fixed id instead of registering. */
export const MCP_CLIENT_ID = 'stoa-mcp';
const DAY = 86_400;

export interface LocalIssuerOptions {
  /** The exact `iss`, with the path at which it is mounted: `http://127.0.0.1:8080/oidc`. */
  readonly issuerUrl: string;
  /** The only resource that it gives tokens for, and their `aud`: `http://127.0.0.1:8080/mcp`. */
  readonly resource: string;
  /** Folder for keys, secrets and registered clients; made if absent. */
  readonly storage: string;
  readonly tenantExists: (tenant: string) => Promise<boolean>;
  /** Whom the login page offers. */
  readonly users: () => Promise<readonly DemoUser[]>;
  /** Of access tokens. Default 3,600. */
  readonly tokenSeconds?: number;
}

export interface LocalIssuer {
  readonly issuerUrl: string;
  readonly clientId: string;
  /** Stays the same over restarts. */
  readonly clientSecret: string;
  /** Adds the issuer's routes below the path of `issuerUrl`; call before the instance is ready. */
  mount(app: FastifyInstance): void;
}

interface Identity { readonly tenant: string | undefined; readonly role: string; readonly name: string }

/**
 * An OpenID provider for one computer: client credentials for the command line, and authorization code with PKCE for
 * MCP clients on loopback redirect addresses, which may register themselves. Its login page asks for no password, so it
 * must only ever listen on loopback. Throws when the storage cannot be written or `issuerUrl` is not a loopback address.
 */
export async function createLocalIssuer(options: LocalIssuerOptions): Promise<LocalIssuer> {
  const { hostname } = new URL(options.issuerUrl);
  if (!isLoopback(hostname)) throw new Error(`the local issuer gives tokens without a password and may only be on loopback, not on ${hostname}: configure a real issuer instead`);
  const state = await issuerState(options.storage);
  const clients = await RegisteredClients.open(options.storage);
  const identify = (ctx: KoaContextWithOIDC, subject: string | undefined): Promise<Identity> =>
    subject === undefined ? requestedIdentity(ctx, options) : userIdentity(subject, options);
  const { tokenSeconds = 3600 } = options;

  const configuration: Configuration = {
    clients: [commandLine(state.clientSecret), MCP_CLIENT],
    jwks: { keys: state.keys.map((key) => ({ ...key })) },
    cookies: { keys: [state.cookieKey] },
    scopes: ['openid', 'offline_access', ...STOA_SCOPES],
    pkce: { required: () => true },
    responseTypes: ['code'],
    ttl: { AccessToken: tokenSeconds, ClientCredentials: tokenSeconds, AuthorizationCode: 60, IdToken: tokenSeconds, Interaction: 600, Grant: 30 * DAY, RefreshToken: 30 * DAY, Session: DAY },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: true, issueRegistrationAccessToken: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => options.resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resource !== options.resource) throw new errors.InvalidTarget(`unknown resource ${resource}: tokens are given for ${options.resource}`);
          return { scope: STOA_SCOPES.join(' '), audience: options.resource, accessTokenFormat: 'jwt', accessTokenTTL: tokenSeconds, jwt: { sign: { alg: 'RS256' } } };
        },
      },
      rpInitiatedLogout: { enabled: false },
    },
    findAccount: async (_ctx, id) => {
      const user = await userIdentity(id, options).catch(() => undefined);
      return user === undefined ? undefined : { accountId: id, claims: () => ({ sub: id, name: user.name }) };
    },
    extraTokenClaims: async (ctx, token) => {
      const { tenant, role } = await identify(ctx, 'accountId' in token ? token.accountId : undefined);
      return { azp: token.clientId, ...(tenant === undefined ? {} : { tenant_id: tenant }), realm_access: { roles: [role] } };
    },
    formats: {
      customizers: {
        // Scopes are what the role grants, narrowed to what was asked for: asking for more never gives more.
        jwt: (_ctx, _token, parts) => {
          const { payload } = parts;
          const granted = grantedScopes([], (payload['realm_access'] as { roles: string[] } | undefined)?.roles ?? []);
          const asked = typeof payload['scope'] === 'string' ? payload['scope'].split(' ') : undefined;
          payload['scope'] = STOA_SCOPES.filter((scope) => granted.has(scope) && (asked?.includes(scope) ?? true)).join(' ');
        },
      },
    },
    // The login page is shown each time and stands for consent: it names the client and where the code goes.
    interactions: { policy: askEachTime(), url: (_ctx, interaction) => `${new URL(options.issuerUrl).pathname}/interaction/${interaction.uid}` },
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session?.accountId ?? '', clientId: ctx.oidc.client?.clientId ?? '' });
      grant.addOIDCScope('openid offline_access');
      grant.addResourceScope(options.resource, STOA_SCOPES.join(' '));
      await grant.save();
      return grant;
    },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    clientBasedCORS: (_ctx, origin) => URL.canParse(origin) && isLoopback(new URL(origin).hostname),
    extraClientMetadata: { properties: ['stoa_loopback'], validator: (_ctx, _key, _value, metadata) => { confineToLoopback(metadata); } },
    adapter: adapterFactory(clients),
    // Nowhere to redirect to: said as plain text, never as markup.
    renderError: (ctx, { error, error_description: what }) => { ctx.type = 'text/plain'; ctx.body = `${error}: ${what ?? ''}\n`; },
  };
  const provider = new Provider(options.issuerUrl, configuration);
  return {
    issuerUrl: options.issuerUrl,
    clientId: CLI_CLIENT_ID,
    clientSecret: state.clientSecret,
    mount: (app) => { mountIssuer(app, provider, options); },
  };
}

function commandLine(secret: string): ClientMetadata {
  return { client_id: CLI_CLIENT_ID, client_secret: secret, client_name: 'stoa', grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_basic' };
}
const MCP_CLIENT: ClientMetadata = {
  client_id: MCP_CLIENT_ID, client_name: 'An MCP client', application_type: 'native', token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  // Any port (RFC 8252 §7.3).
  redirect_uris: ['127.0.0.1', 'localhost'].flatMap((host) => ['/', '/callback', '/oauth/callback'].map((path) => `http://${host}${path}`)),
};

/** Whom a client-credentials request asks to be: body parameters `role`, and `tenant` where the role acts inside one. */
async function requestedIdentity(ctx: KoaContextWithOIDC, options: LocalIssuerOptions): Promise<Identity> {
  const { role, tenant } = (ctx.oidc.body ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof role !== 'string' || !STOA_ROLES.includes(role)) {
    throw new errors.InvalidRequest(`parameter role must be one of ${STOA_ROLES.join(', ')}`);
  }
  if (tenant === undefined || tenant === '') return { tenant: undefined, role, name: CLI_CLIENT_ID };
  const slug = tenantSlug(tenant);
  if (slug === undefined || !(await options.tenantExists(slug))) throw new errors.InvalidRequest('parameter tenant names no tenant: create it first, or check the spelling');
  return { tenant: slug, role, name: CLI_CLIENT_ID };
}

async function userIdentity(id: string, options: LocalIssuerOptions): Promise<Identity> {
  const user = (await options.users()).find((candidate) => candidate.id === id);
  if (user === undefined) throw new errors.InvalidGrant('this user does not exist any more');
  return user;
}

function askEachTime(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base();
  // Clients may ask for consent (the MCP SDK does, with offline_access): the login page is that.
  policy.get('consent')?.checks.clear();
  policy.get('login')?.checks.add(new interactionPolicy.Check('ask_each_time', 'who are you?', (ctx) => ctx.oidc.result?.login === undefined));
  return policy;
}

/**
 * Addresses that the system hands to a program of this computer by their scheme (RFC 8252 §7.1), each to the letter. Another program may claim the
 * scheme; what it then gets it could have asked for itself, since this issuer knows no password, and PKCE keeps a code from it.
 */
const EDITORS: ReadonlySet<unknown> = new Set(['cursor://anysphere.cursor-mcp/oauth/callback']);

/** Of what a client registers, only loopback redirect addresses, and those of known editors, are kept (RFC 7591 §2 lets a server replace values). */
function confineToLoopback(metadata: ClientMetadata): void {
  const { redirect_uris: given } = metadata;
  if (!Array.isArray(given) || given.length === 0) return;
  const kept = given.filter((uri) => typeof uri === 'string' && (EDITORS.has(uri) || (URL.canParse(uri) && new URL(uri).protocol === 'http:' && isLoopback(new URL(uri).hostname))));
  if (kept.length === 0) throw new errors.CustomOIDCProviderError('invalid_redirect_uri', 'redirect_uris must hold an http address on loopback: this issuer serves clients on this computer only');
  metadata.redirect_uris = kept;
  metadata.application_type = 'native';
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname);
}

/** Registered clients on disk; codes, sessions and refresh tokens in memory: they end with the process. */
function adapterFactory(clients: RegisteredClients): (model: string) => Adapter {
  const memory = new Map<string, { readonly payload: AdapterPayload; readonly until: number }>();
  return (model) => {
    const key = (id: string): string => `${model}:${id}`;
    const find = (id: string): AdapterPayload | undefined => {
      const entry = memory.get(key(id));
      return entry === undefined || entry.until < Date.now() ? undefined : entry.payload;
    };
    const persistent = model === 'Client';
    const search = (matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined => {
      for (const [name, { payload, until }] of memory) if (name.startsWith(`${model}:`) && until >= Date.now() && matches(payload)) return payload;
      return undefined;
    };
    return {
      find: async (id) => (persistent ? clients.find(id) : find(id)),
      findByUid: async (uid) => search((payload) => payload.uid === uid),
      findByUserCode: async (userCode) => search((payload) => payload.userCode === userCode),
      upsert: async (id, payload, expiresIn) => {
        if (persistent) { await clients.put(id, payload); return; }
        for (const [name, { until }] of memory) if (until < Date.now()) memory.delete(name);
        for (const oldest of memory.keys()) if (memory.size >= MAX_REMEMBERED) memory.delete(oldest); else break;
        memory.set(key(id), { payload, until: expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000 });
      },
      consume: async (id) => { const payload = find(id); if (payload) payload.consumed = Math.floor(Date.now() / 1000); },
      destroy: async (id) => { if (persistent) await clients.remove(id); else memory.delete(key(id)); },
      revokeByGrantId: async (grantId) => { for (const [name, { payload }] of memory) if (payload.grantId === grantId) memory.delete(name); },
    };
  };
}
const MAX_REMEMBERED = 5000;
