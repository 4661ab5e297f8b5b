import type { SqlDatabase } from '#libs/core/sql.js';
import type { Held, KeptAnswers } from './kept-answers.js';

/** Between two sweeps of what is past keeping, in milliseconds. */
const SWEEP_MS = 600_000;

/** In the process's own database: kept over a restart. A key that a process held when it died is free when its time is over. */
export function storedAnswers(database: SqlDatabase, now: () => number = Date.now): KeptAnswers {
  let swept = 0;
  return {
    take: (key, owner, digest, holdMs) => database.control(async (sql) => {
      if (now() - swept > SWEEP_MS) {
        swept = now();
        await sql.query(`DELETE FROM idempotency.answers WHERE until < $1::text::timestamptz`, at(now()));
      }
      const [taken] = await sql.query<{ key: string }>(
        `INSERT INTO idempotency.answers AS a (key, owner, held, until) VALUES ($1, $2, $3::text::json, $4::text::timestamptz)
         ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, held = excluded.held, until = excluded.until WHERE a.until < $5::text::timestamptz RETURNING key`,
        key, owner, JSON.stringify({ digest } satisfies Held), at(now() + holdMs), at(now()));
      if (taken) return undefined;
      const [there] = await sql.query<{ held: Held }>(`SELECT held FROM idempotency.answers WHERE key = $1`, key);
      // Given back between the two statements: whoever asks again takes it.
      return there?.held ?? { digest };
    }),
    keep: (key, held, keepMs) => database.control(async (sql) => {
      await sql.query(`UPDATE idempotency.answers SET owner = '', held = $2::text::json, until = $3::text::timestamptz WHERE key = $1`, key, JSON.stringify(held), at(now() + keepMs));
    }),
    free: (key, owner) => database.control(async (sql) => { await sql.query(`DELETE FROM idempotency.answers WHERE key = $1 AND owner = $2`, key, owner); }),
    close: () => undefined,
  };
}

const at = (ms: number): string => new Date(ms).toISOString();
