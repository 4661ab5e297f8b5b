import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { document, harness, type Harness } from './harness.js';

let on: Harness;
beforeAll(async () => {
  on = await harness();
  for (const slug of ['acme', 'globex']) await on.ask('cpi-admin', 'POST /tenants', { slug });
  await on.ask('cpi-admin', 'POST /tenants/acme/apis', { name: 'pets', source: { inline: document({ read_pet: '', pay: '' }) } });
});
afterAll(() => on.app.close());
const ADMIN = 'tenant-admin@acme';
const put = (files: object, role = ADMIN, path = '/tenants/acme/policies') => on.ask(role, `PUT ${path}`, { files });
const check = async (body: object, role = ADMIN) => (await on.ask(role, 'POST /tenants/acme/policies/check', body)).json<{ allowed: boolean; rule_id: string; tried: { rule: string; holds: boolean }[]; input: { arguments: unknown; principal: { tenant: string } } }>();
const RULES = 'policies: [{ name: limit, tool: pay, rules: [{ condition: { field: amount, operator: gt, value: 1000 }, action: deny, message: too much }] }]\n';

describe('a tenant\'s policy', () => {
  it('is in force with the answer to its PUT, and out of force with that to its DELETE', async () => {
    const applied = await put({ 'rules.yaml': RULES });
    expect([applied.statusCode, applied.json()]).toEqual([200, { digest: expect.stringMatching(/^[0-9a-f]{64}$/), revision: 1, inForce: expect.stringMatching(/^[0-9a-f]{64}$/), remarks: [] }]);
    expect(await check({ tool: 'pay', role: 'viewer', arguments: { amount: 1001 } })).toMatchObject({ allowed: false, rule_id: 'limit' });
    expect(await check({ tool: 'pay', role: 'viewer', arguments: { amount: 1000 } })).toMatchObject({ allowed: true, rule_id: 'scope-read' });
    const list = (await on.ask(ADMIN, 'GET /tenants/acme/policies')).json<{ inForce: string; policies: { digest: string; active: boolean }[] }>();
    expect(list).toMatchObject({ inForce: applied.json<{ inForce: string }>().inForce, policies: [{ active: true, createdBy: 'ada', files: ['rules.yaml'] }] });
    expect((await on.ask(ADMIN, `GET /tenants/acme/policies/${list.policies[0]!.digest}`)).json()).toMatchObject({ files: { 'rules.yaml': RULES } });
    expect((await on.ask('tenant-admin@globex', 'GET /tenants/globex/policies')).json()).toMatchObject({ policies: [] });
    await on.ask(ADMIN, 'DELETE /tenants/acme/policies');
    expect(await check({ tool: 'pay', role: 'viewer', arguments: { amount: 1001 } })).toMatchObject({ allowed: true });
    expect((await on.ask(ADMIN, 'GET /tenants/acme/policies')).json()).toMatchObject({ policies: [{ active: false }] });
  });
  it.each<[string, Record<string, string>, RegExp]>([
    ['a syntax error', { 'rules.yaml': 'policies: [' }, /rules\.yaml/], ['an unknown tool', { 'rules.yaml': RULES.replace('pay', 'pya') }, /no tool is called pya/], ['an unknown role', { 'roles.yaml': 'roles: { viewr: { allowed_tools: [pay] } }' }, /no role is called viewr/],
    ['a setting that widens', { 's.yaml': 'destructive: allow' }, /destructive/], ['own Rego without a compiler', { 'own.rego': 'package stoa.tenant.acme\n\ndeny contains "x"' }, /tools\/rego-compiler\.sh/], ['no files', {}, /there is no file/],
  ])('that is refused changes nothing: %s', async (_, files, why) => {
    await put({ 'rules.yaml': RULES });
    const refused = await put(files);
    expect([refused.statusCode, refused.body]).toEqual([422, expect.stringMatching(why)]);
    expect(await check({ tool: 'pay', role: 'viewer', arguments: { amount: 1001 } })).toMatchObject({ rule_id: 'limit' });
  });
  it('is not put in force by a dry run, and lint tells what is odd', async () => {
    await put({ 'rules.yaml': RULES });
    expect((await on.ask(ADMIN, 'PUT /tenants/acme/policies', { files: { 'r.yaml': 'denied_tools: ["*"]' }, dryRun: true })).json()).toMatchObject({ digest: '', remarks: [{ message: 'denied_tools: ["*"] denies every call' }] });
    expect((await on.ask(ADMIN, 'POST /tenants/acme/policies/lint', { files: { 'r.yaml': 'denied_tools: ["*"]' } })).json()).toMatchObject({ remarks: [{ file: 'settings' }] });
    expect(await check({ tool: 'read_pet', role: 'viewer' })).toMatchObject({ allowed: true });
  });
  it('narrows its own tenant alone, and the operator\'s narrows all', async () => {
    await put({ 's.yaml': 'denied_tools: [read_pet]' });
    expect(await check({ tool: 'read_pet', role: 'cpi-admin' })).toMatchObject({ allowed: false, rule_id: 'denied-tool' });
    await on.ask(ADMIN, 'DELETE /tenants/acme/policies');
    await put({ 'rules.yaml': RULES }, 'cpi-admin', '/policies');
    expect(await check({ tool: 'pay', role: 'viewer', arguments: { amount: 2000 } })).toMatchObject({ rule_id: 'limit' });
    await on.ask('cpi-admin', 'DELETE /policies');
  });
});

describe('a dry run', () => {
  it('tells what the policy saw and every clause that was tried, in its order', async () => {
    const answer = await check({ tool: 'read_pet', roles: [], arguments: { a: 1 } });
    expect(answer).toMatchObject({ allowed: false, rule_id: 'requires-scope', input: { arguments: { a: 1 }, principal: { tenant: 'acme' }, action: 'invoke' } });
    expect(answer.tried.map(({ rule, holds }) => `${rule}${holds ? '!' : ''}`)).toEqual(['malformed-input', 'tenant-isolation', 'allowed-tools', 'denied-tool', 'no-grant!', 'required-role', 'production-restriction', 'destructive-off']);
    expect(await check({ tool: 'read_pet', role: 'viewer', allowedTools: ['pay'] })).toMatchObject({ allowed: false, rule_id: 'allowed-tools' });
  });
  it('answers 404 for what the tenant does not have', async () => {
    expect((await on.ask(ADMIN, 'POST /tenants/acme/policies/check', { tool: 'nothing', role: 'viewer' })).json()).toEqual({ detail: 'Tool not found: nothing' });
    expect((await on.ask(ADMIN, 'GET /tenants/acme/decisions/nothing')).json()).toEqual({ detail: 'Call not found: nothing' });
  });
});
