import { z } from 'zod';
import { type AccessData, matcher } from './policy-data.js';
import { type PolicyIssue, PolicyRefused } from './policy-refused.js';
import { readYaml } from './yaml-document.js';

const Names = z.array(z.string().min(1).max(256)).max(10_000);
const RoleFile = z.strictObject({
  default_action: z.enum(['deny', 'allow']).default('deny'),
  roles: z.record(z.string().min(1), z.strictObject({ allowed_tools: Names })).default({}),
  workspaces: z.record(z.string().min(1), z.strictObject({ allowed_tools: Names.optional(), denied_tools: Names.optional() })).default({}),
  tools: z.record(z.string().min(1), z.strictObject({ risk_tier: z.enum(['low', 'medium', 'high']).optional(), required_roles: Names.optional() })).default({}),
});
/** What exists, so that a misspelt name is refused rather than silently never met. */
export interface KnownNames { readonly roles?: ReadonlySet<string>; readonly tools?: ReadonlySet<string> }

/**
 * The YAML role file of MCP Gateway (`policy.yaml`): which role may call which tools, what a workspace (here: a tenant) allows
 * instead or denies, which tools need a role. Throws `PolicyRefused`.
 */
export function readRoleFile(file: string, text: string, known: KnownNames = {}): AccessData {
  const document = readYaml(file, text, RoleFile);
  const { value } = document;
  const issues: PolicyIssue[] = [];
  const check = (names: readonly string[] | undefined, noun: 'tool' | 'role', exists: ReadonlySet<string> | undefined, path: readonly string[]): void => {
    for (const [i, name] of (names ?? []).entries()) {
      if (exists && !/[*?]/.test(name) && !exists.has(name)) issues.push({ file, line: document.lineOf([...path, i]) ?? 1, message: `no ${noun} is called ${name}: correct the name or take it out` });
    }
  };
  for (const [role, { allowed_tools }] of Object.entries(value.roles)) {
    if (known.roles && !known.roles.has(role)) issues.push({ file, line: document.lineOf(['roles', role]) ?? 1, message: `no role is called ${role}: correct the name or take it out` });
    check(allowed_tools, 'tool', known.tools, ['roles', role, 'allowed_tools']);
  }
  for (const [name, { allowed_tools, denied_tools }] of Object.entries(value.workspaces)) {
    check(allowed_tools, 'tool', known.tools, ['workspaces', name, 'allowed_tools']);
    check(denied_tools, 'tool', known.tools, ['workspaces', name, 'denied_tools']);
  }
  for (const [name, { required_roles }] of Object.entries(value.tools)) {
    if (known.tools && !known.tools.has(name)) issues.push({ file, line: document.lineOf(['tools', name]) ?? 1, message: `no tool is called ${name}: correct the name or take it out` });
    check(required_roles, 'role', known.roles, ['tools', name, 'required_roles']);
  }
  if (issues.length > 0) throw new PolicyRefused(issues);
  return {
    default_action: value.default_action,
    roles: Object.fromEntries(Object.entries(value.roles).map(([role, { allowed_tools }]) => [role, matcher(allowed_tools)])),
    workspaces: Object.fromEntries(Object.entries(value.workspaces).map(([name, { allowed_tools, denied_tools }]) =>
      [name, { ...(allowed_tools && { allowed: matcher(allowed_tools) }), ...(denied_tools && { denied: matcher(denied_tools) }) }])),
    tools: Object.fromEntries(Object.entries(value.tools).map(([name, { risk_tier, required_roles }]) => [name, { ...(risk_tier && { risk_tier }), ...(required_roles && { required_roles }) }])),
  };
}
