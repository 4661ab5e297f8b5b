import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { callOf, principalOf, targetOf } from './decision-table.contract.js';
import { policyDecisionPoint } from './decision-point.js';
import { lint } from './lint.js';
import { readOperatorFiles, readTenantFiles } from './policy-files.js';
import { folderPolicies } from './policy-folder.js';
import { compose, PolicyInForce } from './policy-in-force.js';
import { PolicyRefused } from './policy-refused.js';

let folder: string;
let running: PolicyInForce | undefined;
const errors: string[] = [];
const log = { info: () => undefined, error: (fields: object) => { errors.push(String((fields as { err: unknown }).err)); } };
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'stoa-policy-')); errors.length = 0; });
afterEach(async () => { await running?.stop(); rmSync(folder, { recursive: true, force: true }); });
const write = (file: string, text: string): void => { mkdirSync(join(folder, file, '..'), { recursive: true }); writeFileSync(join(folder, file), text); };
const denies = (tool: string, message = 'no'): string => `policies: [{ name: r-${tool}, tool: ${tool}, rules: [{ action: deny, message: ${message} }] }]\n`;
async function start(): Promise<(tool: string, tenant?: string) => Promise<string>> {
  running = new PolicyInForce({ folder: folderPolicies(folder, 20), log });
  await running.start();
  const point = policyDecisionPoint({ engine: running.engine, environment: 'dev', enforces: new Set() });
  return async (tool, tenant = 'acme') => {
    const verdict = await point.decide(callOf(principalOf({ tenant, roles: ['viewer'] }), targetOf([tool, 'read', tenant]), {}));
    return verdict instanceof Denial ? verdict.reason ?? '' : verdict.ruleId;
  };
}

const module = async (): Promise<undefined> => undefined;
const remarks = (yaml: string, tools?: readonly string[]): string[] => lint(readTenantFiles({ 'a.yaml': yaml }).data, tools ? { tools: new Set(tools) } : {}).map(({ file, message }) => `${file}: ${message}`);
const rules = (...list: string[]): string => `policies:\n${list.map((rule) => `  - ${rule}\n`).join('')}`;

describe('a folder of policies', () => {
  it('is in force: the operator\'s for everybody, a tenant\'s for it alone', async () => {
    write('rules.yaml', denies('a'));
    write('tenants/acme/rules.yaml', denies('b'));
    const decide = await start();
    expect([await decide('a'), await decide('a', 'globex'), await decide('b'), await decide('b', 'globex')]).toEqual(['r-a: Policy violation: no', 'r-a: Policy violation: no', 'r-b: Policy violation: no', 'scope-read']);
  });
  it('follows an edit without being told, and by being told', async () => {
    write('rules.yaml', denies('a'));
    const decide = await start();
    write('rules.yaml', denies('c'));
    await vi.waitFor(async () => { expect(await decide('c')).toMatch(/^r-c/); }, 5000);
    expect(await decide('a')).toBe('scope-read');
    write('rules.yaml', denies('d'));
    await running!.reload();
    expect(await decide('d')).toMatch(/^r-d/);
  });
  it.each([['broken YAML', 'policies: [', /rules\.yaml:\d/], ['an unknown role', 'roles: { viewr: { allowed_tools: [] } }', /no role is called viewr/], ['own Rego without a compiler', undefined, /REGO_COMPILER_DIR/]])('keeps the last good policy and says why: %s', async (_, text, why) => {
    write('rules.yaml', denies('a'));
    const decide = await start();
    const before = running!.engine()?.revision;
    if (text === undefined) write('own.rego', 'package stoa.operator\n\ndeny contains "x"');
    else write('rules.yaml', text);
    await running!.reload();
    expect(running!.engine()?.revision).toBe(before);
    expect([running!.trouble, errors.at(-1)]).toEqual([expect.stringMatching(why), expect.stringMatching(why)]);
    expect(await decide('a')).toMatch(/^r-a/);
    expect(await running!.readiness.check()).toMatchObject({ ok: true, reason: 'the last good policy is in force' });
  });
  it('that is wrong from the start puts nothing in force: not ready, and no call is decided', async () => {
    write('rules.yaml', 'policies: [');
    const decide = await start();
    expect(await running!.readiness.check()).toMatchObject({ ok: false });
    await expect(decide('a')).rejects.toThrow('policy is unavailable');
    write('rules.yaml', denies('a'));
    await running!.reload();
    expect(await running!.readiness.check()).toEqual({ ok: true });
  });
});

describe('policies of several origins', () => {
  it('never loosen one another for a tenant', async () => {
    const both = await compose([{ tenants: { acme: { 's.yaml': 'destructive: deny\ndenied_tools: [a]\n' } } }, { tenants: { acme: { 's.yaml': 'destructive: confirm\ndenied_tools: ["b*"]\n' } } }], { module });
    expect(both.operator?.tenants?.['acme']).toEqual({ destructive: 'deny', denied: { names: { a: true }, patterns: ['^b.*$'] } });
  });
  it('are refused where both have a role file or own Rego of one tenant', async () => {
    const roles = { tenants: { acme: { 'r.yaml': 'roles: { viewer: { allowed_tools: ["*"] } }' } } };
    await expect(compose([roles, roles], { module })).rejects.toThrow(PolicyRefused);
    const rego = { tenants: { acme: { 'r.rego': 'package stoa.tenant.acme' } } };
    await expect(compose([rego, rego], { module })).rejects.toThrow(/own Rego in two places/);
  });
});

describe('the files of a policy', () => {
  it.each<[string, Record<string, string>, RegExp]>([
    ['none', {}, /there is no file/], ['an empty one', { 'a.yaml': '' }, /^a\.yaml/], ['a name that leads elsewhere', { '../a.yaml': 'roles: {}' }, /is no policy file/],
    ['two role files', { 'a.yaml': 'roles: {}', 'b.yaml': 'roles: {}' }, /second role file beside a\.yaml/], ['two of Rego', { 'a.rego': 'x', 'b.rego': 'y' }, /second Rego file/],
    ['a tenant that wants to widen', { 'a.yaml': 'destructive: allow' }, /^a\.yaml:1: destructive/], ['a tenant that gives scopes', { 'a.yaml': 'scopes: { viewer: ["stoa:admin"] }' }, /^a\.yaml:\d: .*scopes/],
    ['a misspelt tool', { 'a.yaml': 'policies: [{ name: a, tool: pya, rules: [{ action: deny }] }]' }, /no tool is called pya/],
  ])('are refused: %s', (_, files, why) => { expect(() => readTenantFiles(files, { tools: new Set(['pay']) })).toThrow(why); });
  it('may declare roles of their own', () => {
    expect(readTenantFiles({ 'r.yaml': 'roles: { analyst: { allowed_tools: [pay] } }', 's.yaml': 'known_roles: [analyst]' }).data.access?.roles).toHaveProperty('analyst');
    expect(readOperatorFiles({ 'r.yaml': 'roles: { auditor: { allowed_tools: [pay] } }', 's.yaml': 'scopes: { auditor: ["stoa:read"] }' }).data).toMatchObject({ roles: { auditor: ['stoa:read'] } });
  });
});

describe('lint', () => {
  it.each<[string, string, RegExp | undefined]>([
    ['a rule for tools that are not there', rules('{ name: a, tool: "x*", rules: [{ action: deny }] }'), /^a: no tool has a name/],
    ['a rule behind one that denies all of it', rules('{ name: a, tool: pay, priority: 2, rules: [{ action: deny }] }', '{ name: b, tool: pay, rules: [{ condition: { field: x, operator: eq, value: 1 }, action: deny }] }'), /^b: the rule a before it/],
    ['conditions that contradict', rules('{ name: a, tool: pay, rules: [{ condition: { all: [ { field: x, operator: eq, value: 1 }, { field: x, operator: eq, value: 2 } ] }, action: deny }] }'), /never holds/],
    ['bounds that leave nothing, of a warning', rules('{ name: a, tool: pay, rules: [{ condition: { all: [ { field: x, operator: gt, value: 5 }, { field: x, operator: lt, value: 5 } ] }, action: warn }] }'), /never holds/],
    ['bounds that leave nothing of numbers, but deny what is none', rules('{ name: a, tool: pay, rules: [{ condition: { all: [ { field: x, operator: gt, value: 5 }, { field: x, operator: lt, value: 5 } ] }, action: deny }] }'), undefined],
    ['a rule twice', rules('{ name: a, tool: pay, rules: [{ condition: { field: x, operator: is_null }, action: deny }] }', '{ name: b, tool: pay, rules: [{ condition: { field: x, operator: is_null }, action: deny }] }'), /^b: says the same as a/],
    ['everything denied', rules('{ name: a, tool: "*", rules: [{ action: deny }] }'), /denies every call/], ['everything allowed', 'default_action: allow', /allows every role every tool/],
    ['no role with any tool', 'roles: { viewer: { allowed_tools: [] } }', /every call is denied/], ['settings that deny all', 'denied_tools: ["*"]', /denies every call/],
    ['a policy in order', rules('{ name: a, tool: pay, rules: [{ condition: { field: x, operator: gt, value: 5 }, action: deny }] }'), undefined],
  ])('tells of %s', (_, yaml, says) => { expect(remarks(yaml, ['pay']).join('\n')).toMatch(says ?? /^$/); });
});
