import { describe, expect, it } from 'vitest';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { ToolIndex } from '#libs/discovery/tool-index.js';
import { words } from '#libs/discovery/words.js';

const tool = (name: string, method: string, path: string, description: string): Target => ({
  kind: 'tool', name, tenant: 'acme' as TenantSlug, apiId: 'a', description, operationClass: method === 'GET' ? 'read' : method === 'DELETE' ? 'destructive' : 'write', tags: [], category: undefined, version: '1', inputSchema: true, definitions: {},
  backend: { kind: 'rest', method, path, baseUrl: 'https://h', parameters: [], accept: '*/*', security: [] }, timeoutMs: 1, hash: '', listed: '{}',
});
const index = new ToolIndex([
  tool('pets_list', 'GET', '/pets', 'List pets'), tool('pets_get', 'GET', '/pets/{petId}', 'Look at one pet'), tool('pets_delete', 'DELETE', '/pets/{petId}', 'Delete a pet'),
  tool('pets_create', 'POST', '/pets', '<p>Creates a new <b>pet</b> object.</p>'), tool('orders_create', 'POST', '/orders', 'Places an order for a pet'), tool('getinvoices', 'GET', '/v1/invoices', 'Returns a list of invoices.'),
  tool('old_pets', 'GET', '/v0/pets', 'Deprecated. List pets'),
]);
const first = (question: string): string | undefined => index.search(question, 3)[0]?.target.name;

describe('finding a tool by what a person asks', () => {
  it.each([['remove a pet', 'pets_delete'], ['add a pet', 'pets_create'], ['which pets are there', 'pets_list'], ['show me a pet', 'pets_get'], ['order a pet', 'orders_create'], ['all invoices', 'getinvoices']])('%s', (question, name) => { expect(first(question)).toBe(name); });
  it('finds nothing where no word of the question occurs, and never a tool that is not in the list', () => {
    expect(index.search('xylophone', 5)).toEqual([]);
    expect(new ToolIndex([]).search('pets', 5)).toEqual([]);
  });
  it('answers the same question always the same, at most as many as asked for', () => {
    expect(index.search('pets', 2)).toHaveLength(2);
    expect(index.search('pets', 5)).toEqual(index.search('pets', 5));
  });
  it('takes identifiers apart and forms of a word together', () => {
    expect(words('getUserRepositories')).toEqual(words('get user repository'));
    expect(words('deleted')).toEqual(words('removes'));
  });
});
