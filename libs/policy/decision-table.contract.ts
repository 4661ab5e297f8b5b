import { grantedScopes } from '#libs/auth/scopes.js';
import type { ResolvedCall } from '#libs/core/call.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { readArgumentRules } from './argument-rules.js';
import { type OperatorPolicy, matcher } from './policy-data.js';
import { readRoleFile } from './role-file.js';

/** Policies that the table is decided by; the same data goes to both evaluators. */
const TABLE_POLICIES = {
  shipped: {},
  'destructive on': { destructive: 'allow' },
  'destructive with confirmation': { destructive: 'confirm' },
  'production of classes': { production: { classes: ['write'], exempt_roles: ['cpi-admin'] } },
  'own role': { roles: { auditor: ['stoa:read'] } },
  'argument rules': { rules: readArgumentRules('rules.yaml', `
policies:
  - name: amount-limit
    tool: "pay*"
    priority: 1
    rules:
      - { condition: { field: amount, operator: gt, value: 1000 }, action: deny, message: "amount over 1000" }
  - name: first-asked
    tool: pay_rent
    priority: 9
    rules:
      - { condition: { field: memo, operator: is_null }, action: deny, message: "memo is required" }
      - { condition: { field: payee.country, operator: not_in, value: [DE, FR] }, action: deny, message: "country" }
  - name: urgent
    tool: file_issue
    rules:
      - condition: { all: [ { field: priority, operator: in, value: [1, 2] }, { any: [ { field: cycle, operator: is_null }, { field: title, operator: regex, value: "^.{0,9}$" } ] } ] }
        action: deny
        message: urgent issues need a cycle and a title
      - { condition: { field: labels, operator: contains, value: secret }, action: warn, message: secret label }
  - name: bulk
    tool: bulk_create
    rules:
      - { condition: { field: items, operator: gte, value: 3 }, action: deny, message: too many }
  - name: never
    tool: forbidden_tool
    rules: [ { action: deny, message: never } ]
  - name: off
    tool: read_pet
    enabled: false
    rules: [ { action: deny, message: off } ]
`) },
  'role file': { access: readRoleFile('policy.yaml', `
default_action: deny
roles:
  analyst: { allowed_tools: [read_pet, "list_*"] }
  developer: { allowed_tools: ["*"] }
workspaces:
  acme: { denied_tools: [drop_pet_index] }
  globex: { allowed_tools: [list_pets] }
tools:
  pay_rent: { required_roles: [treasurer] }
  purge_cache: { risk_tier: high }
`) },
  tenants: { destructive: 'allow', tenants: {
    acme: { denied: matcher(['list_*']), destructive: 'deny', rules: readArgumentRules('acme.yaml', 'policies: [{ name: acme-cap, tool: pay, rules: [{ condition: { field: amount, operator: gt, value: 10 }, action: deny, message: acme cap }] }]') },
    initech: { access: readRoleFile('initech.yaml', 'roles: { viewer: { allowed_tools: [read_pet] } }') },
  } },
} as const satisfies Readonly<Record<string, OperatorPolicy>>;
export type TablePolicy = keyof typeof TABLE_POLICIES;
export const tablePolicies: Readonly<Record<TablePolicy, OperatorPolicy>> = TABLE_POLICIES;

type Tool = readonly [name: string, operationClass: Target['operationClass'], tenant: string | undefined, kind?: Target['kind']];
interface Who { readonly tenant?: string; readonly roles?: readonly string[]; readonly scopes?: readonly string[] }
export interface DecisionCase {
  readonly name: string;
  readonly policy: TablePolicy;
  readonly who: Who;
  readonly tool: Tool;
  readonly environment: string;
  readonly args: unknown;
  readonly action: 'invoke' | 'list';
  /** Rule id of an allowance, or of a denial with its code and what the caller reads. */
  readonly expected: { readonly allow: string; readonly obligations?: readonly string[] } | { readonly deny: string; readonly code: string; readonly message: string };
}

const acme = (...roles: string[]): Who => ({ tenant: 'acme', roles });
const globex = (...roles: string[]): Who => ({ tenant: 'globex', roles });
const scoped = (...scopes: string[]): Who => ({ tenant: 'acme', scopes });
const read: Tool = ['read_pet', 'read', 'acme'];
const write: Tool = ['add_pet', 'write', 'acme'];
const remove: Tool = ['delete_pet', 'destructive', 'acme'];
const pay: Tool = ['pay', 'write', 'acme'];
const rent: Tool = ['pay_rent', 'write', 'acme'];
const issue: Tool = ['file_issue', 'write', 'acme'];
const platform = (name: string): Tool => [name, 'read', undefined];

const allow = (rule: string, ...obligations: string[]): DecisionCase['expected'] => ({ allow: rule, obligations });
const forbidden = (rule: string, message: string): DecisionCase['expected'] => ({ deny: rule, code: 'FORBIDDEN', message });
const scope = (rule: string, message: string): DecisionCase['expected'] => ({ deny: rule, code: 'INSUFFICIENT_SCOPE', message });
const unseen = (name: string): DecisionCase['expected'] => ({ deny: 'tenant-isolation', code: 'NOT_FOUND', message: `Tool not found: ${name}` });
const noScope = scope('requires-scope', 'No valid scope for tool access');

type Row = readonly [name: string, who: Who, tool: Tool, expected: DecisionCase['expected'], more?: Partial<Pick<DecisionCase, 'args' | 'environment' | 'action'>>];
const rows: Readonly<Record<TablePolicy, readonly Row[]>> = {
  shipped: [
    ['a viewer reads', acme('viewer'), read, allow('scope-read')],
    ['a viewer writes nothing', acme('viewer'), write, scope('requires-write', 'Tool add_pet requires write scope')],
    ['a viewer deletes nothing', acme('viewer'), remove, scope('requires-write', 'Tool delete_pet requires write scope')],
    ['devops writes', acme('devops'), write, allow('scope-write')],
    ['a tenant-admin writes', acme('tenant-admin'), write, allow('scope-write')],
    ['a tenant-admin deletes nothing while destructive tools are off', acme('tenant-admin'), remove, forbidden('destructive-off', 'Tool delete_pet is destructive and not enabled')],
    ['break-glass deletes and is marked', { tenant: 'acme', roles: ['tenant-admin'], scopes: ['stoa:break-glass'] }, remove, allow('scope-write', 'audit')],
    ['break-glass alone is no grant', scoped('stoa:break-glass'), remove, scope('requires-write', 'Tool delete_pet requires write scope')],
    ['a platform administrator deletes', acme('cpi-admin'), remove, allow('admin-scope')],
    ['a platform administrator crosses tenants', globex('cpi-admin'), write, allow('admin-scope')],
    ['another tenant reads nothing', globex('viewer'), read, unseen('read_pet')],
    ['another tenant\'s administrator reads nothing', globex('tenant-admin'), read, unseen('read_pet')],
    ['a principal of no tenant reads no tenant', { roles: ['devops'] }, read, unseen('read_pet')],
    ['the auditing persona crosses no tenant to call', globex('stoa.security'), read, unseen('read_pet')],
    ['no role, no scope', acme(), read, noScope],
    ['an unknown role is no role', acme('owner'), read, noScope],
    ['a name of Object is no role', acme('constructor', '__proto__'), read, noScope],
    ['scopes in the token suffice', scoped('stoa:read'), read, allow('scope-read')],
    ['the legacy write scope writes', scoped('stoa:write'), write, allow('scope-write')],
    ['execute writes', scoped('stoa:tools:execute'), write, allow('scope-write')],
    ['reading the catalogue does not execute', scoped('stoa:tools:read'), read, noScope],
    ['reading the catalogue lists', scoped('stoa:tools:read'), write, allow('scope-catalogue'), { action: 'list' }],
    ['a viewer\'s list has no tool that it may not call', acme('viewer'), write, scope('requires-write', 'Tool add_pet requires write scope'), { action: 'list' }],
    ['a scope of another product is none', scoped('openid', 'stoa:readx', 'STOA:READ'), read, noScope],
    ['the consumer persona executes', acme('stoa.consumer'), write, allow('scope-write')],
    ['the agent persona executes', acme('stoa.agent'), read, allow('scope-read')],
    ['the product owner does not execute', acme('stoa.product_owner'), read, noScope],
    ['the admin persona is an administrator', globex('stoa.admin'), read, allow('admin-scope')],
    ['a viewer reads a platform tool', acme('viewer'), platform('stoa_platform_info'), allow('scope-read')],
    ['a principal of no tenant reads a platform tool', { roles: ['viewer'] }, platform('stoa_list_tools'), allow('scope-read')],
    ['a viewer does not create an API', acme('viewer'), platform('stoa_create_api'), scope('requires-write', 'Tool stoa_create_api requires write scope')],
    ['devops updates an API', acme('devops'), platform('stoa_update_api'), allow('scope-write')],
    ['a tenant-admin deletes no API', acme('tenant-admin'), platform('stoa_delete_api'), scope('requires-admin', 'Tool stoa_delete_api requires admin scope')],
    ['a platform administrator deletes an API after confirming', acme('cpi-admin'), platform('stoa_delete_api'), allow('admin-scope', 'confirm')],
    ['an admin scope without the role does not delete in production', scoped('stoa:admin'), platform('stoa_delete_tool'), forbidden('production-restriction', 'Tool stoa_delete_tool is restricted in production'), { environment: 'prod' }],
    ['a platform administrator deletes in production', acme('cpi-admin'), platform('stoa_delete_tool'), allow('admin-scope', 'confirm'), { environment: 'prod' }],
    ['a platform tool\'s name in a tenant is no way round its scope', acme('viewer'), ['stoa_delete_api', 'read', 'acme'], scope('requires-admin', 'Tool stoa_delete_api requires admin scope')],
    ['an unknown platform tool needs reading', acme(), platform('stoa_new'), noScope],
    ['a viewer reads a resource', acme('viewer'), ['stoa://apis/pets/document', 'read', 'acme', 'resource'], allow('scope-read')],
    ['another tenant\'s resource is unknown', globex('viewer'), ['stoa://x', 'read', 'acme', 'resource'], { deny: 'tenant-isolation', code: 'NOT_FOUND', message: 'Resource not found: stoa://x' }],
    ['an agent gets a prompt', acme('stoa.agent'), ['greet', 'read', 'acme', 'prompt'], allow('scope-read')],
  ],
  'destructive on': [
    ['a tenant-admin deletes', acme('tenant-admin'), remove, allow('scope-write')],
    ['a viewer still does not', acme('viewer'), remove, scope('requires-write', 'Tool delete_pet requires write scope')],
  ],
  'destructive with confirmation': [
    ['deleting asks first', acme('tenant-admin'), remove, allow('scope-write', 'confirm')],
    ['writing does not', acme('tenant-admin'), write, allow('scope-write')],
  ],
  'production of classes': [
    ['nobody writes in production', acme('devops'), write, forbidden('production-restriction', 'Tool add_pet is restricted in production'), { environment: 'prod' }],
    ['but elsewhere', acme('devops'), write, allow('scope-write'), { environment: 'staging' }],
    ['and reading goes on', acme('devops'), read, allow('scope-read'), { environment: 'prod' }],
  ],
  'own role': [
    ['a role of the data reads', acme('auditor'), read, allow('scope-read')],
    ['and writes nothing', acme('auditor'), write, scope('requires-write', 'Tool add_pet requires write scope')],
  ],
  'argument rules': [
    ['1000 is not over 1000', acme('devops'), pay, allow('scope-write'), { args: { amount: 1000 } }],
    ['1000.01 is', acme('devops'), pay, forbidden('amount-limit', 'Policy violation: amount over 1000'), { args: { amount: 1000.01 } }],
    ['1e21 is', acme('devops'), pay, forbidden('amount-limit', 'Policy violation: amount over 1000'), { args: { amount: 1e21 } }],
    ['an amount as text does not slip past', acme('devops'), pay, forbidden('amount-limit', 'Policy violation: amount over 1000'), { args: { amount: '5' } }],
    ['a missing amount is none', acme('devops'), pay, allow('scope-write'), { args: {} }],
    ['an administrator is bound too', acme('cpi-admin'), pay, forbidden('amount-limit', 'Policy violation: amount over 1000'), { args: { amount: 2000 } }],
    ['scope is asked first', acme('viewer'), pay, scope('requires-write', 'Tool pay requires write scope'), { args: { amount: 2000 } }],
    ['the higher priority speaks', acme('devops'), rent, forbidden('first-asked/1', 'Policy violation: memo is required'), { args: { amount: 2000 } }],
    ['a nested field', acme('devops'), rent, forbidden('first-asked/2', 'Policy violation: country'), { args: { memo: 'm', payee: { country: 'US' } } }],
    ['a path through what is no object ends at nothing', acme('devops'), rent, forbidden('first-asked/2', 'Policy violation: country'), { args: { memo: 'm', payee: 'DE' } }],
    ['a pattern matches its tools', acme('devops'), rent, forbidden('amount-limit', 'Policy violation: amount over 1000'), { args: { memo: 'm', payee: { country: 'DE' }, amount: 1001 } }],
    ['all and any: no cycle', acme('devops'), issue, forbidden('urgent/1', 'Policy violation: urgent issues need a cycle and a title'), { args: { priority: 1, title: 'long enough title' } }],
    ['all and any: short title of non-ASCII', acme('devops'), issue, forbidden('urgent/1', 'Policy violation: urgent issues need a cycle and a title'), { args: { priority: 2, cycle: 4, title: 'größe 日本' } }],
    ['all and any: satisfied', acme('devops'), issue, allow('scope-write'), { args: { priority: 1, cycle: 4, title: 'long enough title' } }],
    ['a warning lets pass and is recorded', acme('devops'), issue, allow('scope-write', 'warn'), { args: { priority: 3, labels: ['a', 'secret'] } }],
    ['a list is compared by its length', acme('devops'), ['bulk_create', 'write', 'acme'], forbidden('bulk', 'Policy violation: too many'), { args: { items: [1, 2, 3] } }],
    ['a rule without condition', acme('devops'), ['forbidden_tool', 'read', 'acme'], forbidden('never', 'Policy violation: never')],
    ['a rule without condition holds for lists', acme('devops'), ['forbidden_tool', 'read', 'acme'], forbidden('never', 'Policy violation: never'), { action: 'list' }],
    ['a rule with one does not', acme('devops'), pay, allow('scope-write'), { action: 'list' }],
    ['a rule that is off', acme('viewer'), read, allow('scope-read')],
    ['arguments that are no object are not looked into', acme('devops'), pay, forbidden('malformed-input', 'No policy allows this call'), { args: [{ amount: 5000 }] }],
  ],
  'role file': [
    ['a role with its tool', acme('analyst'), read, allow('role-file')],
    ['a role with a pattern', acme('analyst'), ['list_pets', 'read', 'acme'], allow('role-file')],
    ['a role without the tool', acme('analyst'), write, forbidden('role-file', 'Tool add_pet is not allowed')],
    ['a role without entry has no tools', acme('devops'), read, forbidden('role-file', 'Tool read_pet is not allowed')],
    ['an asterisk has all', acme('developer'), write, allow('role-file')],
    ['a workspace denies', acme('developer'), ['drop_pet_index', 'write', 'acme'], forbidden('denied-tool', 'Tool drop_pet_index is not allowed')],
    ['only there', globex('cpi-admin'), ['drop_pet_index', 'write', 'globex'], allow('admin-scope')],
    ['a workspace\'s list replaces the roles\'', globex('developer'), ['read_pet', 'read', 'globex'], forbidden('role-file', 'Tool read_pet is not allowed')],
    ['and has its own', globex('analyst'), ['list_pets', 'read', 'globex'], allow('role-file')],
    ['a tool that needs a role', acme('developer'), rent, forbidden('required-role', 'Tool pay_rent requires another role')],
    ['a high risk is destructive', acme('developer'), ['purge_cache', 'read', 'acme'], forbidden('destructive-off', 'Tool purge_cache is destructive and not enabled')],
    ['isolation holds', globex('developer'), read, unseen('read_pet')],
    ['platform tools keep their scopes', acme('developer'), platform('stoa_list_tools'), noScope],
  ],
  tenants: [
    ['a tenant denies', acme('tenant-admin'), ['list_pets', 'read', 'acme'], forbidden('denied-tool', 'Tool list_pets is not allowed')],
    ['for itself alone', globex('viewer'), ['list_pets', 'read', 'globex'], allow('scope-read')],
    ['a tenant turns destructive tools off', acme('tenant-admin'), remove, forbidden('destructive-off', 'Tool delete_pet is destructive and not enabled')],
    ['a tenant\'s rule', acme('devops'), pay, forbidden('acme-cap', 'Policy violation: acme cap'), { args: { amount: 11 } }],
    ['not for others', globex('devops'), ['pay', 'write', 'globex'], allow('scope-write'), { args: { amount: 11 } }],
    ['a tenant\'s role file must allow as well', { tenant: 'initech', roles: ['viewer'] }, ['list_pets', 'read', 'initech'], forbidden('tenant-role-file', 'Tool list_pets is not allowed')],
    ['and does not grant', { tenant: 'initech', roles: [] }, ['read_pet', 'read', 'initech'], forbidden('tenant-role-file', 'Tool read_pet is not allowed')],
    ['both allow', { tenant: 'initech', roles: ['viewer'] }, ['read_pet', 'read', 'initech'], allow('scope-read')],
  ],
};

/** The table that every evaluator decides alike. */
export const decisionTable: readonly DecisionCase[] = Object.entries(rows).flatMap(([policy, list]) => list.map(([name, who, tool, expected, more]) =>
  ({ name: `${policy}: ${name}`, policy: policy as TablePolicy, who, tool, expected, environment: more?.environment ?? 'dev', args: more?.args ?? {}, action: more?.action ?? 'invoke' })));

export const principalOf = ({ tenant, roles = [], scopes = [] }: Who): Principal => ({
  tenant: tenant as TenantSlug | undefined, issuer: 'https://issuer.test', subject: 'ada', clientId: 'cli', roles: new Set(roles), scopes: grantedScopes(scopes, roles), expiresAt: 0,
});
export const targetOf = ([name, operationClass, tenant, kind = 'tool']: Tool): Target => ({
  kind, name, tenant: tenant as TenantSlug | undefined, apiId: undefined, description: '', operationClass, tags: [], category: undefined, version: '1', inputSchema: true, definitions: {},
  backend: { kind: 'builtin', handler: name }, timeoutMs: 1000, hash: '', listed: '{}',
});
export const callOf = (principal: Principal, target: Target, args: unknown): ResolvedCall => ({
  requestId: 'r', door: 'mcp', principal, kind: target.kind, name: target.name, arguments: args, consumer: 'unknown', traceparent: undefined, tracestate: undefined, startedAt: 0,
  exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false }, target, api: undefined,
});
