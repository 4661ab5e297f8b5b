import type { ControlStore } from '#libs/core/control-store.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Logger } from '#libs/observability/logger.js';
import type { ConvertOptions } from '#libs/openapi/convert.js';

/** Rejects with `DocumentError` when nothing can be made of the bytes; never blocks the event loop. */
export type ConvertDocument = (bytes: Uint8Array, options: ConvertOptions) => Promise<ConvertedDocument>;

/** Calls back every `ms` milliseconds until the answered function is called. */
export type Every = (ms: number, callback: () => void) => () => void;

/** What the admin API needs from outside. */
export interface ControllerParts {
  readonly store: ControlStore;
  /** Fetches documents from URLs: the egress policy decides where to. */
  readonly outbound: Outbound;
  readonly convert: ConvertDocument;
  readonly now: () => Date;
  /** Looks for due refreshes this often, in milliseconds; undefined: never (another process does). */
  readonly refreshPollMs: number | undefined;
  readonly log?: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Default: `setInterval`, not holding the process. */
  readonly every?: Every;
}

export const PARTS = Symbol('PARTS');
