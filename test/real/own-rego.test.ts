import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { ActivePolicy } from '#libs/policy/active-policy.js';
import { compileRego, type OwnRego } from '#libs/policy/compile-rego.js';
import { callOf, decisionTable, principalOf, targetOf } from '#libs/policy/decision-table.contract.js';
import { policyDecisionPoint } from '#libs/policy/decision-point.js';
import { PolicyRefused } from '#libs/policy/policy-refused.js';
import { embeddedEngine } from '#libs/policy/embedded-engine.js';
import { loadRegoCompiler } from '../../libs/policy/load-rego-compiler.mjs';
import { shippedBundle } from '#libs/policy/shipped-policy.js';

let compilerFolder: string;
beforeAll(() => { compilerFolder = execFileSync('bash', [fileURLToPath(new URL('../../tools/rego-compiler.sh', import.meta.url))], { encoding: 'utf8' }).trim(); }, 600_000);

const tenantRule = { file: 'acme.rego', rego: `package stoa.tenant.acme

deny contains {"rule_id": "no-blue", "reason": "blue", "message": "blue pets are not read"} if input.arguments.colour == "blue"

test_blue if count(deny) == 1 with input as {"arguments": {"colour": "blue"}}
` };
const point = (active: ActivePolicy) => policyDecisionPoint({ engine: active.engine, environment: 'dev', enforces: new Set() });
const read = (tenant: string, colour: string) => callOf(principalOf({ tenant, roles: ['viewer'] }), targetOf(['read_pet', 'read', tenant]), { colour });

const operator = (body: string, head = 'package stoa.operator'): OwnRego => ({ operator: { file: 'own.rego', rego: `${head}\n${body}\n` } });

describe('own Rego', () => {
  it('denies for its tenant alone, beside what the shipped policy decides', async () => {
    const active = new ActivePolicy();
    await active.activate({ wasm: await compileRego({ tenants: { acme: tenantRule } }, { compilerFolder }), varies: ['arguments'] });
    expect(await point(active).decide(read('acme', 'blue'))).toMatchObject({ code: 'FORBIDDEN', message: 'blue pets are not read', reason: 'no-blue: blue' });
    expect(await point(active).decide(read('acme', 'red'))).toMatchObject({ ruleId: 'scope-read' });
    expect(await point(active).decide(read('globex', 'blue'))).toMatchObject({ ruleId: 'scope-read' });
  });

  it.each<[string, OwnRego, RegExp]>([
    ['a syntax error', operator('deny contains x if {'), /^own\.rego:\d+: /],
    ['http.send', operator('deny contains "x" if http.send({"method": "get", "url": "http://169.254.169.254/"}).status_code == 200'), /^own\.rego:2: undefined function http\.send/],
    ['net.lookup_ip_addr', operator('deny contains "x" if net.lookup_ip_addr("a")'), /^own\.rego:2: undefined function net\./],
    ['opa.runtime', operator('deny contains "x" if opa.runtime().env'), /^own\.rego:2: undefined function opa\.runtime/],
    ['time.now_ns', operator('deny contains "x" if time.now_ns() > 1'), /^own\.rego:2: undefined function time\.now_ns/],
    ['an unused variable', operator('deny contains "x" if { y := 1 }'), /^own\.rego:2: /],
    ['an unsafe variable', operator('deny contains y if true'), /^own\.rego:2: var y is unsafe/],
    ['recursion', operator('deny contains "x" if a\na if b\nb if a'), /recursive/],
    ['the rules of another tenant', { tenants: { acme: { file: 'own.rego', rego: 'package stoa.tenant.globex\ndeny contains "x" if true\n' } } }, /^own\.rego:1: the package must be stoa\.tenant\.acme, not stoa\.tenant\.globex/],
    ['the shipped package', operator('deny contains "x" if true\nadmin if true', 'package stoa.authz'), /^own\.rego:1: the package must be stoa\.operator/],
    ['another tenant\'s data', operator('deny contains "x" if data.governance.tenants.globex'), /^own\.rego:2: data\.governance\.tenants\.globex is not this package's own/],
    ['all data by an alias', operator('deny contains "x" if { d := data; d.governance }'), /^own\.rego:2: data is not this package's own/],
    ['all data by an import', operator('import data.governance as g\ndeny contains "x" if g.rules'), /data/],
    ['a deny that is no set', operator('deny := true'), /^own\.rego:2: deny must be a set/],
    ['no deny at all', operator('allow := true'), /has no rule/],
    ['an empty file', { operator: { file: 'own.rego', rego: '' } }, /^own\.rego:\d+: /],
    ['a test that fails', operator('deny contains "x" if input.y\ntest_x if "x" in deny'), /^own\.rego:3: stoa\.operator\.test_x: the test fails/],
  ])('with %s is refused, by file and line', async (_, own, message) => {
    const failure: unknown = await compileRego(own, { compilerFolder }).catch((cause: unknown) => cause);
    expect(failure).toBeInstanceOf(PolicyRefused);
    expect((failure as PolicyRefused).message).toMatch(message);
  });
  it('that takes too long is refused and its thread is ended', async () => {
    const heavy = operator('deny contains "x" if input.y\ntest_heavy if count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a * b == -1]) == 0');
    await expect(compileRego(heavy, { compilerFolder, timeoutMs: 3000, testMs: 60_000 })).rejects.toThrow(/not checked, tested and compiled within 3000 ms/);
  });
});

const withoutRevision = (key: string, value: unknown): unknown => (key === 'policyRevision' ? undefined : value);

describe('the compiled policy that comes with the product', () => {
  it('decides as one compiled now does, over the whole table', async () => {
    const fresh = new ActivePolicy();
    const shipped = new ActivePolicy();
    await fresh.activate({ wasm: await compileRego({}, { compilerFolder }) });
    await shipped.activate({});
    for (const { who, tool, args, environment } of decisionTable) {
      const call = callOf(principalOf(who), targetOf(tool), args);
      const [a, b] = await Promise.all([fresh, shipped].map(async ({ engine }) => policyDecisionPoint({ engine, environment, enforces: new Set(['confirm']) }).decide(call)));
      expect(JSON.stringify(a, withoutRevision)).toBe(JSON.stringify(b, withoutRevision));
    }
  });
});

describe('a compiled policy that needs functions of another evaluator', () => {
  it('is refused when it is loaded, not when the first call reaches them', async () => {
    const compiler = await loadRegoCompiler(compilerFolder);
    const rego = 'package stoa.authz\ndefault decision := {"allow": false, "reason": "x", "rule_id": "x", "obligations": []}\ndecision := {"allow": true, "reason": "x", "rule_id": "y", "obligations": []} if semver.compare(input.v, "1.0.0") > 0\n';
    const built = compiler.ask({ op: 'build', modules: { 'a.rego': rego }, entrypoints: ['stoa/authz/decision'] });
    await expect(embeddedEngine({ wasm: Buffer.from(built.wasm!, 'base64'), data: shippedBundle().data, file: 'theirs.wasm' })).rejects.toThrow('theirs.wasm: uses semver.compare, which the embedded evaluator does not have');
  });
});

describe('own Rego that decides too slowly', () => {
  // The one without end is stopped by its time or, where the machine is quick, by the memory that it fills.
  it.each([['for ever', 3000, /^own\.rego: (?:does not decide a call within \d+ ms|fails on a probe \(opa_malloc)/], ['for too long', 400, /^own\.rego: takes \d+ ms for one decision/]])('is not put in force, though only callers with rights would meet it: %s', async (_, size, says) => {
    const wasm = await compileRego(operator(`deny contains "x" if count([1 | some a in numbers.range(1, ${size}); some b in numbers.range(1, ${size}); a * b == -1]) > 0`), { compilerFolder });
    const active = new ActivePolicy();
    await active.activate({});
    const before = active.revision;
    await expect(active.activate({ wasm, varies: ['arguments', 'time'], file: 'own.rego' })).rejects.toThrow(says);
    expect(active.revision).toBe(before);
  });
});
