/** One thing wrong with a policy that was offered: where, what, and what to do about it. */
export interface PolicyIssue {
  readonly file: string;
  /** From 1; undefined where the whole file is meant. */
  readonly line?: number;
  readonly message: string;
}

/** A policy that is not put in force; what was in force before still is. */
export class PolicyRefused extends Error {
  readonly code = 'POLICY_REFUSED';
  override get name(): string { return 'PolicyRefused'; }
  constructor(readonly issues: readonly PolicyIssue[]) {
    super(issues.map(({ file, line, message }) => `${file}${line === undefined ? '' : `:${line}`}: ${message}`).join('\n'));
  }
}
