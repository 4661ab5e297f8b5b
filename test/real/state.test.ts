import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, escapeIdentifier } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { databaseCatalogueSource } from '#libs/state/catalogue-source.js';
import { controlStoreContract, slug } from '#libs/state/control-store.contract.js';
import { databaseControlStore } from '#libs/state/control-store.js';
import { openDatabase } from '#libs/state/database.js';
import type { Database } from '#libs/state/database.js';
import { ALL_MIGRATIONS, migrationsContract } from '#libs/state/migrate.contract.js';
import { assertMigrated, migrate } from '#libs/state/migrate.js';
import { draftOf, petTool } from '#libs/state/pet-draft.contract.js';
import { rowLevelSecurityContract } from '#libs/state/row-level-security.contract.js';
import { startPostgres } from './services/postgres.js';
import type { PostgresServer } from './services/postgres.js';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres(); });
afterAll(() => server.stop());

const migrated = async (): Promise<{ database: Database; url: string }> => {
  const url = await server.database();
  const database = await openDatabase({ url });
  await migrate(database);
  return { database, url };
};

controlStoreContract('Postgres', async () => {
  const { database } = await migrated();
  return { store: databaseControlStore(database), source: databaseCatalogueSource(database), close: () => database.close() };
});

rowLevelSecurityContract('Postgres', async () => {
  const { database } = await migrated();
  return { database, close: () => database.close() };
});

migrationsContract('Postgres', async () => openDatabase({ url: await server.database() }));

const ALL = ALL_MIGRATIONS;

const prisma = (url: string, ...command: string[]) => promisify(execFile)(process.execPath, ['node_modules/prisma/build/index.js', ...command], {
  env: { ...process.env, DATABASE_URL: url, PRISMA_SCHEMA_ENGINE_BINARY: path.resolve('tools/prisma-schema-engine-wasm.mjs'), PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
});

describe('migrations on Postgres', () => {
  it('are applied once when several controllers start together', async () => {
    const url = await server.database();
    const controllers = await Promise.all(Array.from({ length: 4 }, () => openDatabase({ url })));
    const applied = await Promise.all(controllers.map((database) => migrate(database)));
    expect(applied.flat()).toEqual(ALL);
    await Promise.all(controllers.map((database) => database.close()));
  });

  it('are applied in two new databases of one server at once, although roles belong to the server', async () => {
    const opened = await Promise.all([migrated(), migrated(), migrated()]);
    for (const { database } of opened) {
      await expect(assertMigrated(database)).resolves.toBeUndefined();
      await database.close();
    }
  });

  it('bring a database of the previous version up to date with its rows', async () => {
    const previous = await mkdtemp(path.join(tmpdir(), 'stoa-migrations-'));
    await cp('prisma/migrations', previous, { recursive: true });
    const [newest = ''] = ALL.slice(-1);
    await rm(path.join(previous, newest), { recursive: true });
    const database = await openDatabase({ url: await server.database() });
    expect(await migrate(database, previous)).toEqual(ALL.slice(0, -1));
    await rm(previous, { recursive: true });
    const store = databaseControlStore(database);
    await store.createTenant({ slug: slug('acme'), displayName: 'A', description: '' });
    await store.putApi(slug('acme'), draftOf({ tools: [petTool('listPets')] }));
    await expect(assertMigrated(database)).rejects.toThrow(newest);
    expect(await migrate(database)).toEqual([newest]);
    await assertMigrated(database);
    expect((await databaseCatalogueSource(database).load(slug('acme')))?.targets.map((target) => target.name)).toContain('listPets');
    await database.close();
  });

  it('are understood by prisma migrate: status says up to date, and deploy has nothing to do', async () => {
    const { database, url } = await migrated();
    expect((await prisma(url, 'migrate', 'status')).stdout).toMatch(/Database schema is up to date!/);
    expect((await prisma(url, 'migrate', 'deploy')).stdout).toMatch(/No pending migrations to apply/);
    await database.close();
  });

  it('are understood when prisma migrate deploy applied them', async () => {
    const url = await server.database();
    expect((await prisma(url, 'migrate', 'deploy')).stdout).toMatch(/All migrations have been successfully applied/);
    const database = await openDatabase({ url });
    expect(await migrate(database)).toEqual([]);
    await assertMigrated(database);
    await databaseControlStore(database).createTenant({ slug: slug('acme'), displayName: '', description: '' });
    await database.close();
  });

  it('make exactly the tables of prisma/schema.prisma', async () => {
    const { database, url } = await migrated();
    const diff = await prisma(url, 'migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma', '--exit-code');
    expect(diff.stdout).toMatch(/No difference detected/);
    await database.close();
  });

  it('do for a login that owns the database without being a superuser, and a data plane that may only read and write through the roles', async () => {
    const admin = new Client({ connectionString: server.url });
    await admin.connect();
    const url = new URL(await server.database());
    await admin.query(`CREATE ROLE control_plane LOGIN CREATEROLE PASSWORD 'c'; CREATE ROLE data_plane LOGIN PASSWORD 'd'`);
    // The roles may be there from another database of this server: then an administrator grants them.
    await admin.query(`DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'stoa_app') THEN GRANT stoa_app, stoa_control TO control_plane WITH ADMIN OPTION; END IF; END $$`);
    await admin.query(`ALTER DATABASE ${escapeIdentifier(url.pathname.slice(1))} OWNER TO control_plane`);
    const own = new Client({ connectionString: url.href });
    await own.connect();
    await own.query('ALTER SCHEMA public OWNER TO control_plane');
    await own.end();
    const as = (user: string, password: string): string => { const place = new URL(url); place.username = user; place.password = password; return place.href; };

    const control = await openDatabase({ url: as('control_plane', 'c') });
    await migrate(control);
    const store = databaseControlStore(control);
    await store.createTenant({ slug: slug('acme'), displayName: '', description: '' });
    await store.putApi(slug('acme'), draftOf({ tools: [petTool('listPets')] }));
    // FORCE: not even the owner sees rows without a role.
    expect(await control.session((session) => session.query('SELECT * FROM tools'))).toEqual([]);

    await admin.query('GRANT stoa_app, stoa_control TO data_plane');
    const data = await openDatabase({ url: as('data_plane', 'd') });
    await assertMigrated(data);
    expect((await databaseCatalogueSource(data).load(slug('acme')))?.targets.some((target) => target.name === 'listPets')).toBe(true);
    await expect(data.session((session) => session.script('DROP TABLE tools'))).rejects.toThrow(/must be owner/);
    await Promise.all([control.close(), data.close()]);
    await admin.end();
  });
});

describe('publications on Postgres', () => {
  let database: Database;
  let other: Database;
  let url: string;
  let killer: Client;
  const acme = slug('acme');
  beforeEach(async () => {
    ({ database, url } = await migrated());
    other = await openDatabase({ url });
    killer = new Client({ connectionString: url });
    await killer.connect();
    await databaseControlStore(database).createTenant({ slug: acme, displayName: '', description: '' });
  });
  afterEach(() => Promise.all([database.close(), other.close(), killer.end()]));

  const terminate = (where: string) => killer.query<{ killed: boolean }>(`SELECT pg_terminate_backend(pid) AS killed FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${where}`);

  it('are heard by another process within a second, by notification alone', async () => {
    // Polling every ten minutes: only the notification can be in time.
    const source = databaseCatalogueSource(other, { pollMs: 600_000 });
    const delays: number[] = [];
    const published = new Map<number, number>();
    const heard = new Map<number, number>();
    const stop = await source.watch((_tenant, revision) => { heard.set(revision, performance.now()); });
    const store = databaseControlStore(database);
    for (let round = 0; round < 20; round += 1) {
      const { revision } = await store.putApi(acme, draftOf({ tools: [petTool(`tool${round}`)] }));
      published.set(revision, performance.now());
    }
    await expect.poll(() => heard.size, { timeout: 5000 }).toBe(20);
    for (const [revision, at] of published) delays.push((heard.get(revision) ?? Infinity) - at);
    expect(Math.max(...delays)).toBeLessThan(1000);
    await stop();
  });

  it('are heard by polling alone when notifications do not come', async () => {
    const deaf: Database = { ...other, listen: () => Promise.reject(new Error('no notifications here')) };
    const troubles: unknown[] = [];
    const source = databaseCatalogueSource(deaf, { pollMs: 100, onTrouble: (failure) => troubles.push(failure) });
    const heard: number[] = [];
    const stop = await source.watch((_tenant, revision) => { heard.push(revision); });
    const { revision } = await databaseControlStore(database).putApi(acme, draftOf({}));
    await expect.poll(() => heard, { timeout: 5000 }).toEqual([revision]);
    expect(troubles.length).toBeGreaterThan(0);
    await stop();
  });

  it('are heard again after the server ended the listening connection, and those in between are not lost', async () => {
    const source = databaseCatalogueSource(other, { pollMs: 600_000 });
    const heard: number[] = [];
    const stop = await source.watch((_tenant, revision) => { heard.push(revision); });
    const store = databaseControlStore(database);
    for (let round = 0; round < 3; round += 1) {
      expect((await terminate(`query LIKE 'LISTEN%'`)).rows).toEqual([{ killed: true }]);
      const { revision } = await store.updateTenant(acme, { description: `round ${round}` });
      await expect.poll(() => heard.at(-1), { timeout: 10_000 }).toBe(revision);
      await expect.poll(async () => (await killer.query(`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`)).rowCount, { timeout: 10_000 }).toBe(1);
    }
    expect(heard).toHaveLength(3);
    await stop();
  });

  it('that are cut off in the middle leave the previous catalogue in force, and nobody hears of them', async () => {
    const store = databaseControlStore(database);
    const source = databaseCatalogueSource(other);
    await store.putApi(acme, draftOf({ tools: [petTool('a'), petTool('b')] }));
    const before = await source.load(acme);
    const heard: number[] = [];
    const stop = await source.watch((_tenant, revision) => { heard.push(revision); });

    // Tools that take many statements; the connection is killed between two of them, when rows are written already.
    const padding = 'x'.repeat(200_000);
    const draft = draftOf({ tools: Array.from({ length: 60 }, (_, index) => petTool(`new${index}`, { description: padding })) });
    const failed = store.putApi(acme, draft).then(() => 'published', (failure: unknown) => failure);
    await expect.poll(async () => (await terminate(`query LIKE '%INSERT INTO tools%'`)).rowCount, { timeout: 20_000, interval: 2 }).toBeGreaterThan(0);
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE' });

    expect(await source.load(acme)).toEqual(before);
    expect(heard).toEqual([]);
    const { revision } = await store.putApi(acme, draft);
    await expect.poll(() => heard, { timeout: 5000 }).toEqual([revision]);
    await stop();
  });

  it('go on after every connection was ended', async () => {
    const store = databaseControlStore(database);
    await store.listTenants();
    await terminate('true');
    await expect.poll(() => store.updateTenant(acme, { description: 'after' }).then((tenant) => tenant.description, () => 'not yet'), { timeout: 10_000 }).toBe('after');
  });
});
