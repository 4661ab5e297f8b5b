import type { Eventually } from '#libs/core/ports.js';

export interface EngineAnswer {
  /** The value at `stoa/authz/decision`; undefined where the policy defines none. Not checked. */
  readonly result: unknown;
  /** Which policy and data decided. */
  readonly revision: string;
}

/** OPA, wherever it runs. */
export interface PolicyEngine {
  /** `input` is the input document as JSON text. Fails with `EngineFailure`, and with nothing else. */
  evaluate(input: string): Eventually<EngineAnswer>;
}

export class EngineFailure extends Error {
  override get name(): string { return 'EngineFailure'; }
  constructor(
    /** `unreachable` and `timeout`: nobody decided. `failed`: the engine could not evaluate. `malformed`: what it said is not an answer. */
    readonly kind: 'unreachable' | 'timeout' | 'failed' | 'malformed', message: string, options?: { cause?: unknown },
  ) { super(message, options); }
}
