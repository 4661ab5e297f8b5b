import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { built, freshHome, refused } from './product.js';

const { home, remove } = freshHome();
const file = join(home, 'a-file');
// No mode keeps the superuser out, but no user may make folders in sysfs.
const unwritable = process.getuid?.() === 0 ? '/sys/stoa' : join(home, 'locked');
beforeAll(() => {
  built();
  writeFileSync(file, '');
  if (unwritable.startsWith(home)) { mkdirSync(unwritable); chmodSync(unwritable, 0o500); }
}, 90_000);
afterAll(remove);

const cases: readonly { readonly name: string; readonly env: Readonly<Record<string, string>>; readonly says: RegExp }[] = [
  { name: 'a data folder that cannot be made', env: { STOA_HOME: join(file, 'home') }, says: /^stoa: The data folder \S+ cannot be used .*\n$/ },
  { name: 'a data folder where nothing can be written', env: { STOA_HOME: unwritable }, says: /^stoa: The data folder \S+ cannot be used .*\n$/ },
  { name: 'a data folder on a file system that cannot have one', env: { STOA_HOME: '/proc/stoa/deep' }, says: /^stoa: The data folder \S+ cannot be used .*\n$/ },
  { name: 'a port that is no port', env: { STOA_PORT: '99999' }, says: /STOA_PORT.*99999/ },
  { name: 'an address that others can reach', env: { STOA_HOST: '0.0.0.0' }, says: /STOA_HOST.*loopback/ },
  { name: 'an egress entry that is none', env: { EGRESS_ALLOW: 'not a host!' }, says: /not a host!/ },
];
it.each(cases)('does not start with $name, and says so without a stack', { timeout: 60_000 }, async ({ env, says }) => {
  const { code, stdout, stderr } = await refused({ STOA_HOME: join(home, 'data'), STOA_PORT: '0', ...env });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(says);
  expect(stderr).not.toContain('    at ');
});
