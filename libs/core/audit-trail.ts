import type { TenantSlug } from './tenant.js';

/** A tenant's trail; undefined: the platform's own, of what belongs to no tenant. */
export type AuditScope = TenantSlug | undefined;

export interface AuditQuery {
  /** `every`: of all tenants and the platform. */
  readonly scope: AuditScope | 'every';
  readonly tool?: string | undefined;
  /** Whoever called or changed something. */
  readonly subject?: string | undefined;
  readonly kind?: string | undefined;
  /** Call id, or request id of a change. */
  readonly id?: string | undefined;
  readonly outcomes?: readonly string[] | undefined;
  readonly endpoint?: string | undefined;
  readonly requestId?: string | undefined;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}
/** Newest first. `limit` at most 1,000. */
export interface AuditPage { readonly limit: number; readonly offset?: number; /** Only entries with a lower `seq`, of one scope. */ readonly before?: number | undefined }

export interface AuditRow {
  readonly chain: string;
  readonly seq: number;
  /** ISO 8601 in UTC, milliseconds. */
  readonly at: string;
  readonly kind: string;
  readonly id: string;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Undefined where there was none, or it was erased. */
  readonly subject: string | undefined;
  readonly arguments: unknown;
  readonly erased: boolean;
}

/** Whole entries, from and to which; by number or by time. All of it where nothing is given. */
export interface AuditRange { readonly from?: number | Date | undefined; readonly to?: number | Date | undefined }

/** What does not agree in a trail, as `stoa audit verify` would say it. */
export class AuditBroken extends Error {
  readonly code = 'AUDIT_BROKEN';
  override get name(): string { return 'AuditBroken'; }
  constructor(readonly chain: string, readonly seq: number | undefined, problem: string) { super(`${seq === undefined ? '' : `entry ${seq}: `}${problem}`); }
}

/** The trail of calls and of administration, for its readers. All reject with `Unavailable` when the store cannot be reached. */
export interface AuditTrail {
  query(query: AuditQuery, page: AuditPage): Promise<{ readonly rows: readonly AuditRow[]; readonly total: number }>;
  /**
   * Lines of an export, each as JSON without a line break, verified as they go. Verify with `check` first: it rejects with `AuditBroken` before
   * anything was sent. `raw`: not verified, for whoever wants to look at a broken trail.
   */
  export(scope: AuditScope, range: AuditRange, raw?: boolean): AsyncIterable<string>;
  /** Rejects with `AuditBroken` naming the first entry that is not as it was recorded. */
  check(scope: AuditScope, range: AuditRange): Promise<void>;
  /** Takes out what is personal to a subject, and says so in the trail. Answers how many entries, and the tombstone's number. */
  erase(scope: AuditScope, subject: string): Promise<{ readonly erased: number; readonly tombstone: number | undefined }>;
  /** Signed checkpoints, one JSON object each, oldest first. */
  checkpoints(scope: AuditScope): Promise<readonly object[]>;
  /** Public keys that ever signed checkpoints here, PEM. */
  keys(): Promise<readonly { readonly id: string; readonly pem: string; readonly since: string }[]>;
}
