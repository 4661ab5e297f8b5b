import { describe, expect, it } from 'vitest';
import { tenantKey, tenantSlug } from '#libs/core/tenant.js';
import { openDatabase } from '#libs/state/database.js';
import { emptyFolder } from '#libs/state/empty-folder.contract.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { answersContract } from './answers.contract.js';
import { memoryAnswers } from './memory-answers.js';
import { storedAnswers } from './stored-answers.js';

const clock = (start: number) => { let now = start; return { now: () => now, wait: async (ms: number) => { now += ms; } }; };

answersContract('memory', async () => {
  const time = clock(1000);
  return { answers: memoryAnswers(time.now), wait: time.wait };
});
answersContract('PGlite', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  const time = clock(Date.now());
  return { answers: storedAnswers(sqlDatabase(database), time.now), wait: time.wait, close: async () => { await database.close(); await remove(); } };
});

const key = (tenant: string, at: number) => tenantKey(tenantSlug(tenant)!, `k${at}`);

describe('answers in memory', () => {
  it('are bounded for each tenant: a busy one drops its own oldest and nobody else\'s', async () => {
    const answers = memoryAnswers(() => 1, { most: 3 });
    await answers.take(key('globex', 0), 'a', 'd', 1000);
    for (let at = 0; at < 5; at += 1) await answers.take(key('acme', at), 'a', 'd', 1000);
    expect(await answers.take(key('globex', 0), 'b', 'd', 1000)).toBeDefined();
    expect(await answers.take(key('acme', 4), 'b', 'd', 1000)).toBeDefined();
    expect(await answers.take(key('acme', 0), 'b', 'd', 1000)).toBeUndefined();
  });
});
