import type { TenantSlug } from './tenant.js';

/** A set of policy files as its author sent it, immutable, named by its digest. */
export interface StoredPolicy {
  /** Whose calls it narrows; undefined: everybody's (the operator's policy). */
  readonly scope: TenantSlug | undefined;
  /** SHA-256 (hex) over names and texts. */
  readonly digest: string;
  /** Text by file name: YAML and Rego. */
  readonly files: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  /** Subject of whoever sent it. */
  readonly createdBy: string;
}

/** Own Rego of all scopes, compiled together with the shipped policy. */
export interface PolicyModuleFile { /** Over the texts that it was made of. */ readonly digest: string; readonly wasm: Uint8Array }

/**
 * Policies as state of the control plane: stored once by digest, in force by a pointer of each scope. Every change of a pointer is one
 * transaction with its notification. All reject with `Unavailable` when the store cannot be reached; those that take a tenant
 * reject with `NoSuchRecord` where it does not exist.
 */
export interface PolicyStore {
  /** Every policy in force. `revision` rises with each change of any pointer. */
  active(): Promise<{ readonly revision: number; readonly policies: readonly StoredPolicy[] }>;
  /** What a scope ever had in force, newest first, at most 100. */
  history(scope: TenantSlug | undefined): Promise<readonly (StoredPolicy & { readonly active: boolean })[]>;
  /** Stores it, and the module if one is given, and puts it in force. */
  put(policy: Omit<StoredPolicy, 'createdAt'>, module?: PolicyModuleFile): Promise<{ readonly revision: number }>;
  /** Takes a scope's policy out of force; what was stored stays. */
  withdraw(scope: TenantSlug | undefined, module?: PolicyModuleFile): Promise<{ readonly revision: number }>;
  module(digest: string): Promise<Uint8Array | undefined>;
  /** Calls back after changes, at once where notifications arrive, else within a second; a lost connection is mended inside. Answers the way to stop. */
  watch(changed: () => void): Promise<() => Promise<void>>;
}
