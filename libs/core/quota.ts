/** Where a caller stands with the limit that is nearest to spent; what `X-RateLimit-Limit`, `-Remaining` and `-Reset` say. */
export interface QuotaGrant {
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds until `remaining` is full again; ≥ 1. */
  readonly resetSeconds: number;
}
