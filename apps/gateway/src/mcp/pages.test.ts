import { beforeEach, describe, expect, it } from 'vitest';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { resultTails } from './answer.js';
import type { VisibleList } from './listing.js';
import { MCP_LIMITS } from './options.js';
import { type ListPages, listPages } from './pages.js';
import { sealWith } from './seal.js';

const target = (name: string): Target => ({ kind: 'tool', name, listed: JSON.stringify({ name }) }) as Target;
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `tool_${String(i).padStart(4, '0')}`);
const principal = (tenant: string): Principal => ({ tenant: tenant as TenantSlug, issuer: 'i', subject: 's', clientId: 'c', roles: new Set(), scopes: new Set(), expiresAt: 4e9 });

let list: VisibleList;
let asked = 0;
const replica = (key = 1, pageSize = 100): ListPages => listPages({
  listing: { list: () => { asked++; return list; }, find: () => undefined }, seal: sealWith(new Uint8Array(32).fill(key)), era: 'modern', tails: resultTails('modern', { name: 's', version: '0' }), limits: { ...MCP_LIMITS, pageSize },
});
const read = (pages: ListPages, cursor?: string, tenant = 'acme', method: 'tools/list' | 'prompts/list' = 'tools/list'): { tools: { name: string }[]; nextCursor?: string } | undefined => {
  const page = pages.page(method, principal(tenant), cursor) as Buffer | undefined;
  return page && (JSON.parse(page.toString()) as { tools: { name: string }[]; nextCursor?: string });
};
function walk(...pages: ListPages[]): string[] {
  const found: string[] = [];
  let cursor: string | undefined;
  let step = 0;
  do {
    const page = read(pages[step++ % pages.length]!, cursor);
    found.push(...(page?.tools ?? []).map(({ name }) => name));
    cursor = page?.nextCursor;
  } while (cursor !== undefined && step < 1_000);
  return found;
}

beforeEach(() => { list = { items: names(250).map(target), revision: 1, key: 'all' }; asked = 0; });

describe('list pages', () => {
  it.each([0, 1, 99, 100, 101, 200, 250])('give each of %i items once, in order', (count) => {
    list = { items: names(count).map(target), revision: 1, key: 'all' };
    expect(walk(replica())).toEqual(names(count));
  });
  it('are one and the same buffer for everyone of a visibility class at a revision', () => {
    const pages = replica();
    expect(pages.page('tools/list', principal('acme'), undefined)).toBe(pages.page('tools/list', principal('acme'), undefined));
  });
  it('are made anew for another revision, another class and another tenant', () => {
    const pages = replica();
    const first = pages.page('tools/list', principal('acme'), undefined);
    list = { items: [target('new')], revision: 2, key: 'all' };
    expect(read(pages)?.tools).toEqual([{ name: 'new' }]);
    list = { items: [target('other class')], revision: 2, key: 'few' };
    expect(read(pages)?.tools).toEqual([{ name: 'other class' }]);
    list = { items: [target('other tenant')], revision: 2, key: 'all' };
    expect(read(pages, undefined, 'globex')?.tools).toEqual([{ name: 'other tenant' }]);
    expect(first).toBeDefined();
  });
  it('are made anew for another list even at the same revision, as when a tenant is made again under its old name', () => {
    const pages = replica();
    read(pages);
    list = { items: [target('of the new tenant')], revision: 1, key: 'all' };
    expect(read(pages)?.tools).toEqual([{ name: 'of the new tenant' }]);
  });
  it('follow a cursor of another replica with the same key, even with other page sizes', () => {
    expect(walk(replica(1, 100), replica(1, 70), replica(1, 33))).toEqual(names(250));
  });
  it('go on after the last item shown when the catalogue changed between two pages', () => {
    const pages = replica();
    const { nextCursor } = read(pages)!;
    list = { items: ['aaa', ...names(250)].map(target), revision: 2, key: 'all' };
    expect(read(pages, nextCursor)?.tools[0]).toEqual({ name: 'tool_0100' });
    list = { items: names(250).filter((name) => name !== 'tool_0099').map(target), revision: 3, key: 'all' };
    expect(read(pages, nextCursor)?.tools[0]).toEqual({ name: 'tool_0101' });
  });
  it('refuse a cursor of another tenant, another list, another key, a changed one and the empty text', () => {
    const pages = replica();
    const { nextCursor = '' } = read(pages)!;
    expect(read(pages, nextCursor)).toBeDefined();
    expect(read(pages, nextCursor, 'globex')).toBeUndefined();
    expect(read(pages, nextCursor, 'acme', 'prompts/list')).toBeUndefined();
    expect(read(replica(2), nextCursor)).toBeUndefined();
    expect(read(pages, `${nextCursor}A`)).toBeUndefined();
    expect(read(pages, nextCursor.slice(1))).toBeUndefined();
    expect(read(pages, '')).toBeUndefined();
  });
  it('ask for the list each time, so that a page can never outlive what the caller may see', () => {
    const pages = replica();
    read(pages);
    read(pages);
    expect(asked).toBe(2);
  });
});
