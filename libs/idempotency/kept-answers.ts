import type { BackendAnswer } from '#libs/core/call.js';
import type { DenialFacts } from '#libs/core/errors.js';
import type { Eventually } from '#libs/core/ports.js';
import type { TenantKey } from '#libs/core/tenant.js';

/** How the first call under a key ended. */
export type KeptAnswer =
  | { readonly callId: string; readonly answer: BackendAnswer }
  | { readonly callId: string; readonly denial: DenialFacts }
  /** It succeeded, and its result was too large to be kept. */
  | { readonly callId: string; readonly tooLarge: true };

/** What stands under a key: a call that still runs, or its end. */
export interface Held {
  /** Of tool and arguments. */
  readonly digest: string;
  readonly kept?: KeptAnswer;
}

/**
 * Where answers are kept under their keys. Every method rejects (or throws) with `Unavailable` when that cannot be reached.
 * Bounds are the store's own: what it drops early is asked of the backend again.
 */
export interface KeptAnswers {
  /**
   * Takes the key for one caller, for `holdMs` milliseconds at most, so that a gateway that died does not keep it. Undefined: it is taken.
   * Of several at the same time exactly one takes it. `owner` is unlike any other.
   */
  take(key: TenantKey, owner: string, digest: string, holdMs: number): Eventually<Held | undefined>;
  /** In the place of what was taken, for `keepMs` milliseconds. */
  keep(key: TenantKey, held: Held, keepMs: number): Eventually<void>;
  /** Gives the key back, if this owner still has it. */
  free(key: TenantKey, owner: string): Eventually<void>;
  close(): void;
}
