import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseNames, methodPathName, sanitiseName } from '#libs/tool-listing/tool-names.js';
import type { NameRequest } from '#libs/tool-listing/tool-names.js';

const one = (request: Partial<NameRequest>, naming = {}, taken: string[] = []) => chooseNames([{ method: 'GET', path: '/x', operationId: undefined, ...request }], naming, new Set(taken))[0];

describe('a tool name', () => {
  it.each([
    { name: 'is the operationId in lower case', operationId: 'GetUserProfile', tool: 'getuserprofile' },
    { name: 'has an underscore for each run of other characters', operationId: 'get-user..profile', tool: 'get_user_profile' },
    { name: 'has no underscore at its ends', operationId: '/get pet/', tool: 'get_pet' },
    { name: 'is the method and path when the operationId has no legal character', operationId: '日本語', tool: 'get_x' },
    { name: 'keeps 64 characters', operationId: 'a'.repeat(64), tool: 'a'.repeat(64) },
  ])('$name', ({ operationId, tool }) => { expect(one({ operationId })?.name).toBe(tool); });

  it.each([
    { method: 'GET', path: '/users/{id}/orders', tool: 'get_users_orders' },
    { method: 'GET', path: '/', tool: 'get' },
    { method: 'POST', path: '/{tenant}', tool: 'post' },
    { method: 'GET', path: '/v1/{+name}:watch', tool: 'get_v1_watch' },
  ])('is $tool for $method $path without operationId', ({ method, path, tool }) => { expect(methodPathName(method, path)).toBe(tool); });

  it('takes prefix and suffix', () => { expect(one({ operationId: 'getPetById' }, { prefix: 'shop_', suffix: '_v2' })?.name).toBe('shop_getpetbyid_v2'); });
  it('is the method and path when operation ids are not wanted', () => { expect(one({ operationId: 'listUsers', path: '/users/{id}' }, { useOperationId: false })?.name).toBe('get_users'); });

  it('longer than 64 characters is cut, ends in a hash of the whole, and says so', () => {
    const long = one({ operationId: `${'listAllTheThings'.repeat(5)}A` });
    const other = one({ operationId: `${'listAllTheThings'.repeat(5)}B` });
    expect(long?.name).toMatch(/^[a-z0-9_]{1,64}$/);
    expect(long?.name).toMatch(/^listallthethingslistallthethingslistallthethingslistall_[0-9a-f]{8}$/);
    expect(long?.name).not.toBe(other?.name);
    expect(long?.code).toBe('name-shortened');
  });

  it('that is taken in the tenant gets a suffix and says so', () => {
    const chosen = one({ operationId: 'search' }, {}, ['search']);
    expect(chosen).toMatchObject({ code: 'name-collision' });
    expect(chosen?.name).toMatch(/^search_[0-9a-f]{8}$/);
  });
});

describe('the names of a document', () => {
  const requests = fc.array(fc.record({
    method: fc.constantFrom('GET', 'POST'),
    path: fc.constantFrom('/a', '/a/{b}', '/b', '/a-b', '/A', '/ü'),
    operationId: fc.option(fc.oneof(fc.constantFrom('get', 'Get', 'g-et', 'get_', 'x'.repeat(80), `${'x'.repeat(80)}y`, ''), fc.string()), { nil: undefined }),
  }), { maxLength: 12 });

  it('are legal, different and free, whatever the document calls its operations', () => {
    fc.assert(fc.property(requests, fc.array(fc.constantFrom('get', 'get_a', 'x')), (list, taken) => {
      const names = chooseNames(list, {}, new Set(taken)).map(({ name }) => name);
      expect(new Set(names).size).toBe(list.length);
      for (const name of names) {
        expect(name).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
        expect(taken).not.toContain(name);
      }
    }));
  });

  it('do not depend on the order of operations', () => {
    const distinct = requests.map((list) => [...new Map(list.map((request) => [`${request.method} ${request.path}`, request])).values()]);
    fc.assert(fc.property(distinct, (list) => {
      const forward = chooseNames(list, {}, new Set()).map(({ name }) => name);
      const backward = chooseNames(list.toReversed(), {}, new Set()).map(({ name }) => name).toReversed();
      expect(backward).toEqual(forward);
    }));
  });

  it('keep the plain name for the first by path and method', () => {
    const names = chooseNames([{ method: 'POST', path: '/b', operationId: 'same' }, { method: 'GET', path: '/a', operationId: 'SAME' }], {}, new Set());
    expect(names[1]).toEqual({ name: 'same' });
    expect(names[0]?.name).toMatch(/^same_[0-9a-f]{8}$/);
    expect(names[0]?.code).toBe('name-collision');
  });
});

it('sanitises to nothing when nothing is legal', () => { expect(sanitiseName('—')).toBe(''); });
