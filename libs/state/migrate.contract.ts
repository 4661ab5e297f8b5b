import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from './database.js';
import { assertMigrated, migrate, MigrationFailed, NotMigrated } from './migrate.js';

export const ALL_MIGRATIONS = ['20261101000000_apis_and_tools', '20261102000000_prompts_and_resources', '20261103000000_api_keys', '20261104000000_policies', '20261105000000_limits', '20261106000000_ledger', '20261107000000_api_contents', '20261108000000_audit', '20261109000000_idempotency'];
const ALL = ALL_MIGRATIONS;

/** `open` gives an empty database of its own to each test. */
export function migrationsContract(engine: string, open: () => Promise<Database>): void {
  describe(`migrations: ${engine}`, () => {
    let folder: string;
    let migrations: string;
    let database: Database;
    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'stoa-migrations-'));
      migrations = path.join(folder, 'migrations');
      await cp('prisma/migrations', migrations, { recursive: true });
      database = await open();
    });
    afterEach(async () => {
      await database.close();
      await rm(folder, { recursive: true, force: true });
    });
    const add = async (name: string, sql: string): Promise<void> => {
      await mkdir(path.join(migrations, name));
      await writeFile(path.join(migrations, name, 'migration.sql'), sql);
    };

    it('are applied in order, once, and recorded as finished', async () => {
      expect(await migrate(database)).toEqual(ALL);
      expect(await migrate(database)).toEqual([]);
      await assertMigrated(database);
      const rows = await database.session((session) => session.query('SELECT migration_name, length(checksum) AS length, finished_at IS NOT NULL AS finished, applied_steps_count AS steps FROM _prisma_migrations ORDER BY started_at'));
      expect(rows).toEqual(ALL.map((migration_name) => ({ migration_name, length: 64, finished: true, steps: 1 })));
    });

    it('are missed by a data plane, in words that say who applies them', async () => {
      const refusal = await assertMigrated(database).catch((failure: unknown) => failure);
      expect(refusal).toBeInstanceOf(NotMigrated);
      expect((refusal as Error).message).toBe(`The database lacks the migration ${ALL.join(', ')}: start the controller of this version, which applies it`);
      await rm(path.join(migrations, ALL[1] ?? ''), { recursive: true });
      await migrate(database, migrations);
      await expect(assertMigrated(database)).rejects.toThrow(`lacks the migration ${ALL[1]}:`);
    });

    it('bring a database of the previous version up to date with its rows', async () => {
      const [newest = ''] = ALL.slice(-1);
      await rm(path.join(migrations, newest), { recursive: true });
      expect(await migrate(database, migrations)).toEqual(ALL.slice(0, -1));
      await database.control((transaction) => transaction.tenant.create({ data: { slug: 'acme', displayName: 'A' } }));
      expect(await migrate(database)).toEqual([newest]);
      expect(await database.control((transaction) => transaction.tenant.findMany())).toMatchObject([{ slug: 'acme' }]);
    });

    it('that fail leave nothing of themselves, say what Postgres said, and can be tried again', async () => {
      await add('20990101000000_bad', 'CREATE TABLE half (id int); SELECT 1/0;');
      const refusal = await migrate(database, migrations).catch((failure: unknown) => failure);
      expect(refusal).toBeInstanceOf(MigrationFailed);
      expect((refusal as Error).message).toBe('The migration 20990101000000_bad failed: division by zero');
      expect(await database.session((session) => session.query(`SELECT to_regclass('half') AS half, (SELECT count(*)::int FROM _prisma_migrations) AS applied`))).toEqual([{ half: null, applied: ALL.length }]);
      await writeFile(path.join(migrations, '20990101000000_bad', 'migration.sql'), 'CREATE TABLE half (id int);');
      expect(await migrate(database, migrations)).toEqual(['20990101000000_bad']);
    });

    it('that were changed after they were applied are refused', async () => {
      await migrate(database);
      await writeFile(path.join(migrations, ALL[0] ?? '', 'migration.sql'), 'SELECT 1;');
      await expect(migrate(database, migrations)).rejects.toThrow(`The migration ${ALL[0]} is not the one that was applied: its file was changed since; restore it`);
    });

    it('of a newer build are refused by an older controller and fine for an older data plane', async () => {
      await add('20990101000000_newer', 'SELECT 1;');
      await migrate(database, migrations);
      await expect(migrate(database)).rejects.toThrow(/20990101000000_newer, which this build does not know: it is newer than this build/);
      await assertMigrated(database);
    });

    it('that were begun by another tool and not finished are not passed over', async () => {
      await migrate(database);
      await database.session((session) => session.script(`UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name = '${ALL[1]}'`));
      await expect(migrate(database)).rejects.toThrow(/was begun and never finished/);
      await expect(assertMigrated(database)).rejects.toBeInstanceOf(NotMigrated);
    });
  });
}
