import type { PolicyQuestion, PolicyTrace } from './ports.js';
import type { StoredPolicy } from './policy-store.js';
import type { TenantSlug } from './tenant.js';

/** One thing wrong with a policy, or odd about it: where, what, and what to do. */
export interface PolicyRemark {
  readonly file: string;
  /** From 1. */
  readonly line?: number;
  readonly message: string;
}

/** What an author sends: text by file name. */
export type PolicyFiles = Readonly<Record<string, string>>;
export interface PolicyScope {
  /** Undefined: the operator's, which is everybody's. */
  readonly tenant: TenantSlug | undefined;
  /** Names that the tenant has, so that a misspelt one is refused; undefined: any name is taken. */
  readonly tools?: ReadonlySet<string>;
}
export interface PolicyApplied { readonly digest: string; /** Of the pointer. */ readonly revision: number; /** Digest of all that decides then. */ readonly inForce: string; readonly remarks: readonly PolicyRemark[] }

/** Where policies are made. What is refused (`PolicyRefused`) changes nothing. */
export interface PolicyOffice {
  /** Checks all of it, together with what the others have, and puts it in force everywhere. */
  apply(scope: PolicyScope, files: PolicyFiles, by: string): Promise<PolicyApplied>;
  /** The same checks; nothing is stored. */
  validate(scope: PolicyScope, files: PolicyFiles): Promise<readonly PolicyRemark[]>;
  withdraw(scope: PolicyScope): Promise<{ readonly revision: number; readonly inForce: string }>;
  history(scope: PolicyScope): Promise<readonly (StoredPolicy & { readonly active: boolean })[]>;
  /** What would be decided, and how. */
  check(question: PolicyQuestion): Promise<PolicyTrace>;
  /** The same by what was in force under that digest; undefined where this process does not have it. */
  checkUnder(revision: string, question: PolicyQuestion): Promise<PolicyTrace | undefined>;
  /** Digest of what decides now; undefined: nothing. */
  readonly revision: () => string | undefined;
}
