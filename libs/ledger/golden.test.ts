import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NOW } from './a-usage.contract.js';
import { SHIPPED } from './books.js';
import { isTaken, takeMessage } from './intake.js';
import { amountText } from './money.js';
import { OWN_ACCOUNT, rate } from './rate.js';

interface Golden { readonly message: { readonly key: string; readonly value: string; readonly headers: Readonly<Record<string, string>> }; readonly amount: string }

/** Messages as released builds wrote them, byte for byte, and what they cost: these files are added to and never changed. */
describe('events of every released version are taken, and cost what they did (BILL-08)', () => {
  const golden = JSON.parse(readFileSync(new URL('golden-v1.json', import.meta.url), 'utf8')) as Golden[];
  it.each(golden.map(({ message, amount }, at) => ({ at, message, amount })))('version 1, event $at: $amount', ({ at, message, amount }) => {
    // A later version's field is not this one's business.
    for (const value of [message.value, message.value.replace(/\}$/, ',"added_later":{"a":1}}')]) {
      const intake = takeMessage({ header: (name) => message.headers[name], key: message.key, value, place: `golden/${at}` }, NOW);
      expect(isTaken(intake) && amountText(rate(intake.usage, SHIPPED.book, OWN_ACCOUNT, new Map()).amount)).toBe(amount);
    }
  });
  it('holds one of each outcome', () => { expect(golden.length).toBeGreaterThanOrEqual(17); });
});
