import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tenantKey, tenantSlug, type TenantKey } from '#libs/core/tenant.js';
import type { Held, KeptAnswers } from './kept-answers.js';

const DAY = 86_400_000;
const keyOf = (tenant: string, name: string): TenantKey => tenantKey(tenantSlug(tenant)!, name);
const answer = (digest: string, text = '{"ok":true}\0\uD800'): Held => ({ digest, kept: { callId: 'b-1', answer: { result: { type: 'tool', content: [{ type: 'text', text }], isError: false }, outcome: 'success', latencyMs: 0, bytes: 0, attempts: 0 } } });

/** What every store of answers promises. `wait` lets at least so many milliseconds of its time pass. */
export function answersContract(name: string, open: () => Promise<{ readonly answers: KeptAnswers; readonly wait: (ms: number) => Promise<void>; readonly close?: () => Promise<void> }>): void {
  describe(`answers under their keys: ${name}`, () => {
    let on: Awaited<ReturnType<typeof open>>;
    beforeAll(async () => { on = await open(); });
    afterAll(async () => { on.answers.close(); await on.close?.(); });

    it('gives a key to one of many that ask at the same time, and tells the others what it was taken for', async () => {
      const found = await Promise.all(Array.from({ length: 20 }, (_, at) => Promise.resolve(on.answers.take(keyOf('acme', 'race'), `owner-${at}`, 'd1', DAY))));
      expect(found.filter((one) => one === undefined)).toHaveLength(1);
      expect(found.filter((one) => one !== undefined)).toEqual(Array.from({ length: 19 }, () => expect.objectContaining({ digest: 'd1' })));
      expect(found.every((one) => one?.kept === undefined)).toBe(true);
    });
    it('tells the answer, whatever text is in it, to whoever asks later, and to no other tenant', async () => {
      const key = keyOf('acme', 'told');
      await on.answers.take(key, 'a', 'd1', DAY);
      await on.answers.keep(key, answer('d1'), DAY);
      expect(await on.answers.take(key, 'b', 'd2', DAY)).toEqual(answer('d1', '{"ok":true}\0\uD800'));
      expect(await on.answers.take(keyOf('globex', 'told'), 'c', 'd1', DAY)).toBeUndefined();
    });
    it('takes a key back from its owner alone, and not once the answer is there', async () => {
      const key = keyOf('acme', 'freed');
      await on.answers.take(key, 'a', 'd1', DAY);
      await on.answers.free(key, 'b');
      expect(await on.answers.take(key, 'b', 'd1', DAY)).toMatchObject({ digest: 'd1' });
      await on.answers.free(key, 'a');
      expect(await on.answers.take(key, 'b', 'd2', DAY)).toBeUndefined();
      await on.answers.keep(key, answer('d2'), DAY);
      await on.answers.free(key, 'b');
      expect(await on.answers.take(key, 'c', 'd2', DAY)).toMatchObject({ kept: { callId: 'b-1' } });
    });
    it('forgets a key whose owner is gone, and an answer past its time', async () => {
      const [lost, old] = [keyOf('acme', 'lost'), keyOf('acme', 'old')];
      await on.answers.take(lost, 'a', 'd1', 100);
      await on.answers.take(old, 'a', 'd1', DAY);
      await on.answers.keep(old, answer('d1'), 100);
      await on.wait(150);
      expect(await on.answers.take(lost, 'b', 'd2', DAY)).toBeUndefined();
      expect(await on.answers.take(old, 'b', 'd2', DAY)).toBeUndefined();
    });
  });
}
