/** Names by list, by pattern, or all of them. */
export interface Matcher {
  readonly all?: true;
  readonly names?: Readonly<Record<string, true>>;
  /** Anchored RE2. */
  readonly patterns?: readonly string[];
}

/** A role file in the form that the Rego reads. */
export interface AccessData {
  readonly default_action: 'deny' | 'allow';
  readonly roles: Readonly<Record<string, Matcher>>;
  readonly workspaces: Readonly<Record<string, { readonly allowed?: Matcher; readonly denied?: Matcher }>>;
  readonly tools: Readonly<Record<string, { readonly risk_tier?: 'low' | 'medium' | 'high'; readonly required_roles?: readonly string[] }>>;
}

export type Operator = 'eq' | 'ne' | 'in' | 'not_in' | 'is_null' | 'is_not_null' | 'gt' | 'gte' | 'lt' | 'lte' | 'regex' | 'contains';
export interface Condition { readonly path: readonly string[]; readonly op: Operator; readonly value: unknown }
export interface RuleData {
  readonly id: string;
  readonly tools: Matcher;
  readonly action: 'deny' | 'warn';
  readonly message: string;
  /** Whether it has no conditions. */
  readonly always: boolean;
  /** Any of these, all of each. */
  readonly any: readonly (readonly Condition[])[];
}

/** What a tenant may add on top: each member can only deny. */
export interface TenantPolicy {
  readonly rules?: readonly RuleData[];
  readonly access?: AccessData;
  readonly denied?: Matcher;
  readonly destructive?: 'deny' | 'confirm';
}

/** What an operator changes of the shipped data; what is left out stays as shipped. */
export interface OperatorPolicy {
  readonly access?: AccessData;
  readonly rules?: readonly RuleData[];
  /** Scopes of roles beside the shipped ones, legacy scopes not expanded. */
  readonly roles?: Readonly<Record<string, readonly string[]>>;
  readonly destructive?: 'deny' | 'confirm' | 'allow';
  readonly production?: { readonly environments?: readonly string[]; readonly tools?: Matcher; readonly classes?: readonly string[]; readonly exempt_roles?: readonly string[] };
  readonly tenants?: Readonly<Record<string, TenantPolicy>>;
  /** Of the admin API: the roles that each route is for. Left out: nobody administers. */
  readonly admin?: Readonly<Record<string, readonly string[]>>;
}

interface ShippedData { readonly governance: Readonly<Record<string, unknown>> & { readonly roles: object; readonly production: object; readonly destructive: object } }

/** The data document of a bundle: the shipped defaults with the operator's and the tenants' parts in their places. */
export function policyData(shipped: unknown, operator: OperatorPolicy = {}): unknown {
  const { governance } = shipped as ShippedData;
  return { governance: {
    ...governance,
    roles: { ...governance.roles, ...operator.roles },
    production: { ...governance.production, ...operator.production },
    destructive: { ...governance.destructive, ...(operator.destructive === undefined ? {} : { mode: operator.destructive }) },
    ...withIndex({ rules: operator.rules ?? [] }),
    tenants: Object.fromEntries(Object.entries(operator.tenants ?? {}).map(([tenant, policy]) => [tenant, withIndex(policy)])),
    ...(operator.admin === undefined ? {} : { admin: operator.admin }),
    ...(operator.access === undefined ? {} : { access: operator.access }),
  } };
}

/** Rules by the tools that they name, so that a decision looks at those of its tool alone; `rest` are matched by pattern. Numbers are places in `rules`. */
function withIndex<T extends { readonly rules?: readonly RuleData[] }>(policy: T): T & { readonly rule_index?: object } {
  if (policy.rules === undefined) return policy;
  const names: Record<string, number[]> = Object.create(null) as Record<string, number[]>;
  const rest: number[] = [];
  for (const [i, { tools }] of policy.rules.entries()) {
    if (tools.all === true || (tools.patterns?.length ?? 0) > 0) rest.push(i);
    else for (const name of Object.keys(tools.names ?? {})) (names[name] ??= []).push(i);
  }
  return { ...policy, rule_index: { names, rest } };
}

/** `*` and `?` as in fnmatch; everything else is literal. */
export function matcher(globs: readonly string[]): Matcher {
  if (globs.includes('*')) return { all: true };
  const names = globs.filter((glob) => !/[*?]/.test(glob));
  const patterns = globs.filter((glob) => /[*?]/.test(glob)).map((glob) => `^${glob.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('*', '.*').replaceAll('?', '.')}$`);
  return { names: Object.fromEntries(names.map((name) => [name, true])), patterns };
}
