import type { Eventually } from '#libs/core/ports.js';

export interface EngineAnswer {
  /** The value at `stoa/authz/decision`; undefined where the policy defines none. Not checked. */
  readonly result: unknown;
  /** Which policy and data decided. */
  readonly revision: string;
}

/** What is asked: a call of the data plane, or a request of the admin API. */
export type Entrypoint = 'stoa/authz/decision' | 'stoa/authz/administration';

/** OPA, wherever it runs. */
export interface PolicyEngine {
  /** `input` is the input document as JSON text. Fails with `EngineFailure`, and with nothing else. */
  evaluate(input: string, entrypoint?: Entrypoint): Eventually<EngineAnswer>;
  /**
   * Whether a decision to list a thing of this name depends on no fact of it but its kind, its class and whether it is a tenant's, and on no
   * fact of the principal but roles, scopes, tenant and tools allowed. Left out: decisions may depend on anything, and change at any time.
   */
  readonly ordinary?: (name: string) => boolean;
}

export class EngineFailure extends Error {
  override get name(): string { return 'EngineFailure'; }
  constructor(
    /** `unreachable` and `timeout`: nobody decided. `failed`: the engine could not evaluate. `malformed`: what it said is not an answer. */
    readonly kind: 'unreachable' | 'timeout' | 'failed' | 'malformed', message: string, options?: { cause?: unknown },
  ) { super(message, options); }
}
