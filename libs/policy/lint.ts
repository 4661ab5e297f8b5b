import { RE2JS } from 're2js';
import type { PolicyRemark } from '#libs/core/policy-office.js';
import type { Condition, Matcher, OperatorPolicy, RuleData, TenantPolicy } from './policy-data.js';

/** What a policy is read against: the tools that there are, where that is known. */
export interface LintFacts { readonly tools?: ReadonlySet<string> }

/** What is odd about a policy that is in order: rules that nothing can reach, policies that allow or deny everything. */
export function lint(policy: OperatorPolicy | TenantPolicy, { tools }: LintFacts = {}): readonly PolicyRemark[] {
  const remarks: PolicyRemark[] = [];
  const say = (file: string, message: string): void => { remarks.push({ file, message }); };
  const rules = policy.rules ?? [];
  for (const [i, rule] of rules.entries()) {
    if (tools && !reaches(rule.tools, tools)) say(rule.id, 'no tool has a name that this rule is for: nothing can reach it');
    const before = rules.slice(0, i).find((earlier) => earlier.action === 'deny' && earlier.always && covers(earlier.tools, rule.tools));
    if (before) say(rule.id, `the rule ${before.id} before it denies all that this one is for: nothing can reach it`);
    if (rule.action === 'deny' && rule.always && rule.tools.all === true) say(rule.id, 'denies every call of every tool');
    if (!rule.always && rule.any.every((all) => contradicts(all, rule.action))) say(rule.id, 'its conditions contradict one another: it never holds');
    const twin = rules.slice(0, i).find((earlier) => same(earlier, rule));
    if (twin) say(rule.id, `says the same as ${twin.id}`);
  }
  const { access } = policy;
  if (access) {
    if (access.default_action === 'allow') say('roles', 'default_action: allow allows every role every tool');
    const roles = Object.entries(access.roles);
    if (access.default_action === 'deny' && roles.every(([, matcher]) => empty(matcher))) say('roles', 'no role is allowed any tool: every call is denied');
    for (const [role, matcher] of roles) {
      if (empty(matcher)) say(`roles.${role}`, 'is allowed no tool');
      else if (tools && !reaches(matcher, tools)) say(`roles.${role}`, 'no tool has a name that this role is allowed: it is allowed nothing');
    }
    for (const [name, { allowed, denied }] of Object.entries(access.workspaces)) {
      if (denied?.all) say(`workspaces.${name}`, 'denies every tool to everybody');
      if (allowed && denied && covers(denied, allowed)) say(`workspaces.${name}`, 'all that it allows it denies too');
    }
  }
  if ('denied' in policy && policy.denied?.all === true) say('settings', 'denied_tools: ["*"] denies every call');
  return remarks;
}

const empty = (matcher: Matcher): boolean => matcher.all !== true && Object.keys(matcher.names ?? {}).length === 0 && (matcher.patterns?.length ?? 0) === 0;

function reaches(matcher: Matcher, tools: ReadonlySet<string>): boolean {
  if (matcher.all) return true;
  if (Object.keys(matcher.names ?? {}).some((name) => tools.has(name))) return true;
  const patterns = (matcher.patterns ?? []).map((pattern) => RE2JS.compile(pattern));
  return patterns.length > 0 && [...tools].some((tool) => patterns.some((pattern) => pattern.matcher(tool).find()));
}

/** Whether `wide` surely matches all that `narrow` does. */
function covers(wide: Matcher, narrow: Matcher): boolean {
  if (wide.all) return true;
  if (narrow.all) return false;
  const names = wide.names ?? {};
  const patterns = wide.patterns ?? [];
  return Object.keys(narrow.names ?? {}).every((name) => Object.hasOwn(names, name)) && (narrow.patterns ?? []).every((pattern) => patterns.includes(pattern)) && !empty(narrow);
}

const same = (a: RuleData, b: RuleData): boolean => JSON.stringify([a.tools, a.action, a.always, a.any]) === JSON.stringify([b.tools, b.action, b.always, b.any]);

/** Two conditions on one member that cannot both hold: different values by eq, disjoint bounds, null and not null. */
function contradicts(all: readonly Condition[], action: RuleData['action']): boolean {
  return all.some((a, i) => all.slice(i + 1).some((b) => a.path.join('.') === b.path.join('.') && (opposed(a, b) || opposed(b, a) || (action === 'warn' && (disjoint(a, b) || disjoint(b, a))))));
}

function opposed(a: Condition, b: Condition): boolean {
  if (a.op === 'is_null') return b.op === 'is_not_null' || (b.op === 'eq' && b.value !== null);
  if (a.op === 'eq' && b.op === 'eq') return JSON.stringify(a.value) !== JSON.stringify(b.value);
  if (a.op === 'eq' && b.op === 'ne') return JSON.stringify(a.value) === JSON.stringify(b.value);
  if (a.op === 'eq' && b.op === 'in' && Array.isArray(b.value)) return !b.value.some((one) => JSON.stringify(one) === JSON.stringify(a.value));
  return false;
}

/** Bounds of numbers that nothing is between. A rule that denies holds for what cannot be compared, whatever its bounds. */
function disjoint(a: Condition, b: Condition): boolean {
  if (typeof a.value !== 'number' || typeof b.value !== 'number') return false;
  if (a.op === 'gt' && (b.op === 'lt' || b.op === 'lte')) return a.value >= b.value;
  if (a.op === 'gte' && b.op === 'lt') return a.value >= b.value;
  if (a.op === 'gte' && b.op === 'lte') return a.value > b.value;
  return false;
}
