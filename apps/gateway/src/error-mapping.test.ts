import { describe, expect, it } from 'vitest';
import { Denial, type ErrorCode } from '#libs/core/errors.js';
import { mcpAnswer, restAnswer } from './error-mapping.js';

const denial = (code: ErrorCode, more: Partial<ConstructorParameters<typeof Denial>[0]> = {}): Denial => new Denial({ code, message: 'What the caller may read.', reason: 'private', ...more });

// Wire-visible numbers are written out: a test that imported them could not see them change.
const ROWS: readonly { code: ErrorCode; modern: readonly [number, number | 'tool error']; legacy: readonly [number, number | 'tool error']; rest: number }[] = [
  { code: 'UNAUTHENTICATED',            modern: [401, -31005],       legacy: [401, -31005],       rest: 401 },
  { code: 'INSUFFICIENT_SCOPE',         modern: [403, -31006],       legacy: [403, -31006],       rest: 403 },
  { code: 'NOT_FOUND',                  modern: [200, -32602],       legacy: [200, -32602],       rest: 404 },
  { code: 'FORBIDDEN',                  modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 403 },
  { code: 'RATE_LIMITED',               modern: [429, -31001],       legacy: [429, -31001],       rest: 429 },
  { code: 'QUOTA_EXCEEDED',             modern: [429, -31002],       legacy: [429, -31002],       rest: 429 },
  { code: 'INVALID_ARGUMENTS',          modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 422 },
  { code: 'BACKEND_ERROR',              modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 502 },
  { code: 'BACKEND_TIMEOUT',            modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 504 },
  { code: 'BACKEND_UNREACHABLE',        modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 502 },
  { code: 'BACKEND_RESPONSE_TOO_LARGE', modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 502 },
  { code: 'BACKEND_CONTRACT_VIOLATION', modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 502 },
  { code: 'EGRESS_REFUSED',             modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 502 },
  { code: 'CREDENTIAL_MISSING',         modern: [200, 'tool error'], legacy: [200, 'tool error'], rest: 502 },
  { code: 'UNAVAILABLE',                modern: [503, -31004],       legacy: [503, -31004],       rest: 503 },
  { code: 'CANCELLED',                  modern: [200, -31007],       legacy: [200, -31007],       rest: 499 },
  { code: 'INTERNAL',                   modern: [200, -32603],       legacy: [200, -32603],       rest: 500 },
];

describe('the golden error table', () => {
  it.each(ROWS)('answers $code of a tool at every door', ({ code, modern, legacy, rest }) => {
    for (const [era, [status, wire]] of [['modern', modern], ['legacy', legacy]] as const) {
      const answer = mcpAnswer(denial(code), { era, kind: 'tool', name: 't', requestId: 'req-7' });
      expect([answer.status, answer.as === 'error' ? answer.code : 'tool error']).toEqual([status, wire]);
      expect(answer.as === 'error' ? answer.data : answer.meta).toMatchObject({ correlation_id: 'req-7', code });
      expect(JSON.stringify(answer)).not.toContain('private');
    }
    const answer = restAnswer(denial(code));
    expect(answer.status).toBe(rest);
    expect(answer.body.detail).toContain('What the caller may read.');
    expect(JSON.stringify(answer)).not.toContain('private');
  });

  it.each([
    { era: 'modern', kind: 'resource', code: -32602 },
    { era: 'legacy', kind: 'resource', code: -32002 },
    { era: 'modern', kind: 'prompt', code: -32602 },
    { era: 'legacy', kind: 'prompt', code: -32602 },
  ] as const)('answers a missing $kind in the $era era with $code', ({ era, kind, code }) => {
    expect(mcpAnswer(denial('NOT_FOUND'), { era, kind, name: 'x://y', requestId: 'r' })).toMatchObject({ as: 'error', status: 200, code, ...(kind === 'resource' ? { data: { uri: 'x://y' } } : {}) });
  });

  it('answers a prompt with wrong arguments as invalid parameters, and 400 at the REST door', () => {
    const wrong = denial('INVALID_ARGUMENTS', { issues: [{ pointer: '/who', message: 'is required' }] });
    expect(mcpAnswer(wrong, { era: 'modern', kind: 'prompt', name: 'p', requestId: 'r' })).toMatchObject({ as: 'error', code: -32602 });
    expect(restAnswer(wrong, 'prompt')).toEqual({ status: 400, headers: {}, body: { detail: 'What the caller may read.' } });
  });

  it('lists wrong arguments of a tool by place at the REST door', () => {
    const answer = restAnswer(denial('INVALID_ARGUMENTS', { issues: [{ pointer: '/a~1b/0', message: 'must be string' }] }));
    expect(answer).toEqual({ status: 422, headers: {}, body: { detail: [{ loc: ['body', 'arguments', 'a/b', '0'], msg: 'must be string', type: 'value_error' }] } });
  });

  it('gives Retry-After in whole seconds, at least one', () => {
    for (const [given, sent] of [[0.2, '1'], [undefined, '1'], [59.1, '60']] as const) {
      const limited = denial('RATE_LIMITED', given === undefined ? {} : { retryAfterSeconds: given });
      expect(restAnswer(limited).headers).toEqual({ 'retry-after': sent });
      expect(mcpAnswer(limited, { era: 'modern', kind: 'tool', name: 't', requestId: 'r' }).headers).toEqual({ 'retry-after': sent });
    }
  });

  it('names all scopes that are missing in one challenge, and nothing that could end the quoted string', () => {
    expect(restAnswer(denial('INSUFFICIENT_SCOPE', { missingScopes: ['stoa:write', 'stoa:"x'] })).headers['www-authenticate']).toBe('Bearer error="insufficient_scope", scope="stoa:write stoa:x"');
  });
});
