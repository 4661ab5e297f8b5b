import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { CONCURRENCY_LIMITER, RATE_LIMITER } from '#libs/core/tokens.js';
import { aCall } from './a-call.contract.js';
import { LimitsRefused } from './limits.js';
import { RATE_LIMITS, RateLimitModule } from './rate-limit.module.js';
import type { RateLimits } from './rate-limits.js';

it('gives the process its limits by configuration', async () => {
  const module = await Test.createTestingModule({ imports: [RateLimitModule.with({ limits: { user: { perMinute: 1 } } })] }).compile();
  const limits = module.get<RateLimits>(RATE_LIMITS);
  expect([limits.limiter.take(aCall()), limits.limiter.take(aCall())].map((outcome) => outcome instanceof Denial)).toEqual([false, true]);
  expect(module.get(RATE_LIMITER)).toBe(limits.limiter);
  expect(module.get(CONCURRENCY_LIMITER)).toBe(limits.concurrency);
  expect(await limits.check.check()).toEqual({ ok: true });
  await module.close();
});
it('does not start with an absurd limit', async () => {
  await expect(Test.createTestingModule({ imports: [RateLimitModule.with({ limits: { user: { perMinute: 0 } } })] }).compile()).rejects.toThrow(LimitsRefused);
});
it('goes on without Redis from its first call, on its share, and is ready', async () => {
  const module = await Test.createTestingModule({ imports: [RateLimitModule.with({ limits: { user: { perMinute: 10 } }, shared: { url: 'redis://127.0.0.1:1', replicas: 5 } })] }).compile();
  const limits = module.get<RateLimits>(RATE_LIMITS);
  const outcomes = Array.from({ length: 5 }, () => limits.limiter.take(aCall()));
  expect(outcomes.map((outcome) => outcome instanceof Denial)).toEqual([false, false, true, true, true]);
  expect(await limits.check.check()).toMatchObject({ ok: true, reason: 'Redis is away: each replica admits its share' });
  await module.close();
});
