import { setTimeout as wait } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Unavailable } from '#libs/core/errors.js';
import { tenantKey, tenantSlug } from '#libs/core/tenant.js';
import { answersContract } from '#libs/idempotency/answers.contract.js';
import { redisAnswers } from '#libs/idempotency/redis-answers.js';
import { startRedis } from './services/redis.js';

/** It takes a moment until the connection stands; a command before that is refused. */
async function connected(url: string): Promise<ReturnType<typeof redisAnswers>> {
  const answers = redisAnswers({ url });
  for (;;) {
    try { await answers.free(tenantKey(tenantSlug('acme')!, 'nothing'), ''); return answers; } catch { await wait(10); }
  }
}

answersContract('redis', async () => {
  const redis = await startRedis();
  return { answers: await connected(redis.url), wait: async (ms) => { await wait(ms); }, close: () => redis.stop() };
});

it('a call with a key is refused while Redis is away: nobody knows whether it was made', async () => {
  const redis = await startRedis();
  const answers = await connected(redis.url);
  await redis.stop();
  await expect(answers.take(tenantKey(tenantSlug('acme')!, 'k'), 'a', 'd', 1000)).rejects.toBeInstanceOf(Unavailable);
  answers.close();
});
