import type { ReadinessCheck } from '#libs/core/ports.js';
import type { Database } from './database.js';
import { assertMigrated } from './migrate.js';

/**
 * Whether the database answers, and has this build's schema: asked until it once had it, since migrations only add. The reason says
 * what to do.
 */
export function databaseReadiness(database: Database, assertSchema: typeof assertMigrated = assertMigrated): ReadinessCheck {
  let migrated = false;
  return {
    name: 'database',
    check: async () => {
      try {
        await database.ping();
        if (!migrated) await assertSchema(database);
        migrated = true;
        return { ok: true };
      } catch (failure) {
        return { ok: false, reason: failure instanceof Error ? failure.message : String(failure) };
      }
    },
  };
}
