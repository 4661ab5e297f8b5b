import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { PolicyRule } from '#libs/core/ports.js';
import { listArgumentRules, readArgumentRules } from './argument-rules.js';
import { type AccessData, matcher, type OperatorPolicy, type RuleData, type TenantPolicy } from './policy-data.js';
import { type PolicyIssue, PolicyRefused } from './policy-refused.js';
import { readRoleFile } from './role-file.js';
import { readYaml } from './yaml-document.js';

/** Text by file name. */
export type PolicyFiles = Readonly<Record<string, string>>;
/** Policies of one origin: the operator's, and tenants' on top. */
export interface PolicySet { readonly operator?: PolicyFiles; readonly tenants: Readonly<Record<string, PolicyFiles>> }
const MAX_FILES = 50;
const FILE_NAME = /^[\w][\w.-]{0,126}\.(ya?ml|rego)$/;
/** Roles that need no declaration: those of the platform, and the personas. */
const SHIPPED_ROLES = ['cpi-admin', 'tenant-admin', 'devops', 'viewer', 'stoa.admin', 'stoa.security', 'stoa.product_owner', 'stoa.developer', 'stoa.consumer', 'stoa.agent'];

const Names = z.array(z.string().min(1).max(256)).max(10_000);
const TenantSettings = z.strictObject({ destructive: z.enum(['deny', 'confirm']).optional(), denied_tools: Names.optional(), known_roles: Names.optional() });
const OperatorSettings = z.strictObject({
  destructive: z.enum(['deny', 'confirm', 'allow']).optional(),
  scopes: z.record(z.string().min(1), Names).optional(),
  production: z.strictObject({ environments: Names.optional(), tools: Names.optional(), classes: z.array(z.enum(['read', 'write', 'destructive'])).optional(), exempt_roles: Names.optional() }).optional(),
  known_roles: Names.optional(),
});
const SETTINGS = new Set(['destructive', 'denied_tools', 'known_roles', 'scopes', 'production']);

export interface KnownInScope { /** Tools of the tenant; left out: any name is taken. */ readonly tools?: ReadonlySet<string> }
export interface OwnRegoFile { readonly file: string; readonly rego: string }
export interface ReadPolicy<P> { readonly data: P; readonly rego: OwnRegoFile | undefined }

/** Reads an operator's files: one role file, argument rules, settings, own Rego. Throws `PolicyRefused`. */
export function readOperatorFiles(files: PolicyFiles, known: KnownInScope = {}): ReadPolicy<OperatorPolicy> {
  const sorted = sort(files, OperatorSettings);
  const { destructive, scopes, production } = sorted.settings ?? {};
  const { tools: productionTools, ...restricted } = production ?? {};
  return { rego: sorted.rego, data: {
    ...narrowing(sorted, known, Object.keys(scopes ?? {})),
    ...(destructive === undefined ? {} : { destructive }), ...(scopes === undefined ? {} : { roles: scopes }),
    ...(production === undefined ? {} : { production: { ...defined(restricted), ...(productionTools === undefined ? {} : { tools: matcher(productionTools) }) } }),
  } };
}

/** Reads a tenant's files. Whatever they say can only deny. Throws `PolicyRefused`. */
export function readTenantFiles(files: PolicyFiles, known: KnownInScope = {}): ReadPolicy<TenantPolicy> {
  const sorted = sort(files, TenantSettings);
  const { destructive, denied_tools: denied } = sorted.settings ?? {};
  return { rego: sorted.rego, data: { ...narrowing(sorted, known, []), ...(destructive === undefined ? {} : { destructive }), ...(denied === undefined ? {} : { denied: matcher(denied) }) } };
}

/** The argument policies of a scope's files, the higher priority first. Throws `PolicyRefused`. */
export const rulesOf = (files: PolicyFiles): readonly PolicyRule[] => sort(files, z.unknown()).rules.flatMap(([file, text]) => listArgumentRules(file, text)).toSorted((a, b) => b.priority - a.priority);

/** SHA-256 (hex) over names and texts, whatever the order in which they were given. */
export const digestOf = (files: PolicyFiles): string => createHash('sha256').update(JSON.stringify(Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1)))).digest('hex');

const defined = <T extends object>(value: T): { [K in keyof T]-?: Exclude<T[K], undefined> } => Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;

interface Sorted<S> { readonly roleFile: readonly [string, string] | undefined; readonly rules: readonly (readonly [string, string])[]; readonly settings: S | undefined; readonly rego: OwnRegoFile | undefined }

/** Which file is what follows from its own members, not from its name. */
function sort<S extends z.ZodType>(files: PolicyFiles, schema: S): Sorted<z.output<S>> {
  const issues: PolicyIssue[] = [];
  const found = { roles: [] as (readonly [string, string])[], rules: [] as (readonly [string, string])[], settings: [] as (readonly [string, string])[], rego: [] as OwnRegoFile[] };
  const entries = Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (entries.length === 0) throw new PolicyRefused([{ file: 'policies', message: 'there is no file: give at least one of *.yaml and *.rego' }]);
  if (entries.length > MAX_FILES) throw new PolicyRefused([{ file: 'policies', message: `there are ${entries.length} files: at most ${MAX_FILES}` }]);
  for (const [file, text] of entries) {
    if (!FILE_NAME.test(file)) { issues.push({ file, message: 'is no policy file: name it *.yaml or *.rego, in letters, digits, dots, hyphens and underscores' }); continue; }
    if (file.endsWith('.rego')) { found.rego.push({ file, rego: text }); continue; }
    const members = Object.keys(readYaml(file, text, z.record(z.string(), z.unknown(), { error: 'must be a mapping: roles:, policies: or settings' })).value);
    if (members.length === 0) { issues.push({ file, line: 1, message: 'the file is empty: take it away, or write roles:, policies: or settings into it' }); continue; }
    found[members.includes('policies') ? 'rules' : members.some((member) => SETTINGS.has(member)) ? 'settings' : 'roles'].push([file, text]);
  }
  for (const [noun, list] of [['role', found.roles], ['settings', found.settings]] as const) for (const [file] of list.slice(1)) issues.push({ file, message: `is a second ${noun} file beside ${list[0]![0]}: put them together` });
  for (const { file } of found.rego.slice(1)) issues.push({ file, message: `is a second Rego file beside ${found.rego[0]!.file}: put them, with their tests, into one` });
  if (issues.length > 0) throw new PolicyRefused(issues);
  const [settings] = found.settings;
  return { roleFile: found.roles[0], rules: found.rules, settings: settings && readYaml(settings[0], settings[1], schema).value, rego: found.rego[0] };
}

function narrowing({ roleFile, rules, settings }: Sorted<unknown>, { tools }: KnownInScope, declared: readonly string[]): { readonly access?: AccessData; readonly rules?: readonly RuleData[] } {
  const roles = new Set([...SHIPPED_ROLES, ...declared, ...(settings as { readonly known_roles?: readonly string[] } | undefined)?.known_roles ?? []]);
  const read = rules.flatMap(([file, text]) => readArgumentRules(file, text, tools));
  return {
    ...(roleFile ? { access: readRoleFile(roleFile[0], roleFile[1], { roles, ...(tools ? { tools } : {}) }) } : {}),
    ...(read.length > 0 ? { rules: read } : {}),
  };
}
