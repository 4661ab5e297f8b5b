import type { Eventually } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { type TenantKey, type TenantSlug, tenantKey } from '#libs/core/tenant.js';

/** A capability token by its tenant and `jti`; one without a tenant gets a key that no tenant can have: a slug never starts with a hyphen. */
export const tokenKey = (tenant: Principal['tenant'], id: string): TenantKey => tenantKey(tenant ?? ('-' as TenantSlug), 'capability', id);

/** Which one-time tokens are spent. Both methods reject with `Unavailable` when that cannot be known now: nobody may then use one. */
export interface ReplayCache {
  /** Marks it until `until` (milliseconds since the epoch). Answers whether this was the first time, to exactly one of any number of askers on any replica. */
  spend(token: TenantKey, until: number): Eventually<boolean>;
  isSpent(token: TenantKey): Eventually<boolean>;
}
/** Which tokens were called back. */
export interface Revocations {
  /** In force on every replica within 2 s of the answer. Rejects with `Unavailable` when the others cannot be told. */
  revoke(token: TenantKey, until: number): Eventually<void>;
  /** Whether one of them is. Throws `Unavailable` when what was revoked within the last 2 s may not be known here. */
  isRevoked(tokens: readonly TenantKey[]): boolean;
}
/** Of one process, or of all replicas. */
export interface Marks { readonly replay: ReplayCache; readonly revocations: Revocations; close(): void }
