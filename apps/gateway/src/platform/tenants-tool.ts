import { tenantSlug } from '#libs/core/tenant.js';
import type { TenantSummary } from '../parts.js';
import type { Snapshots } from './catalog-tool.js';
import { answer, isPlatformAdmin, type PlatformTool, platformTarget } from './platform-tool.js';

/** Most tenants looked into for one answer. */
const MAX_TENANTS = 500;

/** For platform administrators; to anybody else it does not exist. */
export const tenantsTool = (tenants: () => Promise<readonly TenantSummary[]>, catalogue: Snapshots): PlatformTool => ({
  target: platformTarget({
    name: 'stoa_tenants', title: 'Tenants', category: 'Platform & Discovery',
    description: 'All tenants with the size of their catalogues. For platform administrators.',
    properties: { include_inactive: { type: 'boolean', default: false, description: 'Also disabled tenants.' } },
  }),
  visibleTo: isPlatformAdmin,
  run: async (input) => {
    const known = [...await tenants()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const shown: object[] = [];
    for (const { id, revision } of known.slice(0, MAX_TENANTS)) {
      const slug = tenantSlug(id);
      const snapshot = slug === undefined ? undefined : await catalogue.snapshot(slug);
      if (!snapshot && input['include_inactive'] !== true) continue;
      shown.push({ id, status: snapshot ? 'active' : 'inactive', revision, apis: snapshot?.apis.size ?? 0, tools: snapshot?.tools.size ?? 0 });
    }
    return answer({ tenants: shown, total: known.length, truncated: known.length > MAX_TENANTS });
  },
});
