/** At most `burst` calls in the time in which `perMinute` lets as many pass; whole numbers ≥ 1, `burst` ≤ `perMinute`. */
export interface ToolRate { readonly perMinute: number; readonly burst: number }

/** What a tenant may use, all its principals together; undefined: as the process is configured. Whole numbers ≥ 1. */
export interface TenantQuotas {
  readonly perSecond?: number;
  readonly perMinute?: number;
  /** Calls of one day of UTC; more are `QUOTA_EXCEEDED`. */
  readonly perDay?: number;
  /** Calls at the same time, on one replica. */
  readonly concurrent?: number;
  /** Open event streams, on one replica. */
  readonly streams?: number;
}

/** Where a caller stands with the limit that is nearest to spent; what `X-RateLimit-Limit`, `-Remaining` and `-Reset` say. */
export interface QuotaGrant {
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds until `remaining` is full again; ≥ 1. */
  readonly resetSeconds: number;
}
