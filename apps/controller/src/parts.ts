import type { Admission } from '#libs/core/admission.js';
import type { ApiKind } from '#libs/core/api-kind.js';
import type { ApiKeyStore } from '#libs/core/api-key.js';
import type { ControlStore } from '#libs/core/control-store.js';
import type { PolicyStore } from '#libs/core/policy-store.js';
import type { AuditTrail } from '#libs/core/audit-trail.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { AdminAudit } from '#libs/core/ports.js';
import type { Logger } from '#libs/observability/logger.js';

/** By kind of API; a kind without one cannot be imported. */
export type Admissions = Readonly<Partial<Record<ApiKind, Admission>>>;

/** Calls back every `ms` milliseconds until the answered function is called. */
export type Every = (ms: number, callback: () => void) => () => void;

/** What the admin API is told; the rest it takes from the modules beside it. */
export interface ControllerOptions {
  /** Looks for due refreshes this often, in milliseconds; undefined: never (another process does). */
  readonly refreshPollMs: number | undefined;
  /** The API keys' part, which a process may switch off. Default: on. */
  readonly apiKeysEnabled?: boolean;
  /** Values of `acr` that stand for a second factor. Default `totp` and `mfa`. */
  readonly stepUpAcr?: readonly string[];
  /** Default: the system's clock. */
  readonly now?: () => Date;
  /** Default: `setInterval`, not holding the process. */
  readonly every?: Every;
}

/** Everything that the admin API needs from outside. */
export interface ControllerParts extends ControllerOptions {
  readonly store: ControlStore;
  /** Fetches documents from URLs: the egress policy decides where to. */
  readonly outbound: Outbound;
  readonly admissions: Admissions;
  /** Undefined: switched off. */
  readonly apiKeys?: ApiKeyStore | undefined;
  readonly now: () => Date;
  /** For tests alone, which have no modules beside: where policies are kept. */
  readonly policies?: PolicyStore;
  /** Likewise: where administration is put on record, and what is read of it. */
  readonly audit?: AdminAudit;
  readonly trail?: AuditTrail;
  readonly log?: Pick<Logger, 'info' | 'warn' | 'error'>;
}

export const PARTS = Symbol('PARTS');
