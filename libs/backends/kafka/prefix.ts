import type { TenantSlug } from '#libs/core/tenant.js';

/** The operator's rule for one tenant: `{tenant}` stands for its name. */
export const prefixOf = (rule: string | undefined, tenant: TenantSlug | undefined): string | undefined => (tenant === undefined ? rule : rule?.replaceAll('{tenant}', tenant));
