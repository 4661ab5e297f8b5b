import { describe, expect, it } from 'vitest';
import type { AuthorizedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { aCall, principal } from './a-call.contract.js';
import { type LimitSettings, readLimits, STOA_OTHER, STOA_ROLES } from './limits.js';
import { memoryWindows } from './memory-windows.js';
import { quotaHeaders } from './quota-headers.js';
import { rateLimiter } from './rate-limiter.js';

const START = Date.UTC(2026, 0, 1, 12);
function limited(settings: LimitSettings) {
  let at = 0;
  const limiter = rateLimiter({ limits: readLimits(settings), store: memoryWindows({ now: () => at }), now: () => START + at });
  const take = (call: AuthorizedCall) => {
    const outcome = limiter.take(call);
    if (outcome instanceof Promise) throw new Error('memory must answer at once');
    return outcome;
  };
  const admitted = (call: AuthorizedCall, tries: number): number => Array.from({ length: tries }, () => take(call)).filter((outcome) => !(outcome instanceof Denial)).length;
  const pass = (ms: number): void => { at += ms; };
  return { take, admitted, pass };
}

describe('limits by role', () => {
  it.each([
    { roles: ['cpi-admin'], calls: 1100 },
    { roles: ['tenant-admin'], calls: 550 },
    { roles: ['devops'], calls: 220 },
    { roles: ['viewer'], calls: 70 },
    { roles: ['something-else'], calls: 35 },
    { roles: [], calls: 35 },
    { roles: ['viewer', 'unknown', 'tenant-admin', 'devops'], calls: 550 },
    { roles: ['constructor', '__proto__'], calls: 35 },
  ])('let $roles make exactly $calls calls in a minute', ({ roles, calls }) => {
    const on = limited({ roles: STOA_ROLES, other: STOA_OTHER });
    const who = principal({ roles });
    expect(on.admitted(aCall(who), calls + 100)).toBe(calls);
    on.pass(59_999);
    expect(on.admitted(aCall(who), 1)).toBe(0);
    on.pass(1);
    expect(on.admitted(aCall(who), calls + 100)).toBe(calls);
  });
  it('refuse the viewer alone: an administrator of the same tenant goes on', () => {
    const on = limited({ roles: STOA_ROLES, other: STOA_OTHER });
    expect(on.admitted(aCall(principal({ subject: 'vera' })), 71)).toBe(70);
    expect(on.admitted(aCall(principal({ subject: 'adam', roles: ['cpi-admin'] })), 71)).toBe(71);
  });
  it('count one person once, however many tokens she has', () => {
    const on = limited({ roles: STOA_ROLES, other: STOA_OTHER });
    const outcomes = Array.from({ length: 100 }, (_, at) => on.take(aCall(principal({ credentialId: `token-${at}` }))));
    expect(outcomes.filter((outcome) => outcome instanceof Denial)).toHaveLength(30);
  });
  it('count the same subject apart in another tenant, of another issuer, and without a tenant', () => {
    const on = limited({ other: { perMinute: 2 } });
    for (const facts of [{}, { tenant: 'globex' }, { issuer: 'https://other.example' }, { tenant: undefined }]) expect(on.admitted(aCall(principal(facts)), 9)).toBe(2);
  });
});

describe('a refusal', () => {
  it('says RATE_LIMITED with whole seconds of at least one, and the headers of the spent limit', () => {
    const on = limited({ user: { perMinute: 1 } });
    on.take(aCall());
    on.pass(59_999.5);
    const denial = on.take(aCall());
    expect(denial).toMatchObject({ code: 'RATE_LIMITED', message: 'Rate limit exceeded. Please retry after 1 seconds.', retryAfterSeconds: 1 });
    expect(quotaHeaders(denial)).toEqual({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1', 'retry-after': '1' });
  });
  it('sends the caller away until the last of the spent limits has come back', () => {
    const on = limited({ user: { perMinute: 1 }, tool: { perMinute: 1, burst: 1 }, tenant: { perDay: 1 } });
    on.take(aCall());
    expect(on.take(aCall())).toMatchObject({ code: 'QUOTA_EXCEEDED', retryAfterSeconds: 12 * 3600 });
  });
  it('names the limit in its reason and never in its message', () => {
    const on = limited({ user: { perMinute: 1 } });
    on.take(aCall());
    const denial = on.take(aCall());
    expect(denial instanceof Denial && denial.reason).toContain('user');
    expect(denial instanceof Denial && denial.message).not.toContain('user');
  });
});

describe('a grant', () => {
  it('shows what is left of the limit nearest to spent, decreasing', () => {
    const on = limited({ roles: STOA_ROLES, userTool: { perMinute: 3 } });
    expect([on.take(aCall()), on.take(aCall()), on.take(aCall())].map((grant) => quotaHeaders(grant))).toEqual([2, 1, 0].map((left) => (
      { 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': String(left), 'x-ratelimit-reset': '60' })));
  });
  it('is undefined where no limit applies, and then there are no headers', () => {
    expect(limited({}).take(aCall())).toBeUndefined();
    expect(quotaHeaders(undefined)).toEqual({});
  });
});

describe('limits of tools and tenants', () => {
  it('leave other tools callable when one is spent, and cost nothing elsewhere', () => {
    const on = limited({ user: { perMinute: 12 }, userTool: { perMinute: 5 } });
    expect(on.admitted(aCall(principal(), 'a'), 1000)).toBe(5);
    expect(on.admitted(aCall(principal(), 'b'), 5)).toBe(5);
    expect(on.admitted(aCall(principal(), 'c'), 5)).toBe(2);
  });
  it('let a tool of 60/10 make ten calls, and ten more when ten seconds are over', () => {
    const on = limited({ tenants: { acme: { tools: { get_pet: { perMinute: 60, burst: 10 } } } } });
    const others = [aCall(principal({ subject: 'ann' })), aCall(principal({ subject: 'bob' }))];
    expect(others.map((call) => on.admitted(call, 8))).toEqual([8, 2]);
    on.pass(9_999);
    expect(on.admitted(aCall(), 1)).toBe(0);
    on.pass(1);
    expect(on.admitted(aCall(), 99)).toBe(10);
    expect(on.admitted(aCall(principal({ tenant: 'globex' })), 99)).toBe(99);
    expect(on.admitted(aCall(principal(), 'list_pets'), 99)).toBe(99);
  });
  it('end a tenant\'s day with QUOTA_EXCEEDED until midnight of UTC, for it alone', () => {
    const on = limited({ tenants: { acme: { perDay: 3 } } });
    expect(on.admitted(aCall(), 9)).toBe(3);
    expect(on.take(aCall())).toMatchObject({ code: 'QUOTA_EXCEEDED' });
    expect(on.admitted(aCall(principal({ tenant: 'globex' })), 9)).toBe(9);
    on.pass(12 * 3_600_000 - 1);
    expect(on.admitted(aCall(), 9)).toBe(0);
    on.pass(1);
    expect(on.admitted(aCall(), 9)).toBe(3);
  });
  it('count a tenant\'s principals together', () => {
    const on = limited({ tenant: { perMinute: 5 } });
    expect(['a', 'b', 'c'].map((subject) => on.admitted(aCall(principal({ subject })), 2))).toEqual([2, 2, 1]);
  });
  it('count by credential where it has an id', () => {
    const on = limited({ token: { perMinute: 200 } });
    expect(on.admitted(aCall(principal({ credentialId: 'one' })), 300)).toBe(200);
    expect(on.admitted(aCall(principal({ credentialId: 'two' })), 1)).toBe(1);
    expect(on.admitted(aCall(principal()), 1)).toBe(1);
  });
  it('take what the control plane and the tool\'s definition say before what is configured', () => {
    const limiter = rateLimiter({
      limits: readLimits({ tenant: { perMinute: 100 }, tool: { perMinute: 100, burst: 100 } }), store: memoryWindows(),
      tenantLimits: (tenant) => (tenant === 'acme' ? { perMinute: 4 } : undefined),
    });
    const admitted = (call: AuthorizedCall) => Array.from({ length: 10 }, () => limiter.take(call)).filter((outcome) => !(outcome instanceof Denial)).length;
    const slow = aCall(principal(), 'slow');
    expect([admitted({ ...slow, target: { ...slow.target, rateLimit: { perMinute: 60, burst: 2 } } }), admitted(aCall()), admitted(aCall(principal({ tenant: 'globex' })))]).toEqual([2, 2, 10]);
  });
});
