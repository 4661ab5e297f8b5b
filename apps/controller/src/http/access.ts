import type { AdministrationPolicy, AdminVerdict, Eventually } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';

export type Role = 'cpi-admin' | 'tenant-admin' | 'devops' | 'viewer';

const PLATFORM: readonly Role[] = ['cpi-admin'];
const ADMINS: readonly Role[] = ['cpi-admin', 'tenant-admin'];
const IMPORTERS: readonly Role[] = ['cpi-admin', 'tenant-admin', 'devops'];
const READERS: readonly Role[] = ['cpi-admin', 'tenant-admin', 'devops', 'viewer'];

/** Served without a token, as `METHOD /route` for the door's list: the API's own description holds nothing of any tenant. */
export const ADMIN_PUBLIC_ROUTES: readonly string[] = ['GET /admin/v1/openapi.json', 'GET /admin/v1/docs', 'GET /admin/v1/docs/:file'];

/**
 * Who may do what: the whole authorization of the admin API, as data of the policy (`data.governance.admin`). All roles but `cpi-admin` are confined to their own tenant.
 * A route without an entry is refused to everyone.
 */
export const ACCESS: Readonly<Record<string, readonly Role[]>> = {
  'GET /admin/v1/tenants': READERS,
  'POST /admin/v1/tenants': PLATFORM,
  'GET /admin/v1/tenants/:tenant': READERS,
  'PATCH /admin/v1/tenants/:tenant': ADMINS,
  'DELETE /admin/v1/tenants/:tenant': PLATFORM,

  'GET /admin/v1/tenants/:tenant/apis': READERS,
  'POST /admin/v1/tenants/:tenant/apis': IMPORTERS,
  'GET /admin/v1/tenants/:tenant/apis/:api': READERS,
  'DELETE /admin/v1/tenants/:tenant/apis/:api': ADMINS,
  'POST /admin/v1/tenants/:tenant/apis/:api/refresh': IMPORTERS,
  'GET /admin/v1/tenants/:tenant/apis/:api/document': READERS,
  'GET /admin/v1/tenants/:tenant/apis/:api/ledger': READERS,
  'PUT /admin/v1/tenants/:tenant/apis/:api/credentials/:slot': ADMINS,
  'DELETE /admin/v1/tenants/:tenant/apis/:api/credentials/:slot': ADMINS,

  'GET /admin/v1/tenants/:tenant/keys': ADMINS,
  'POST /admin/v1/tenants/:tenant/keys': ADMINS,
  'GET /admin/v1/tenants/:tenant/keys/:key': ADMINS,
  'POST /admin/v1/tenants/:tenant/keys/:key/rotate': ADMINS,
  'DELETE /admin/v1/tenants/:tenant/keys/:key': ADMINS,

  'GET /admin/v1/tenants/:tenant/tools': READERS,
  'GET /admin/v1/tenants/:tenant/tools/:tool': READERS,
  'PATCH /admin/v1/tenants/:tenant/tools/:tool': ADMINS,

  'GET /admin/v1/tenants/:tenant/prompts': READERS,
  'POST /admin/v1/tenants/:tenant/prompts': ADMINS,
  'GET /admin/v1/tenants/:tenant/prompts/:prompt': READERS,
  'PUT /admin/v1/tenants/:tenant/prompts/:prompt': ADMINS,
  'DELETE /admin/v1/tenants/:tenant/prompts/:prompt': ADMINS,

  'GET /admin/v1/tenants/:tenant/resources': READERS,
  'POST /admin/v1/tenants/:tenant/resources': ADMINS,
  'GET /admin/v1/tenants/:tenant/resources/:resource': READERS,
  'PUT /admin/v1/tenants/:tenant/resources/:resource': ADMINS,
  'DELETE /admin/v1/tenants/:tenant/resources/:resource': ADMINS,

  'GET /admin/v1/usage': READERS,
  'GET /admin/v1/usage/export': ADMINS,
  'GET /admin/v1/ledger': READERS,
  'GET /admin/v1/ledger/reconciliation': ADMINS,
  'POST /admin/v1/ledger/correct': PLATFORM,
  'GET /admin/v1/bills': READERS,
  'POST /admin/v1/bills/simulate': READERS,
  'POST /admin/v1/bills/close': PLATFORM,
  'GET /admin/v1/price-books': READERS,
  'POST /admin/v1/price-books': PLATFORM,
  'GET /admin/v1/tenants/:tenant/plans': READERS,
  'POST /admin/v1/tenants/:tenant/plans': ADMINS,
  'GET /admin/v1/tenants/:tenant/subscriptions': ADMINS,
  'POST /admin/v1/tenants/:tenant/subscriptions': ADMINS,
  'DELETE /admin/v1/tenants/:tenant/subscriptions/:subscription': ADMINS,
  'GET /admin/v1/tenants/:tenant/budgets': READERS,
  'PUT /admin/v1/tenants/:tenant/budgets': ADMINS,

  'GET /admin/v1/audit': PLATFORM,
  'GET /admin/v1/audit/export': PLATFORM,
  'GET /admin/v1/audit/checkpoints': PLATFORM,
  'GET /admin/v1/audit/keys': READERS,
  'POST /admin/v1/audit/erasures': PLATFORM,
  'GET /admin/v1/tenants/:tenant/audit': ADMINS,
  'GET /admin/v1/tenants/:tenant/audit/export': ADMINS,
  'GET /admin/v1/tenants/:tenant/audit/entries/:seq': ADMINS,
  'GET /admin/v1/tenants/:tenant/audit/checkpoints': ADMINS,
  'POST /admin/v1/tenants/:tenant/audit/erasures': ADMINS,
  'GET /admin/audit-logs': ADMINS,
  'GET /admin/v1/tenants/:tenant/errors': IMPORTERS,
  'GET /admin/v1/tenants/:tenant/errors/:id': IMPORTERS,

  'GET /admin/v1/policies': PLATFORM,
  'GET /admin/v1/policies/:digest': PLATFORM,
  'PUT /admin/v1/policies': PLATFORM,
  'DELETE /admin/v1/policies': PLATFORM,
  'POST /admin/v1/policies/lint': PLATFORM,
  'GET /admin/v1/tenants/:tenant/policies': READERS,
  'GET /admin/v1/tenants/:tenant/policies/:digest': READERS,
  'PUT /admin/v1/tenants/:tenant/policies': ADMINS,
  'DELETE /admin/v1/tenants/:tenant/policies': ADMINS,
  'POST /admin/v1/tenants/:tenant/policies/check': READERS,
  'POST /admin/v1/tenants/:tenant/policies/lint': READERS,
  'GET /admin/v1/tenants/:tenant/decisions/:id': IMPORTERS,
};

export interface Refusal { readonly status: 401 | 403 | 404; readonly detail: string }

export const isPlatformAdmin = (principal: Principal): boolean => principal.roles.has('cpi-admin' satisfies Role);

/** The one text for a tenant that does not exist and for one that the caller may not see. */
export const tenantNotFound = (tenant: string): string => `Tenant not found: ${tenant}`;

/**
 * Undefined when the principal may go on, decided by the policy in force, whose data holds the table above. The role is judged before the
 * tenant, so that a refusal by role is the same for every tenant, and a tenant that is not one's own is refused before the store is asked
 * whether it exists. Rejects with `Unavailable` where nothing can be decided.
 */
export function refusal(policy: AdministrationPolicy, principal: Principal | undefined, asked: { readonly method: string; readonly route: string; readonly tenant: string | undefined }): Eventually<Refusal | undefined> {
  if (principal === undefined) return { status: 401, detail: 'Not authenticated' };
  if (principal.allowedTools !== undefined) return { status: 403, detail: 'Access denied: this credential calls tools and does nothing else' };
  const { method, route, tenant } = asked;
  const verdict = policy.decide({ principal, route: `${method === 'HEAD' ? 'GET' : method} ${route}`, tenant });
  return verdict instanceof Promise ? verdict.then(refusalOf) : refusalOf(verdict);
}

const refusalOf = ({ allow, status, reason }: AdminVerdict): Refusal | undefined => (allow ? undefined : { status: status === 404 ? 404 : 403, detail: reason });
