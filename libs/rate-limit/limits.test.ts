import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { limitFields, rateLimitOptions } from './limit-fields.js';
import { LimitsRefused, readLimits, readTenantLimits, STOA_OTHER, STOA_ROLES } from './limits.js';
import { createRateLimits } from './rate-limits.js';

const refusedKeys = (read: () => unknown): readonly string[] => {
  try { read(); return []; } catch (failure) {
    if (failure instanceof LimitsRefused) return failure.issues.map(({ key }) => key);
    throw failure;
  }
};

describe('absurd limits', () => {
  it.each([0, -1, -1e9, 1.5, 0.1, 1e9 + 1, 2 ** 53, 1e308, Number.POSITIVE_INFINITY, Number.NaN, '60', null, true, [60], {}])('are refused by key: %j', (absurd) => {
    expect(refusedKeys(() => readLimits({ roles: { viewer: { perMinute: absurd } } }))).toEqual(['roles.viewer.perMinute']);
    expect(refusedKeys(() => readLimits({ tenants: { acme: { perDay: absurd } } }))).toEqual(['tenants.acme.perDay']);
    expect(refusedKeys(() => readLimits({ tenants: { acme: { tools: { pet: { perMinute: absurd, burst: 1 } } } } }))[0]).toBe('tenants.acme.tools.pet.perMinute');
    expect(refusedKeys(() => readLimits({ concurrent: { principal: absurd }, streams: { address: absurd }, failedAuthentications: absurd })).toSorted())
      .toEqual(['concurrent.principal', 'failedAuthentications', 'streams.address']);
    expect(refusedKeys(() => readTenantLimits({ perMinute: absurd }))).toEqual(['perMinute']);
  });
  it.each([
    { name: 'a negative burst', limits: { user: { perMinute: 1, burst: -1 } }, keys: ['user.burst'] },
    { name: 'a burst that overflows the sum', limits: { user: { perMinute: 1e9, burst: 1 } }, keys: ['user.burst'] },
    { name: 'a tool whose burst is nothing', limits: { tool: { perMinute: 60, burst: 0 } }, keys: ['tool.burst'] },
    { name: 'a tool whose burst is above its rate', limits: { tool: { perMinute: 60, burst: 61 } }, keys: ['tool.burst'] },
    { name: 'a limit that there is not', limits: { usr: { perMinute: 1 } }, keys: ['usr'] },
    { name: 'a tenant that cannot be', limits: { tenants: { 'Acme/..': {} } }, keys: ['tenants.Acme/..'] },
    { name: 'a proxy by hop count', limits: { trustedProxies: ['1'] }, keys: ['trustedProxies.0'] },
    { name: 'a proxy by name', limits: { trustedProxies: ['10.0.0.0/8', 'loadbalancer'] }, keys: ['trustedProxies.1'] },
    { name: 'everybody as proxy', limits: { trustedProxies: ['0.0.0.0/0'] }, keys: ['trustedProxies.0'] },
  ])('are refused by key: $name', ({ limits, keys }) => { expect(refusedKeys(() => readLimits(limits))).toEqual(keys); });
  it('are all named at once, before anything is opened', () => {
    const settings = { user: { perMinute: 0 }, token: { perMinute: -1 } };
    expect(() => createRateLimits({ limits: settings, shared: { url: 'redis://127.0.0.1:1', replicas: 1 } })).toThrow(/user\.perMinute: .*\n.*token\.perMinute: .*whole number from 1/);
  });
  it.each([0, -1, 1.5, 10_001, Number.NaN])('of replicas are refused: %d', (replicas) => {
    expect(() => createRateLimits({ limits: {}, shared: { url: 'redis://127.0.0.1:1', replicas } })).toThrow('replicas');
  });
});

describe('limits from the environment', () => {
  const Fields = z.object(limitFields);
  const wrong = (field: string, text: string): readonly PropertyKey[] => Fields.safeParse({ [field]: text }).error?.issues.map(({ path }) => path[0] ?? '') ?? [];
  it('are STOA\'s table unless said otherwise', () => {
    const { limits } = rateLimitOptions(Fields.parse({}));
    expect(readLimits(limits)).toMatchObject({ roles: STOA_ROLES, other: STOA_OTHER, user: { perMinute: 1000, burst: 100 }, userTool: { perMinute: 100, burst: 0 }, failedAuthentications: 5, streams: { address: 10, tenant: 100, total: 5000 } });
    expect(Object.keys(STOA_ROLES)).not.toContain('*');
  });
  it('name every variable with a description', () => {
    for (const field of Object.values(limitFields)) expect(field.meta()).toMatchObject({ env: expect.stringMatching(/^[A-Z_]+$/), description: expect.stringMatching(/\.$/) });
  });
  it.each(['0', '-1', '1.5', '1e3', '99999999999', '1000000001', '60/', '60/-1', '60/1.5', '/10', 'many', ' ', '0/10', '1000000000/1'])('refuse %j for a rate', (text) => {
    for (const field of ['rateLimitUserTool', 'rateLimitToken', 'rateLimitTool', 'rateLimitIp']) expect(wrong(field, text)).toEqual([field]);
  });
  it.each(['0', '-1', '1.5', '1000000001', 'many', '60/10'])('refuse %j for a number', (text) => {
    for (const field of ['rateLimitPerMinute', 'rateLimitTenantDay', 'concurrentCalls', 'streamsPerIp', 'rateLimitFailedAuth']) expect(wrong(field, text)).toEqual([field]);
  });
  it.each(['viewer', 'viewer=', 'viewer=0', 'viewer=60,viewer=70', 'viewer=60/10,,', '=60'])('refuse %j for roles', (text) => { expect(wrong('rateLimitRoles', text)).toEqual(['rateLimitRoles']); });
  it('refuse a proxy that is not a CIDR, and a Redis that is not one', () => {
    expect(wrong('trustedProxies', 'true')).toEqual(['trustedProxies']);
    expect(wrong('redisUrl', 'http://x')).toEqual(['redisUrl']);
  });
  it('switch a limit off by the word', () => {
    const { limits, shared } = rateLimitOptions(Fields.parse({ rateLimitPerMinute: 'off', rateLimitUserTool: 'off', rateLimitTool: '60/10', rateLimitTenantDay: '1000', redisUrl: 'redis://r', replicas: '3' }));
    expect(readLimits(limits)).toMatchObject({ tool: { perMinute: 60, burst: 10 }, tenant: { perDay: 1000 } });
    expect(readLimits(limits).user).toBeUndefined();
    expect(shared).toEqual({ url: 'redis://r', replicas: 3 });
  });
});
