import { expect, it } from 'vitest';
import { intervalSeconds } from './interval.js';

it.each([
  ['10s', 10], ['30s', 30], ['5m', 300], ['1h', 3600], ['30d', 2_592_000],
  ['9s', undefined], ['31d', undefined], ['1', undefined], ['1w', undefined], ['-1m', undefined], ['1.5h', undefined], [' 1m', undefined], ['', undefined], ['99999999s', undefined],
])('reads %j as %j seconds', (text, seconds) => {
  expect(intervalSeconds(text)).toBe(seconds);
});
