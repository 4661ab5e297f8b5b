import type { TenantSlug } from './tenant.js';

/** Statements of one transaction. */
export interface Sql {
  /** `$1`, `$2` … stand for the parameters. `bigint` columns come as `bigint`, `jsonb` parsed, timestamps as `Date`; a statement without rows answers none. */
  query<Row extends object>(text: string, ...parameters: readonly unknown[]): Promise<Row[]>;
}

/**
 * The product's database for libraries that speak SQL. Each call is one transaction under a role that row-level security binds: it commits when
 * `work` resolves, and leaves nothing when it rejects. Both reject with `Unavailable` when the database cannot be reached.
 */
export interface SqlDatabase {
  /** Sees and touches the rows of this tenant only. */
  tenant<T>(tenant: TenantSlug, work: (sql: Sql) => Promise<T>): Promise<T>;
  /** Sees what the operator, or a process that serves all tenants, must see across them. */
  control<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}
