import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { PolicyInForce } from '#libs/policy/policy-in-force.js';
import { policyOffice } from '#libs/policy/policy-office.js';
import { databaseControlStore } from '#libs/state/control-store.js';
import { openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { databasePolicyStore } from '#libs/state/policies.js';
import { ACME } from './harness.js';

it('a policy that the control plane takes is in force in another process of the same database within two seconds, and a refused one nowhere', { timeout: 120_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'stoa-spread-'));
  const database = await openDatabase({ directory });
  await migrate(database);
  await databaseControlStore(database).createTenant({ slug: ACME, displayName: '', description: '' });
  const store = databasePolicyStore(database);
  const [controller, gateway] = [new PolicyInForce({ store }), new PolicyInForce({ store })];
  await Promise.all([controller.start(), gateway.start()]);
  const office = policyOffice({ inForce: controller, store, environment: 'dev' });
  const { inForce } = await office.apply({ tenant: ACME }, { 's.yaml': 'denied_tools: [pay]' }, 'ada');
  await vi.waitFor(() => { expect(gateway.engine()?.revision).toBe(inForce); }, 2000);
  await expect(office.apply({ tenant: ACME }, { 's.yaml': 'destructive: allow' }, 'ada')).rejects.toThrow(/destructive/);
  expect([office.revision(), gateway.engine()?.revision]).toEqual([inForce, inForce]);
  await Promise.all([controller.stop(), gateway.stop()]);
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});
