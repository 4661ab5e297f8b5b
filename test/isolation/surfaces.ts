import type { Asked } from './world.js';

/** Names of things: those that globex has, or their twins, of the same length, that nobody has. */
export interface Names {
  readonly tenant: string;
  readonly api: string;
  readonly tool: string;
  /** A tool that asks for confirmation. */
  readonly gone: string;
  readonly prompt: string;
  readonly uri: string;
  /** A URI that a resource template matches. */
  readonly page: string;
  readonly resourceId: string;
  readonly keyId: string;
  /** Of a policy. */
  readonly digest: string;
  /** Of a call that was decided. */
  readonly request: string;
  /** Of the second page of a list of tools. */
  readonly cursor: string;
  /** Of a legacy session. */
  readonly session: string;
  /** Of a call that waits for its confirmation. */
  readonly state: string;
  readonly capability: string;
  readonly jti: string;
}

/** Who asks: where its own tenant is part of a path, and its own legacy session. */
export interface Asker { readonly tenant: string; readonly session: string | undefined }
/** The month that globex has used something in. */
const MONTH = new Date().toISOString().slice(0, 7);
type Ask = (names: Names, asker: Asker) => readonly Asked[];

/** Why a route holds nothing of a tenant: it answers all alike, and is only looked through for what is globex's. */
interface Common { readonly common: string }
export type Surface = { readonly ask: Ask; /** Whether globex itself is answered differently for what it has: the proof that there is something to keep. */ readonly owned: boolean } | Common;

const reads = (ask: Ask): Surface => ({ ask, owned: true });
/** Globex itself may change things there: it is not asked. */
const changes = (ask: Ask): Surface => ({ ask, owned: false });
const common = (why: string): Surface => ({ common: why });
const get = (path: string): Asked => ({ method: 'GET', path });

/** Both positions of another tenant's name in the admin API: as the tenant, and as a thing of one's own tenant. */
const admin = (method: string, path: (names: Names) => string, body?: (names: Names) => unknown, own = true): Ask => (names, asker) =>
  (own ? [names.tenant, asker.tenant] : [names.tenant]).map((tenant) => ({ method, path: `/admin/v1/tenants/${tenant}${path(names)}`, ...(body ? { body: body(names) } : {}) }));

const session = (method: string, path: string): Surface => changes((names) => [{ method, path, headers: { 'mcp-session-id': names.session, accept: 'text/event-stream, application/json' } }]);
/** The MCP methods have a table of their own: here it is the session that another tenant has. */
const inSession = (path: string): Surface => changes((names) => ['tools/list', 'tools/call', 'resources/subscribe', 'notifications/cancelled'].map((method) => ({
  method: 'POST', path, headers: { 'mcp-session-id': names.session, accept: 'text/event-stream, application/json' },
  body: { jsonrpc: '2.0', ...(method.startsWith('notifications/') ? {} : { id: 1 }), method, params: { name: names.tool, arguments: {}, uri: names.uri, requestId: 1 } },
})));

const openApi = (name: string): object => ({ openapi: '3.1.0', info: { title: name, version: '1' }, paths: {} });

/** Every route of the product. One that is not here makes the test red, and so does one here that the product has no longer. */
export const ROUTES: Readonly<Record<string, Surface>> = {
  'GET /admin/v1/tenants': reads(({ tenant }) => [get(`/admin/v1/tenants?tenant_id=${tenant}`)]),
  'POST /admin/v1/tenants': changes(({ tenant }) => [{ method: 'POST', path: '/admin/v1/tenants', body: { slug: tenant } }]),
  'GET /admin/v1/tenants/:tenant': reads(admin('GET', () => '', undefined, false)),
  'PATCH /admin/v1/tenants/:tenant': changes(admin('PATCH', () => '', () => ({ description: 'changed' }), false)),
  'DELETE /admin/v1/tenants/:tenant': changes(admin('DELETE', () => '', undefined, false)),
  'GET /admin/v1/tenants/:tenant/apis': reads(admin('GET', ({ api }) => `/apis?name=${api}`)),
  'POST /admin/v1/tenants/:tenant/apis': changes(admin('POST', () => '/apis', ({ api }) => ({ name: api, source: { inline: openApi(api) } }), false)),
  'GET /admin/v1/tenants/:tenant/apis/:api': reads(admin('GET', ({ api }) => `/apis/${api}`)),
  'DELETE /admin/v1/tenants/:tenant/apis/:api': changes(admin('DELETE', ({ api }) => `/apis/${api}`)),
  'POST /admin/v1/tenants/:tenant/apis/:api/refresh': changes(admin('POST', ({ api }) => `/apis/${api}/refresh`)),
  'GET /admin/v1/tenants/:tenant/apis/:api/document': reads(admin('GET', ({ api }) => `/apis/${api}/document`)),
  'GET /admin/v1/tenants/:tenant/apis/:api/ledger': reads(admin('GET', ({ api }) => `/apis/${api}/ledger`)),
  'PUT /admin/v1/tenants/:tenant/apis/:api/credentials/:slot': changes(admin('PUT', ({ api }) => `/apis/${api}/credentials/key`, () => ({ from: 'environment', name: 'x' }))),
  'DELETE /admin/v1/tenants/:tenant/apis/:api/credentials/:slot': changes(admin('DELETE', ({ api }) => `/apis/${api}/credentials/key`)),
  'GET /admin/v1/tenants/:tenant/tools': reads(admin('GET', () => '/tools')),
  'GET /admin/v1/tenants/:tenant/tools/:tool': reads(admin('GET', ({ tool }) => `/tools/${tool}`)),
  'PATCH /admin/v1/tenants/:tenant/tools/:tool': changes(admin('PATCH', ({ tool }) => `/tools/${tool}`, () => ({ enabled: false }))),
  'GET /admin/v1/tenants/:tenant/keys': reads(admin('GET', () => '/keys')),
  'POST /admin/v1/tenants/:tenant/keys': changes(admin('POST', () => '/keys', () => ({ name: 'k' }), false)),
  'GET /admin/v1/tenants/:tenant/keys/:key': reads(admin('GET', ({ keyId }) => `/keys/${keyId}`)),
  'POST /admin/v1/tenants/:tenant/keys/:key/rotate': changes(admin('POST', ({ keyId }) => `/keys/${keyId}/rotate`, () => ({}))),
  'DELETE /admin/v1/tenants/:tenant/keys/:key': changes(admin('DELETE', ({ keyId }) => `/keys/${keyId}`)),
  'GET /admin/v1/tenants/:tenant/prompts': reads(admin('GET', () => '/prompts')),
  'POST /admin/v1/tenants/:tenant/prompts': changes(admin('POST', () => '/prompts', ({ prompt }) => ({ name: prompt, messages: [{ role: 'user', text: 'x' }] }), false)),
  'GET /admin/v1/tenants/:tenant/prompts/:prompt': reads(admin('GET', ({ prompt }) => `/prompts/${prompt}`)),
  'PUT /admin/v1/tenants/:tenant/prompts/:prompt': changes(admin('PUT', ({ prompt }) => `/prompts/${prompt}`, () => ({ messages: [{ role: 'user', text: 'x' }] }), false)),
  'DELETE /admin/v1/tenants/:tenant/prompts/:prompt': changes(admin('DELETE', ({ prompt }) => `/prompts/${prompt}`)),
  'GET /admin/v1/tenants/:tenant/resources': reads(admin('GET', () => '/resources')),
  'POST /admin/v1/tenants/:tenant/resources': changes(admin('POST', () => '/resources', ({ uri }) => ({ uri, name: 'x', content: { text: 'x' } }), false)),
  'GET /admin/v1/tenants/:tenant/resources/:resource': reads(admin('GET', ({ resourceId }) => `/resources/${resourceId}`)),
  'PUT /admin/v1/tenants/:tenant/resources/:resource': changes(admin('PUT', ({ resourceId }) => `/resources/${resourceId}`, ({ uri }) => ({ uri, name: 'x', content: { text: 'x' } }), false)),
  'DELETE /admin/v1/tenants/:tenant/resources/:resource': changes(admin('DELETE', ({ resourceId }) => `/resources/${resourceId}`)),

  'GET /admin/v1/tenants/:tenant/policies': reads(admin('GET', () => '/policies')),
  'GET /admin/v1/tenants/:tenant/policies/:digest': reads(admin('GET', ({ digest }) => `/policies/${digest}`)),
  'PUT /admin/v1/tenants/:tenant/policies': changes(admin('PUT', () => '/policies', () => ({ files: {} }), false)),
  'DELETE /admin/v1/tenants/:tenant/policies': changes(admin('DELETE', () => '/policies', undefined, false)),
  'POST /admin/v1/tenants/:tenant/policies/check': reads(admin('POST', () => '/policies/check', ({ tool }) => ({ tool, role: 'viewer' }))),
  'POST /admin/v1/tenants/:tenant/policies/lint': changes(admin('POST', () => '/policies/lint', () => ({ files: {} }))),
  'GET /admin/v1/tenants/:tenant/decisions/:id': reads(admin('GET', ({ request }) => `/decisions/${request}`)),
  // What a tenant used and owes: asked for by the query or the body; one's own where none is named.
  ...Object.fromEntries(['usage', 'usage/export', 'ledger', 'ledger/reconciliation', 'bills'].map((path) => [`GET /admin/v1/${path}`, reads(({ tenant }) =>
    [`tenant=${tenant}${path === 'bills' ? `&month=${MONTH}` : ''}`, `tenant_id=${tenant}`].map((query) => get(`/admin/v1/${path}?${query}`)))])),
  ...Object.fromEntries(['bills/simulate', 'bills/close', 'ledger/correct'].map((path) => [`POST /admin/v1/${path}`, changes(({ tenant }) => [{ method: 'POST', path: `/admin/v1/${path}`, body: { tenant } }, { method: 'POST', path: `/admin/v1/${path}?tenant=${tenant}`, body: { tenant, month: '2026-01' } }])])),
  'GET /admin/v1/price-books': reads(({ tenant }) => [get(`/admin/v1/price-books?tenant=${tenant}`)]),
  'POST /admin/v1/price-books': changes(({ tenant }) => [{ method: 'POST', path: '/admin/v1/price-books', body: { tenant } }]),
  ...Object.fromEntries(['plans', 'subscriptions', 'budgets'].map((path) => [`GET /admin/v1/tenants/:tenant/${path}`, reads(admin('GET', () => `/${path}`))])),
  'POST /admin/v1/tenants/:tenant/plans': changes(admin('POST', () => '/plans', () => ({ name: 'p' }), false)),
  'POST /admin/v1/tenants/:tenant/subscriptions': changes(admin('POST', () => '/subscriptions', () => ({ plan: 'p' }), false)),
  'DELETE /admin/v1/tenants/:tenant/subscriptions/:subscription': changes(admin('DELETE', ({ keyId }) => `/subscriptions/${keyId}`)),
  'PUT /admin/v1/tenants/:tenant/budgets': changes(admin('PUT', () => '/budgets', () => ({}), false)),
  // One's own trail grows with each question that is asked here: only the other tenant's is compared.
  'GET /admin/v1/tenants/:tenant/audit': reads(admin('GET', ({ tool }) => `/audit?tool=${tool}`, undefined, false)),
  'GET /admin/v1/tenants/:tenant/audit/export': reads(admin('GET', () => '/audit/export', undefined, false)),
  'GET /admin/v1/tenants/:tenant/audit/entries/:seq': reads(admin('GET', () => '/audit/entries/1', undefined, false)),
  'GET /admin/v1/tenants/:tenant/audit/checkpoints': reads(admin('GET', () => '/audit/checkpoints', undefined, false)),
  'POST /admin/v1/tenants/:tenant/audit/erasures': changes(admin('POST', () => '/audit/erasures', () => ({ subject: 'nobody at all' }), false)),
  'GET /admin/v1/tenants/:tenant/errors': reads(admin('GET', () => '/errors', undefined, false)),
  'GET /admin/v1/tenants/:tenant/errors/:id': reads(admin('GET', ({ request }) => `/errors/${request}`, undefined, false)),
  'GET /admin/audit-logs': reads(({ tenant }) => [get(`/admin/audit-logs?tenant=${tenant}`)]),
  ...Object.fromEntries(['audit', 'audit/export', 'audit/checkpoints'].map((path) => [`GET /admin/v1/${path}`, changes(({ tenant }) => [get(`/admin/v1/${path}?tenant=${tenant}`)])])),
  'GET /admin/v1/audit/keys': common('public keys, by which anybody checks a trail'),
  'POST /admin/v1/audit/erasures': changes(() => [{ method: 'POST', path: '/admin/v1/audit/erasures', body: { subject: 'nobody at all' } }]),
  'GET /admin/v1/policies': changes(() => [get('/admin/v1/policies')]),
  'GET /admin/v1/policies/:digest': changes(({ digest }) => [get(`/admin/v1/policies/${digest}`)]),
  'PUT /admin/v1/policies': changes(() => [{ method: 'PUT', path: '/admin/v1/policies', body: { files: {} } }]),
  'DELETE /admin/v1/policies': changes(() => [{ method: 'DELETE', path: '/admin/v1/policies' }]),
  'POST /admin/v1/policies/lint': changes(() => [{ method: 'POST', path: '/admin/v1/policies/lint', body: { files: {} } }]),

  'GET /mcp/v1/tools': reads(({ tenant, tool }) => [get(`/mcp/v1/tools?tenant_id=${tenant}`), get(`/mcp/v1/tools?search=${tool}`)]),
  'GET /mcp/v1/tools/categories': reads(({ tenant }) => [get(`/mcp/v1/tools/categories?tenant_id=${tenant}`)]),
  'GET /mcp/v1/tools/tags': reads(({ tenant }) => [get(`/mcp/v1/tools/tags?tenant_id=${tenant}`)]),
  'GET /mcp/v1/tools/:name': reads(({ tool, tenant }) => [get(`/mcp/v1/tools/${tool}`), get(`/mcp/v1/tools/${tool}?tenant_id=${tenant}`)]),
  'POST /mcp/v1/tools/:name/invoke': reads(({ tool, tenant }) => [
    { method: 'POST', path: `/mcp/v1/tools/${tool}/invoke`, body: { arguments: {} } },
    { method: 'POST', path: `/mcp/v1/tools/${tool}/invoke?tenant_id=${tenant}`, body: { name: tool, arguments: {}, tenant_id: tenant, tenant } },
    // The platform's own tools, asked about another tenant's things.
    { method: 'POST', path: '/mcp/v1/tools/stoa_catalog/invoke', body: { arguments: { action: 'get', api_id: tool, tenant_id: tenant } } },
    { method: 'POST', path: '/mcp/v1/tools/stoa_api_spec/invoke', body: { arguments: { action: 'openapi', api_id: tool } } },
    { method: 'POST', path: '/mcp/v1/tools/stoa_tools/invoke', body: { arguments: { action: 'schema', tool_name: tool } } },
    { method: 'POST', path: '/mcp/v1/tools/stoa_tenants/invoke', body: { arguments: { tenant_id: tenant } } },
  ]),
  'POST /mcp/v1/policies/check': reads(({ tool, tenant }) => [{ tool, arguments: {} }, { tool_name: tool, tenant_id: tenant }, { tool, tenant }].map((body) => ({ method: 'POST', path: '/mcp/v1/policies/check', body }))),
  'GET /mcp/v1/policies/rules': reads(({ tenant }) => [get(`/mcp/v1/policies/rules?tenant_id=${tenant}`)]),
  'GET /mcp/v1/resources': reads(({ tenant }) => [get(`/mcp/v1/resources?tenant_id=${tenant}`)]),
  'GET /mcp/v1/resources/*': reads(({ uri, page }) => [get(`/mcp/v1/resources/${encodeURIComponent(uri)}`), get(`/mcp/v1/resources/${encodeURIComponent(page)}`)]),
  'GET /mcp/v1/prompts': reads(({ tenant }) => [get(`/mcp/v1/prompts?tenant_id=${tenant}`)]),
  'GET /mcp/v1/prompts/:name': reads(({ prompt }) => [get(`/mcp/v1/prompts/${prompt}`)]),

  'POST /v1/token/exchange': changes(({ tool }) => [{ method: 'POST', path: '/v1/token/exchange', body: { tools: [tool] } }]),
  'POST /v1/token/introspect': reads(({ capability }) => [{ method: 'POST', path: '/v1/token/introspect', body: { token: capability } }]),
  'POST /v1/token/revoke': changes(({ capability, jti, tenant }) => [{ token: capability }, { jti }, { jti, tenant }].map((body) => ({ method: 'POST', path: '/v1/token/revoke', body }))),

  ...Object.fromEntries(['/mcp', '/mcp/', '/mcp/sse', '/mcp/message'].flatMap((path) => [[`POST ${path}`, inSession(path)], [`GET ${path}`, session('GET', path)], [`DELETE ${path}`, session('DELETE', path)]])),

  'GET /admin/status': common('how the process is, for platform administrators'),
  ...Object.fromEntries(['/', '/info', '/mcp/v1', '/mcp/v1/', '/health', '/healthz', '/api/health', '/live', '/health/live', '/health/startup', '/status', '/api/status', '/ready', '/health/ready'].map((path) => [`GET ${path}`, common('how the process is')])),
  'GET /metrics': common('for the operator; docs/configuration.md says which names its labels hold, and how to close it'),
  ...Object.fromEntries(['/admin/v1/openapi.json', '/admin/v1/docs', '/admin/v1/docs/:file'].map((path) => [`GET ${path}`, common('the description of the API')])),
  ...Object.fromEntries(['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration', '/.well-known/oauth-authorization-server/oidc', '/.well-known/openid-configuration/oidc'].map((path) => [`GET ${path}`, common('discovery')])),
  ...Object.fromEntries(['GET /oidc/*', 'POST /oidc/*', 'OPTIONS /oidc/*', 'GET /oidc/interaction/:uid', 'POST /oidc/interaction/:uid'].map((route) => [route, common('the issuer of one computer, which asks for no password')])),
};

type Params = (names: Names) => readonly Readonly<Record<string, unknown>>[];
type Method = { readonly params: Params; readonly owned: boolean };
const method = (params: Params, owned = true): Method => ({ params, owned });
const SHARED: Readonly<Record<string, Method>> = {
  'tools/call': method(({ tool, gone, state, tenant }) => [{ name: tool, arguments: {} }, { name: tool, arguments: {}, tenant, tenant_id: tenant }, { name: gone, arguments: {}, requestState: state }]),
  'tools/list': method(({ cursor }) => [{ cursor }]),
  // There is one page of each at globex: its cursors would be its tools', which no other list takes.
  'prompts/list': method(({ cursor }) => [{ cursor }], false), 'resources/list': method(({ cursor }) => [{ cursor }], false), 'resources/templates/list': method(({ cursor }) => [{ cursor }], false),
  'prompts/get': method(({ prompt }) => [{ name: prompt, arguments: {} }]),
  'resources/read': method(({ uri, page }) => [{ uri }, { uri: page }]),
  'completion/complete': method(({ prompt, uri }) => [{ ref: { type: 'ref/prompt', name: prompt }, argument: { name: 'colour', value: '' } }, { ref: { type: 'ref/resource', uri }, argument: { name: 'page', value: '' } }]),
};
export const MODERN: Readonly<Record<string, Method>> = {
  ...SHARED, 'server/discover': method(() => [{}], false),
  'subscriptions/listen': method(({ uri, page }) => [{ notifications: { toolsListChanged: true, resourceSubscriptions: [uri, page] } }]),
};
export const LEGACY: Readonly<Record<string, Method>> = {
  ...SHARED, ping: method(() => [{}], false), 'logging/setLevel': method(() => [{ level: 'info' }], false),
  'resources/subscribe': method(({ uri, page }) => [{ uri }, { uri: page }]), 'resources/unsubscribe': method(({ uri }) => [{ uri }], false),
};

const ACCEPT = 'application/json, text/event-stream';
const CAPABILITIES = { elicitation: {} };
export const modern = (name: string, params: Readonly<Record<string, unknown>>): Asked => {
  const named = name === 'resources/read' ? params['uri'] : name === 'tools/call' || name === 'prompts/get' ? params['name'] : undefined;
  return {
    method: 'POST', path: '/mcp',
    headers: { accept: ACCEPT, 'mcp-protocol-version': '2026-07-28', 'mcp-method': name, ...(typeof named === 'string' ? { 'mcp-name': named } : {}) },
    body: { jsonrpc: '2.0', id: 1, method: name, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': CAPABILITIES } } },
  };
};
export const legacy = (name: string, params: Readonly<Record<string, unknown>>, id: string | undefined): Asked =>
  ({ method: 'POST', path: '/mcp', headers: { accept: ACCEPT, ...(id === undefined ? {} : { 'mcp-session-id': id }) }, body: { jsonrpc: '2.0', id: 1, method: name, params } });
export const initialize: Asked = legacy('initialize', { protocolVersion: '2025-11-25', capabilities: CAPABILITIES, clientInfo: { name: 't', version: '1' } }, undefined);
