import type { CallRecord } from './call-record.js';
import type { TenantSlug } from './tenant.js';

/** Calls as they were decided, for whoever has to explain one. */
export interface DecisionLog {
  /** The tenant's call with this call id, else its latest with this request id. `tenant` undefined: calls of principals without tenant. Undefined: it is not, or no longer, known. */
  find(tenant: TenantSlug | undefined, id: string): Promise<CallRecord | undefined>;
  /** How far back it reaches, in an operator's words. */
  readonly reach: string;
}
