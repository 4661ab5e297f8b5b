import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Database, Session } from './database.js';

/** A migration cannot be applied; the database is as it was before it. */
export class MigrationFailed extends Error {
  readonly code = 'MIGRATION_FAILED';
  override get name(): string { return 'MigrationFailed'; }
}
/** The database is not at this build's schema; only a control plane changes that. */
export class NotMigrated extends Error {
  readonly code = 'NOT_MIGRATED';
  override get name(): string { return 'NotMigrated'; }
}

interface Migration { readonly name: string; readonly sql: string; readonly checksum: string }
interface Applied { readonly migration_name: string; readonly checksum: string; readonly finished: boolean }

/** The lock that `prisma migrate` takes as well, so that the two never run at once. */
const LOCK = 72707369;

// As `prisma migrate` makes and reads it.
const TABLE = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  "id" VARCHAR(36) PRIMARY KEY NOT NULL,
  "checksum" VARCHAR(64) NOT NULL,
  "finished_at" TIMESTAMPTZ,
  "migration_name" VARCHAR(255) NOT NULL,
  "logs" TEXT,
  "rolled_back_at" TIMESTAMPTZ,
  "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(),
  "applied_steps_count" INTEGER NOT NULL DEFAULT 0
)`;
const APPLIED = `SELECT "migration_name", "checksum", "finished_at" IS NOT NULL AS "finished" FROM "_prisma_migrations" WHERE "rolled_back_at" IS NULL ORDER BY "started_at"`;

/**
 * Bring the database to this build's schema; answers the names of what it applied, in order. Each migration is one
 * transaction together with its record, in the table and with the checksum of `prisma migrate deploy`. Several may call it
 * at once: the others wait. Rejects with `MigrationFailed`, naming the migration and what Postgres said.
 */
export async function migrate(database: Database, folder = migrationsFolder()): Promise<readonly string[]> {
  const known = await readMigrations(folder);
  return database.session(async (session) => {
    // The embedded database has one session and one process: nobody to lock out.
    if (database.engine === 'postgres') await session.query('SELECT pg_advisory_lock($1)', [LOCK]);
    await session.script(TABLE);
    const pending = pendingOf(known, await session.query<Applied>(APPLIED));
    for (const migration of pending) await apply(session, migration);
    return pending.map((migration) => migration.name);
  });
}

/** Rejects with `NotMigrated` when a migration of this build is missing. A newer schema is fine: migrations only add until no older build runs. */
export async function assertMigrated(database: Database, folder = migrationsFolder()): Promise<void> {
  const known = await readMigrations(folder);
  const applied = new Set(await database.control(async (transaction) => {
    const [table] = await transaction.$queryRawUnsafe<{ present: boolean }[]>(`SELECT to_regclass('"_prisma_migrations"') IS NOT NULL AS present`);
    if (table?.present !== true) return [];
    return (await transaction.$queryRawUnsafe<Applied[]>(APPLIED)).filter((row) => row.finished).map((row) => row.migration_name);
  }).catch((failure: unknown) => {
    // An empty database does not even have the role.
    if (failure instanceof Error && /role "stoa_control" does not exist/.test(failure.message)) return [];
    throw failure;
  }));
  const missing = known.filter((migration) => !applied.has(migration.name));
  if (missing.length > 0) {
    throw new NotMigrated(`The database lacks the migration ${missing.map((migration) => migration.name).join(', ')}: start the controller of this version, which applies it`);
  }
}

/** `prisma/migrations` of this build, found upwards from here: sources and the built product lie at different depths. */
function migrationsFolder(): string {
  for (let at = import.meta.dirname; ; at = path.dirname(at)) {
    const folder = path.join(at, 'prisma', 'migrations');
    if (existsSync(path.join(folder, 'migration_lock.toml'))) return folder;
    if (path.dirname(at) === at) throw new MigrationFailed('The folder prisma/migrations is not beside the product: install it whole');
  }
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const names = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => entry.name).toSorted();
  return Promise.all(names.map(async (name) => {
    const bytes = await readFile(path.join(folder, name, 'migration.sql'));
    return { name, sql: bytes.toString('utf8'), checksum: createHash('sha256').update(bytes).digest('hex') };
  }));
}

function pendingOf(known: readonly Migration[], applied: readonly Applied[]): Migration[] {
  const byName = new Map(known.map((migration) => [migration.name, migration]));
  for (const row of applied) {
    const migration = byName.get(row.migration_name);
    if (!migration) throw new MigrationFailed(`The database has the migration ${row.migration_name}, which this build does not know: it is newer than this build; start that version`);
    if (!row.finished) throw new MigrationFailed(`The migration ${row.migration_name} was begun and never finished: repair the database and mark it with "prisma migrate resolve"`);
    if (migration.checksum !== row.checksum) throw new MigrationFailed(`The migration ${row.migration_name} is not the one that was applied: its file was changed since; restore it`);
  }
  const done = new Set(applied.map((row) => row.migration_name));
  return known.filter((migration) => !done.has(migration.name));
}

async function apply(session: Session, migration: Migration): Promise<void> {
  try {
    await session.transaction(async (inside) => {
      await inside.script(migration.sql);
      await inside.query(
        `INSERT INTO "_prisma_migrations" ("id", "checksum", "migration_name", "started_at", "finished_at", "applied_steps_count") VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp(), 1)`,
        [randomUUID(), migration.checksum, migration.name],
      );
    });
  } catch (failure) {
    throw new MigrationFailed(`The migration ${migration.name} failed: ${failure instanceof Error ? failure.message : String(failure)}`, { cause: failure });
  }
}
