import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { requestId } from './request-id.js';

const idFor = (header?: string): string => requestId({ headers: header === undefined ? {} : { 'x-request-id': header } } as unknown as IncomingMessage);

describe('the id of a request', () => {
  it.each(['a', 'x'.repeat(128), '~!-42'])('is the caller\'s own: %s', (given) => { expect(idFor(given)).toBe(given); });
  it.each(['', 'x'.repeat(129), 'two words', 'tab\t', 'é'])('is ours where the caller\'s could break a log or a header: %j', (given) => { expect(idFor(given)).not.toBe(given); });

  it('is a UUIDv7 of this millisecond (RFC 9562 §5.7), never the same twice, over more ids than random bytes are asked for at a time', () => {
    const before = Date.now();
    const ids = Array.from({ length: 5_000 }, () => idFor());
    const after = Date.now();
    expect(new Set(ids).size).toBe(5_000);
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      const at = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
      expect(at >= before && at <= after).toBe(true);
    }
  });
  it('draws every random bit: each hexadecimal place takes every value it may', () => {
    const seen = Array.from({ length: 36 }, () => new Set<string>());
    for (let i = 0; i < 5_000; i++) idFor().split('').forEach((char, place) => seen[place]?.add(char));
    expect(seen.slice(15).map((chars) => chars.size)).toEqual([16, 16, 16, 1, 4, 16, 16, 16, 1, ...Array.from({ length: 12 }, () => 16)]);
  });
});
