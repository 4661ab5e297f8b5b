import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { slug } from './control-store.contract.js';
import { databaseControlStore } from './control-store.js';
import { openDatabase, type Database } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { migrate } from './migrate.js';
import { databasePolicyStore } from './policies.js';

const [acme, globex] = [slug('acme'), slug('globex')];
let database: Database;
let remove: () => void | Promise<void>;
beforeAll(async () => {
  const folder = await emptyFolder();
  remove = folder.remove;
  database = await openDatabase({ directory: folder.data });
  await migrate(database);
  for (const tenant of [acme, globex]) await databaseControlStore(database).createTenant({ slug: tenant, displayName: '', description: '' });
}, 60_000);
afterAll(async () => { await database.close(); await remove(); });
const digest = (letter: string): string => letter.repeat(64);

describe('stored policies', () => {
  it('are in force by a pointer: one for each scope, the older ones kept, every move a higher revision and told', async () => {
    const store = databasePolicyStore(database, { pollMs: 60_000 });
    let told = 0;
    const stop = await store.watch(() => { told += 1; });
    const first = await store.put({ scope: acme, digest: digest('a'), files: { 'r.yaml': 'x' }, createdBy: 'ada' });
    await vi.waitFor(() => { expect(told).toBe(1); });
    const second = await store.put({ scope: acme, digest: digest('b'), files: { 'r.yaml': 'y' }, createdBy: 'ada' });
    await store.put({ scope: undefined, digest: digest('c'), files: {}, createdBy: 'root' }, { digest: digest('d'), wasm: new Uint8Array([0, 97]) });
    expect(second.revision).toBeGreaterThan(first.revision);
    const { policies } = await store.active();
    expect(policies.map(({ scope, digest: d }) => [scope, d[0]])).toEqual([[undefined, 'c'], ['acme', 'b']]);
    // The same again moves the pointer back to what is there already.
    await store.put({ scope: acme, digest: digest('a'), files: { 'r.yaml': 'x' }, createdBy: 'eve' });
    expect((await store.history(acme)).map(({ digest: d, active, createdBy }) => [d[0], active, createdBy])).toEqual([['a', true, 'ada'], ['b', false, 'ada']]);
    expect(await store.history(globex)).toEqual([]);
    expect([await store.module(digest('d')), await store.module(digest('e'))]).toEqual([new Uint8Array([0, 97]), undefined]);
    await store.withdraw(acme);
    expect((await store.active()).policies.map(({ scope }) => scope)).toEqual([undefined]);
    await vi.waitFor(() => { expect(told).toBeGreaterThanOrEqual(4); });
    await stop();
  });
  it('are of tenants that exist, go with them, and are not changed by anybody', async () => {
    const store = databasePolicyStore(database);
    await expect(store.put({ scope: slug('nobody'), digest: digest('a'), files: {}, createdBy: '' })).rejects.toMatchObject({ code: 'NO_SUCH_RECORD' });
    await store.put({ scope: globex, digest: digest('a'), files: {}, createdBy: '' });
    for (const statement of ["UPDATE policies SET files = '{}'", 'DELETE FROM policies']) await expect(database.tenant(globex, (transaction) => transaction.$executeRawUnsafe(statement))).rejects.toThrow(/permission denied/);
    await expect(database.control((transaction) => transaction.$executeRawUnsafe("UPDATE policies SET digest = repeat('f', 64)"))).rejects.toThrow(/permission denied/);
    expect(await database.control((transaction) => transaction.$executeRawUnsafe("UPDATE policies SET active = false WHERE tenant = 'globex'"))).toBe(0);
    await databaseControlStore(database).deleteTenant(globex);
    expect((await store.active()).policies.some(({ scope }) => scope === globex)).toBe(false);
  });
});
