import { expect, it } from 'vitest';
import { openDatabase } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { ALL_MIGRATIONS } from './migrate.contract.js';
import { assertMigrated, migrate } from './migrate.js';

// The whole contract is run against Postgres (test/real/state.test.ts), which makes databases a hundred times faster.
it('migrates the embedded database as it does a Postgres: missed before, applied in order, once, recorded', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await expect(assertMigrated(database)).rejects.toThrow(`The database lacks the migration ${ALL_MIGRATIONS.join(', ')}: start the controller of this version, which applies it`);
  expect(await migrate(database)).toEqual(ALL_MIGRATIONS);
  expect(await migrate(database)).toEqual([]);
  await expect(assertMigrated(database)).resolves.toBeUndefined();
  const rows = await database.session((session) => session.query('SELECT migration_name, length(checksum) AS length, finished_at IS NOT NULL AS finished FROM _prisma_migrations ORDER BY started_at'));
  expect(rows).toEqual(ALL_MIGRATIONS.map((migration_name) => ({ migration_name, length: 64, finished: true })));
  await database.close();
  await remove();
});
