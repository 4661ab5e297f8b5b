import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ActivePolicy } from './active-policy.js';
import { readArgumentRules } from './argument-rules.js';
import { embeddedEngine } from './embedded-engine.js';
import { PolicyRefused } from './policy-refused.js';
import { readRoleFile } from './role-file.js';
import { shippedBundle } from './shipped-policy.js';

const refusal = async (act: () => unknown): Promise<PolicyRefused> => {
  try { await act(); } catch (failure) { if (failure instanceof PolicyRefused) return failure; throw failure; }
  throw new Error('was not refused');
};

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

describe('what is put in force', () => {
  it('has a digest of policy and data: another setting, another digest', async () => {
    const active = new ActivePolicy();
    expect(active.revision).toBeUndefined();
    const first = await active.activate({});
    const second = await active.activate({ operator: { destructive: 'allow' } });
    expect([first, second]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(first).not.toBe(second);
    expect(await active.activate({})).toBe(first);
  });

  const shipped = shippedBundle();
  const renamed = (): Uint8Array => {
    const bytes = Buffer.from(shipped.wasm);
    bytes.write('xxxx/', bytes.indexOf('stoa/authz/decision'));
    return bytes;
  };
  it.each([
    ['no WebAssembly', () => ({ wasm: Buffer.from('package stoa.authz') }), /cannot be loaded/],
    ['an empty file', () => ({ wasm: new Uint8Array() }), /cannot be loaded/],
    ['another WebAssembly', () => ({ wasm: Buffer.from('0061736d01000000', 'hex') }), /cannot be loaded/],
    ['100 MB of data', () => ({ operator: { roles: { x: ['y'.repeat(100 * 1024 * 1024)] } } }), /over 8 MiB/],
    ['a data document that lets everybody write', () => ({ operator: { access: { default_action: 'allow' as const, roles: {}, workspaces: {}, tools: {} } } }), /allows a caller without roles/],
    ['a policy without the entrypoint', () => ({ wasm: renamed() }), /no entrypoint/],
  ])('is not changed by %s', async (_, candidate, why) => {
    const active = new ActivePolicy();
    const before = await active.activate({});
    const engine = active.engine();
    expect((await refusal(() => active.activate({ ...candidate(), file: 'mine' }))).message).toMatch(why);
    expect([active.revision, active.engine()]).toEqual([before, engine]);
  });

  it('is the compiled form of the Rego beside it', () => {
    const record = JSON.parse(readFileSync(new URL('bundle/bundle.json', import.meta.url), 'utf8')) as Record<string, string>;
    expect([sha256(shipped.rego), sha256(shipped.wasm)]).toEqual([record['source_sha256'], record['wasm_sha256']]);
  });

  it('does not decide on inputs over 1 MiB, and decides on after a failed evaluation', async () => {
    const engine = await embeddedEngine({ wasm: shipped.wasm, data: shipped.data });
    expect(() => engine.evaluate(JSON.stringify({ x: 'x'.repeat(2 ** 20) }))).toThrow(/over 1024 KiB/);
    expect((await engine.evaluate('{"broken":')).result).toMatchObject({ allow: false });
    expect(() => engine.evaluate(`{"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)).toThrow(/could not be evaluated/);
    expect((await engine.evaluate('{}')).result).toMatchObject({ allow: false, rule_id: 'malformed-input' });
  });
});

const roles = (text: string) => () => readRoleFile('policy.yaml', text, { roles: new Set(['viewer']), tools: new Set(['read_pet']) });
const rules = (text: string) => () => readArgumentRules('rules.yaml', text, new Set(['pay']));
const rule = (condition: string, action = 'deny') => `policies:\n  - name: a\n    tool: pay\n    rules:\n      - condition: ${condition}\n        action: ${action}\n`;

describe('a YAML file that is refused names line and fix', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['syntax', roles('roles:\n  viewer: [\n'), /^policy\.yaml:\d: /],
    ['a key twice', roles('roles: {}\nroles: {}\n'), /^policy\.yaml:2: .*unique/],
    ['an unknown role', roles('roles:\n  viewr: { allowed_tools: [] }\n'), /^policy\.yaml:2: no role is called viewr: correct/],
    ['an unknown tool', roles('roles:\n  viewer:\n    allowed_tools:\n      - read_pet\n      - raed_pet\n'), /^policy\.yaml:5: no tool is called raed_pet: correct/],
    ['an unknown member', roles('default_action: deny\nworkspace: {}\n'), /^policy\.yaml:\d: the file: .*workspace/],
    ['a wrong default', roles('roles: {}\ndefault_action: maybe\n'), /^policy\.yaml:2: default_action: .*deny/],
    ['a list for the file', roles('- a\n'), /^policy\.yaml:1: the file: /],
    ['an alias bomb', roles(`a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`), /^policy\.yaml: .*alias/i],
    ['two megabytes', roles('#'.repeat(2 ** 21)), /split it/],
    ['an unknown operator', rules(rule('{ field: a, operator: gtt, value: 1 }')), /^rules\.yaml:5: .*operator of eq/],
    ['a pattern that is not RE2', rules(rule(String.raw`{ field: a, operator: regex, value: '(?=x)' }`)), /^rules\.yaml:5: a: the pattern .* is not RE2/],
    ['a missing value', rules(rule('{ field: a, operator: gt }')), /^rules\.yaml:5: a: gt needs a value/],
    ['in without a list', rules(rule('{ field: a, operator: in, value: 3 }')), /needs a list/],
    ['allow, which would overrule nothing', rules(rule('{ field: a, operator: eq, value: 3 }', 'allow')), /^rules\.yaml:6: allow has no effect/],
    ['a tool that is not there', rules('policies:\n  - name: a\n    tool: pya\n    rules: [{ action: deny }]\n'), /^rules\.yaml:3: no tool is called pya/],
    ['a condition that explodes', rules(rule(`{ all: [${Array.from({ length: 8 }, () => '{ any: [{ field: a, operator: is_null }, { field: b, operator: is_null }] }').join(', ')}] }`)), /more than 64 alternatives/],
    ['a name twice', rules('policies:\n  - { name: a, tool: pay, rules: [{ action: deny }] }\n  - { name: a, tool: pay, rules: [{ action: deny }] }\n'), /^rules\.yaml:3: two policies are called a/],
  ])('%s', async (_, act, message) => { expect((await refusal(act)).message).toMatch(message); });
});
