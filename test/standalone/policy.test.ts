import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { built, freshHome, gone, type Product, startProduct, stoa } from './product.js';

const { home, remove } = freshHome();
const policies = join(home, 'policies');
let product: Product;
beforeAll(async () => {
  built();
  product = await startProduct(home);
  mkdirSync(policies);
}, 90_000);
afterAll(async () => {
  await product.stop('SIGKILL');
  await gone(product.url);
  remove();
});
const acme = (...args: readonly string[]) => stoa(home, [...args, '--tenant', 'acme']);

describe('policy, as its author sees it', { timeout: 60_000 }, () => {
  it('a viewer sees and calls what reads, and is told what it lacks', async () => {
    const listed = (await acme('tools', '--role', 'viewer')).stdout;
    expect([listed.includes('list_pets'), listed.includes('add_pet'), listed.includes('remove_pet')]).toEqual([true, false, false]);
    expect((await acme('call', 'list_pets', '--role', 'viewer')).code).toBe(0);
    const refused = await acme('call', 'add_pet', '--role', 'viewer', '--args', '{"body":{}}');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/stoa:write/)]);
  });
  it('a destructive tool asks first', async () => {
    const asked = await acme('call', 'remove_pet', '--arg', 'petId=4');
    expect([asked.code, asked.stderr]).toEqual([1, expect.stringMatching(/Call again with --confirm/)]);
    expect((await acme('call', 'get_pet', '--arg', 'petId=4')).code).toBe(0);
    expect((await acme('call', 'remove_pet', '--arg', 'petId=4', '--confirm')).code).toBe(0);
    expect((await acme('call', 'get_pet', '--arg', 'petId=4')).code).toBe(1);
  });
  it('a policy is checked, put in force, explained and withdrawn; a bad one changes nothing', async () => {
    writeFileSync(join(policies, 'rules.yaml'), 'policies:\n  - name: no-seven\n    tool: get_pet\n    rules:\n      - { condition: { field: petId, operator: eq, value: 2 }, action: deny, message: not that one }\n');
    expect((await acme('policy', 'lint', policies)).stdout).toBe('in order\n');
    expect((await acme('policy', 'apply', policies)).stdout).toMatch(/^policy [0-9a-f]{12} of acme is in force/);
    const denied = await acme('call', 'get_pet', '--arg', 'petId=2');
    expect([denied.code, denied.stderr]).toEqual([1, expect.stringContaining('Policy violation: not that one')]);
    const id = /explain (\S+)/.exec(denied.stderr)?.[1] ?? '';
    const explained = (await acme('explain', id)).stdout;
    for (const told of ['deny  no-seven: Policy violation: not that one', '"petId":2', 'holds  no-seven (deny)', 'under the policy that decided']) expect(explained).toContain(told);
    expect((await stoa(home, ['explain', id, '--tenant', 'globex'])).stderr).toContain(`No call ${id} of globex is on record`);
    const checked = await acme('policy', 'check', '--tool', 'remove_pet', '--role', 'tenant-admin', '--arg', 'petId=7');
    expect([checked.code, checked.stdout]).toEqual([0, expect.stringMatching(/^allow {2}scope-write[^]*tied to: confirm/)]);
    writeFileSync(join(policies, 'bad.yaml'), 'policies: [{ name: a, tool: get_pett, rules: [{ action: deny }] }]\n');
    expect((await acme('policy', 'apply', policies)).stderr).toMatch(/bad\.yaml.*no tool is called get_pett/);
    expect((await acme('call', 'get_pet', '--arg', 'petId=2')).code).toBe(1);
    await acme('policy', 'withdraw');
    expect((await acme('call', 'get_pet', '--arg', 'petId=2')).code).toBe(0);
  });
});
