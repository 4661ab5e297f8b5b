import { RE2JS } from 're2js';
import { z } from 'zod';
import type { PolicyRule } from '#libs/core/ports.js';
import { type Condition, matcher, type Operator, type RuleData } from './policy-data.js';
import { type PolicyIssue, PolicyRefused } from './policy-refused.js';
import { readYaml } from './yaml-document.js';

const OPERATORS = ['eq', 'ne', 'in', 'not_in', 'is_null', 'is_not_null', 'not_null', 'gt', 'gte', 'lt', 'lte', 'regex', 'contains'] as const;
const Leaf = z.strictObject({ field: z.string().min(1).max(256), operator: z.enum(OPERATORS), value: z.json().optional() });
type Tree = z.infer<typeof Leaf> | { readonly all: readonly Tree[] } | { readonly any: readonly Tree[] };
const Tree: z.ZodType<Tree> = z.lazy(() => z.union([Leaf, z.strictObject({ all: z.array(Tree).min(1).max(50) }), z.strictObject({ any: z.array(Tree).min(1).max(50) })],
  { error: 'must be {field, operator, value}, {all: […]} or {any: […]}, with an operator of ' + OPERATORS.join(', ') }));
const RulesFile = z.strictObject({
  policies: z.array(z.strictObject({
    name: z.string().min(1).max(128), description: z.string().optional(), tool: z.string().min(1).max(256), enabled: z.boolean().default(true), priority: z.number().int().min(-1_000_000).max(1_000_000).default(0),
    rules: z.array(z.strictObject({ condition: Tree.optional(), action: z.enum(['deny', 'allow', 'warn']), message: z.string().min(1).max(1000).default('not allowed') })).min(1).max(100),
  })).max(500),
});
/** Conjunctions that one rule may come apart into, and rules of one file. */
const MAX_CONJUNCTIONS = 64;
const MAX_RULES = 500;
const NO_VALUE = new Set<Operator>(['is_null', 'is_not_null']);
const ORDER = new Set<Operator>(['gt', 'gte', 'lt', 'lte']);

/**
 * Business rules over arguments (`policies: [{name, tool, priority, rules: [{condition, action, message}]}]`), the higher priority first. A field
 * is a dotted path into the arguments; what is missing counts as null. Throws `PolicyRefused`.
 */
export function readArgumentRules(file: string, text: string, tools?: ReadonlySet<string>): readonly RuleData[] {
  const document = readYaml(file, text, RulesFile);
  const issues: PolicyIssue[] = [];
  const found: { readonly priority: number; readonly rule: RuleData }[] = [];
  const names = new Set<string>();
  for (const [i, policy] of document.value.policies.entries()) {
    const say = (path: readonly PropertyKey[], message: string): void => { issues.push({ file, line: document.lineOf(['policies', i, ...path]) ?? 1, message }); };
    if (names.has(policy.name)) say(['name'], `two policies are called ${policy.name}: give each its own name`);
    names.add(policy.name);
    if (tools && !/[*?]/.test(policy.tool) && !tools.has(policy.tool)) say(['tool'], `no tool is called ${policy.tool}: correct the name or take the policy out`);
    if (!policy.enabled) continue;
    for (const [n, { condition, action, message }] of policy.rules.entries()) {
      // The default of a rule that does not hold is to go on, so an explicit `allow` has nothing to do; it may not overrule a denial.
      if (action === 'allow') { say(['rules', n, 'action'], 'allow has no effect here, since rules over arguments only deny or warn: take the rule out or turn its condition round'); continue; }
      const any = condition === undefined ? [[]] : conjunctions(condition, (message_) => { say(['rules', n, 'condition'], message_); });
      found.push({ priority: policy.priority, rule: { id: policy.rules.length === 1 ? policy.name : `${policy.name}/${n + 1}`, tools: matcher([policy.tool]), action, message, always: condition === undefined, any } });
    }
  }
  if (found.length > MAX_RULES) issues.push({ file, message: `holds ${found.length} rules: at most ${MAX_RULES} are evaluated within a call` });
  if (issues.length > 0) throw new PolicyRefused(issues);
  return found.toSorted((a, b) => b.priority - a.priority).map(({ rule }) => rule);
}

/** What a file of argument rules says of its policies, those switched off too. Throws `PolicyRefused`. */
export const listArgumentRules = (file: string, text: string): readonly PolicyRule[] =>
  readYaml(file, text, RulesFile).value.policies.map(({ name, description, tool, enabled, priority, rules }) => ({ name, description, tool, enabled, priority, count: rules.length }));

/** The disjunctive normal form. */
function conjunctions(tree: Tree, say: (message: string) => void): Condition[][] {
  if ('field' in tree) return [[conditionOf(tree, say)]];
  const parts = ('any' in tree ? tree.any : tree.all).map((part) => conjunctions(part, say));
  const all = 'any' in tree ? parts.flat() : parts.reduce<Condition[][]>((sofar, part) => {
    if (sofar.length * part.length > MAX_CONJUNCTIONS) return sofar.slice(0, 1).concat(Array.from({ length: MAX_CONJUNCTIONS }, () => []));
    return sofar.flatMap((left) => part.map((right) => [...left, ...right]));
  }, [[]]);
  if (all.length > MAX_CONJUNCTIONS) say(`comes apart into more than ${MAX_CONJUNCTIONS} alternatives: write several rules`);
  return all.slice(0, MAX_CONJUNCTIONS + 1);
}

function conditionOf({ field, operator, value }: z.infer<typeof Leaf>, say: (message: string) => void): Condition {
  const op = operator === 'not_null' ? 'is_not_null' : operator;
  if (!NO_VALUE.has(op) && value === undefined) say(`${field}: ${operator} needs a value`);
  if ((op === 'in' || op === 'not_in') && !Array.isArray(value)) say(`${field}: ${operator} needs a list of values`);
  if (ORDER.has(op) && typeof value !== 'number' && typeof value !== 'string') say(`${field}: ${operator} needs a number or a text`);
  if (op === 'regex') {
    if (typeof value !== 'string') say(`${field}: regex needs a text`);
    else try { RE2JS.compile(value); } catch (cause) { say(`${field}: the pattern ${value} is not RE2: ${cause instanceof Error ? cause.message : String(cause)}`); }
  }
  return { path: field.split('.'), op, value: value ?? null };
}
