import type { Principal } from '#libs/core/principal.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { isPlatformAdmin, tenantNotFound } from '../http/access.js';
import { invalid, Problem } from '../http/problem.js';

/** Whose money is asked about: the caller's own, or, for the platform's administrator, the tenant that is named. Another's is answered as one that does not exist. */
export function billedTenant(principal: Principal | undefined, asked: string | undefined): TenantSlug {
  if (principal === undefined) throw new Problem(401, 'Not authenticated');
  const tenant = (asked ?? principal.tenant) as TenantSlug | undefined;
  if (tenant === undefined) throw invalid(['query', 'tenant'], 'name a tenant');
  if (!isPlatformAdmin(principal) && principal.tenant !== tenant) throw new Problem(404, tenantNotFound(tenant));
  return tenant;
}
