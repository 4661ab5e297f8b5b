import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import { createCredentialResolver, environmentName, Secret } from './credentials.js';

const slug = (text: string): TenantSlug => tenantSlug(text) ?? (() => { throw new Error(text); })();
const folders: string[] = [];
afterEach(() => { for (const folder of folders.splice(0)) rmSync(folder, { recursive: true }); });
function folderOf(files: Record<string, string>): string {
  const made = mkdtempSync(join(tmpdir(), 'credentials-'));
  folders.push(made);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(made, path, '..'), { recursive: true });
    writeFileSync(join(made, path), text);
  }
  return made;
}

describe('a credential in the environment', () => {
  it("is the tenant's own", () => {
    const resolver = createCredentialResolver({ environment: { STOA_CREDENTIAL_ACME_PET_KEY: 'v' } });
    expect(resolver.resolve(slug('acme'), { from: 'environment', name: 'pet-key' })).toBe('v');
    expect(resolver.resolve(slug('other'), { from: 'environment', name: 'pet-key' })).toMatchObject({ code: 'CREDENTIAL_MISSING', message: 'the operator has not set STOA_CREDENTIAL_OTHER_PET_KEY' });
  });

  it('has a variable that no other tenant can name', () => {
    const tenants = ['a', 'a-b', 'a--b', 'a-b-c', 'b', 'a1'].map(slug);
    const names = ['c', 'b-c', 'b_c', 'b--c', 'b__c', 'c_', '1'];
    const owners = new Map<string, TenantSlug>();
    for (const tenant of tenants) for (const name of names) {
      const variable = environmentName(tenant, name);
      expect([variable, owners.get(variable) ?? tenant]).toEqual([variable, tenant]);
      owners.set(variable, tenant);
    }
  });

  it.each(['', '../x', 'a/b', 'a.b', '_x', '-x', 'a b', 'é', 'x'.repeat(129)])('is refused under the name %j', (name) => {
    expect(createCredentialResolver({ environment: {} }).resolve(slug('acme'), { from: 'environment', name })).toBeInstanceOf(Denial);
  });
});

describe('a credential in a file', () => {
  it('is read without its final line end, and again when the file changes', async () => {
    const root = folderOf({ 'acme/key': 'one\n' });
    const resolver = createCredentialResolver({ environment: {}, folder: root });
    expect(await resolver.resolve(slug('acme'), { from: 'file', name: 'key' })).toBe('one');
    writeFileSync(join(root, 'acme/key'), 'two\r\n');
    utimesSync(join(root, 'acme/key'), 1, 1);
    expect(await resolver.resolve(slug('acme'), { from: 'file', name: 'key' })).toBe('two');
  });

  it('may be mounted behind a link, as Kubernetes does', async () => {
    const root = folderOf({ 'acme/..data/key': 'linked' });
    symlinkSync(join(root, 'acme/..data/key'), join(root, 'acme/key'));
    expect(await createCredentialResolver({ environment: {}, folder: root }).resolve(slug('acme'), { from: 'file', name: 'key' })).toBe('linked');
  });

  it.each(['../other/key', '..', '.', '', '/etc/passwd', 'a/../../other/key', '..%2fother', 'a\u0000', '.hidden', 'a\\b'])("is never another tenant's (%j)", async (name) => {
    const root = folderOf({ 'acme/key': 'mine', 'other/key': 'theirs' });
    expect(await createCredentialResolver({ environment: {}, folder: root }).resolve(slug('acme'), { from: 'file', name })).toMatchObject({ code: 'CREDENTIAL_MISSING' });
  });

  it('that is missing, empty, a folder or too large is a denial that shows no path of the machine', async () => {
    const root = folderOf({ 'acme/empty': '', 'acme/big': 'x'.repeat(70_000), 'acme/sub/x': '' });
    const resolver = createCredentialResolver({ environment: {}, folder: root });
    for (const name of ['missing', 'empty', 'big', 'sub']) {
      const denial = await resolver.resolve(slug('acme'), { from: 'file', name });
      expect(denial).toMatchObject({ code: 'CREDENTIAL_MISSING' });
      expect(JSON.stringify(denial)).not.toContain(root);
    }
    expect(createCredentialResolver({ environment: {} }).resolve(slug('acme'), { from: 'file', name: 'key' })).toMatchObject({ code: 'CREDENTIAL_MISSING' });
  });
});

it('a Secret shows its value to nobody who does not ask for it', () => {
  const secret = new Secret('hunter2');
  expect([String(secret), JSON.stringify({ secret }), inspect(secret), inspect({ deep: [secret] })].join()).not.toContain('hunter2');
  expect(secret.reveal()).toBe('hunter2');
});
