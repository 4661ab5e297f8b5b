/** Something that an allowance is tied to. Who enforces the decision must know every kind, else the call is denied. */
interface Obligation { readonly kind: string; readonly rule_id?: string; readonly message?: string; readonly flag?: string }

/** What a policy answers at `stoa/authz/decision`. */
export interface Decision {
  readonly allow: boolean;
  /** For logs, audit and explanation only. */
  readonly reason: string;
  readonly ruleId: string;
  readonly obligations: readonly Obligation[];
  /** What the caller may read of a denial. */
  readonly message: string | undefined;
  /** Any one of these would have sufficed; empty where no scope would. */
  readonly missingScopes: readonly string[];
  /** What decisions about this tool for this tenant depend on beside principal and tool. All of it unless the policy says less. */
  readonly varies: readonly ('arguments' | 'time')[];
}

const EVERYTHING = ['arguments', 'time'] as const;
const record = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Readonly<Record<string, unknown>> : undefined;
const text = (value: unknown): value is string => typeof value === 'string' && value !== '';
const texts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((one) => typeof one === 'string');

/** What a traced answer says was tried; whatever is malformed is left out. */
export function triedOf(answer: unknown): readonly { readonly rule: string; readonly holds: boolean; readonly action?: string }[] {
  const tried = record(answer)?.['tried'];
  if (!Array.isArray(tried)) return [];
  return tried.flatMap((one: unknown) => {
    const { rule, holds, action } = record(one) ?? {};
    return text(rule) && typeof holds === 'boolean' ? [{ rule, holds, ...(text(action) ? { action } : {}) }] : [];
  });
}

/** Undefined for anything that is not wholly a decision: what an engine answers is not trusted to be one. */
export function readDecision(answer: unknown): Decision | undefined {
  const given = record(answer);
  if (!given || typeof given['allow'] !== 'boolean' || typeof given['reason'] !== 'string' || !text(given['rule_id'])) return undefined;
  const obligations = given['obligations'] ?? [];
  if (!Array.isArray(obligations) || !obligations.every((one) => text(record(one)?.['kind']))) return undefined;
  const message = given['message'];
  if (message !== undefined && typeof message !== 'string') return undefined;
  const missing = given['missing_scopes'] ?? [];
  if (!texts(missing)) return undefined;
  const varies = given['varies'] ?? EVERYTHING;
  if (!texts(varies) || !varies.every((fact) => fact === 'arguments' || fact === 'time')) return undefined;
  return { allow: given['allow'], reason: given['reason'], ruleId: given['rule_id'], obligations: obligations as readonly Obligation[], message, missingScopes: missing, varies };
}
