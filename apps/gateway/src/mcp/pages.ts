import { LRUCache } from 'lru-cache';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import { type TenantKey, type TenantSlug, tenantKey } from '#libs/core/tenant.js';
import type { Era } from '../error-mapping.js';
import type { ResultTails } from './answer.js';
import { isTemplate, type Listing, type VisibleList } from './listing.js';
import type { McpLimits } from './options.js';
import type { Seal } from './seal.js';

export type ListMethod = 'tools/list' | 'prompts/list' | 'resources/list' | 'resources/templates/list';
const LISTS: Readonly<Record<ListMethod, { readonly kind: Target['kind']; readonly member: string; readonly holds: (target: Target) => boolean }>> = {
  'tools/list': { kind: 'tool', member: 'tools', holds: () => true },
  'prompts/list': { kind: 'prompt', member: 'prompts', holds: () => true },
  'resources/list': { kind: 'resource', member: 'resources', holds: (target) => !isTemplate(target) },
  'resources/templates/list': { kind: 'resource', member: 'resourceTemplates', holds: isTemplate },
};

/** All pages of one list as one visibility class sees it at one revision; each is made when it is first asked for. */
interface Prepared {
  /** The list that the pages are of; another array is another list, whatever its revision says. */
  readonly source: VisibleList['items'];
  readonly items: readonly Target[];
  /** Index of the first item by cursor; the empty text is the first page. */
  readonly starts: Map<string, number>;
  readonly cursors: readonly string[];
  readonly texts: (Buffer | undefined)[];
}

export interface ListPages {
  /** The result object as JSON bytes; undefined: the cursor is not one of ours for this tenant and list. */
  page(method: ListMethod, principal: Principal, cursor: string | undefined): Buffer | undefined | Promise<Buffer | undefined>;
}

/**
 * Lists as prepared buffers, so that `tools/list` is a write and not a serialization. A cursor is sealed, bound to the tenant and the list, and names
 * the last item that was shown: it stays good when the catalogue changes between two pages, and in every replica.
 */
export function listPages(on: { listing: Listing; seal: Seal; era: Era; tails: ResultTails; limits: McpLimits }): ListPages {
  const { limits, seal } = on;
  const cache = new LRUCache<TenantKey, Prepared>({
    maxSize: limits.preparedBytes,
    sizeCalculation: (entry) => 1 + entry.items.reduce((bytes, item) => bytes + item.listed.length, 256),
  });
  const caching = on.era === 'modern' ? `,"ttlMs":${limits.listTtlMs},"cacheScope":"private"` : '';

  const prepare = (method: ListMethod, scope: string, list: VisibleList): Prepared => {
    const items = list.items.filter(LISTS[method].holds);
    const cursors: string[] = [''];
    for (let start = limits.pageSize; start < items.length; start += limits.pageSize) cursors.push(seal.seal(scope, `${start}:${items[start - 1]!.name}`));
    return { source: list.items, items, cursors, starts: new Map(cursors.map((cursor, page) => [cursor, page * limits.pageSize])), texts: [] };
  };

  /** A page that starts anywhere: up to the next prepared boundary, so that what follows is a prepared page again. */
  const pageFrom = (method: ListMethod, prepared: Prepared, start: number): Buffer => {
    const end = Math.min(prepared.items.length, (Math.floor(start / limits.pageSize) + 1) * limits.pageSize);
    const shown = prepared.items.slice(start, end).map((target) => listedFor(on.era, target));
    const next = end < prepared.items.length ? `,"nextCursor":"${prepared.cursors[end / limits.pageSize]}"` : '';
    return Buffer.from(`{"${LISTS[method].member}":[${shown.join(',')}]${next}${caching}${on.tails.complete}}`);
  };

  const find = (method: ListMethod, principal: Principal, cursor: string | undefined, list: VisibleList): Buffer | undefined => {
    // A principal without a tenant gets a key that no tenant can have: a slug never starts with a hyphen.
    const tenant = principal.tenant ?? ('-' as TenantSlug);
    const key = tenantKey(tenant, method, list.key);
    let prepared = cache.get(key);
    if (prepared?.source !== list.items) {
      prepared = prepare(method, tenantKey(tenant, 'cursor', method), list);
      cache.set(key, prepared);
    }
    const known = prepared.starts.get(cursor ?? '');
    if (known !== undefined && cursor !== '') {
      const page = known / limits.pageSize;
      return (prepared.texts[page] ??= pageFrom(method, prepared, known));
    }
    if (cursor === undefined || cursor === '') return undefined;
    const opened = seal.open(tenantKey(tenant, 'cursor', method), cursor);
    if (opened === undefined) return undefined;
    const colon = opened.indexOf(':');
    const after = prepared.items.findIndex((target) => target.name === opened.slice(colon + 1));
    return pageFrom(method, prepared, after >= 0 ? after + 1 : Number(opened.slice(0, colon)));
  };

  return {
    page(method, principal, cursor) {
      const list = on.listing.list(LISTS[method].kind, principal);
      return list instanceof Promise ? list.then((loaded) => find(method, principal, cursor, loaded)) : find(method, principal, cursor, list);
    },
  };
}

/** Before 2026-07-28 an output schema is an object's, and what is not is left out. */
function listedFor(era: Era, target: Target): string {
  if (era === 'modern' || target.kind !== 'tool' || !target.listed.includes('"outputSchema"')) return target.listed;
  const tool = JSON.parse(target.listed) as { outputSchema?: { type?: unknown } };
  if (tool.outputSchema?.type === 'object') return target.listed;
  delete tool.outputSchema;
  return JSON.stringify(tool);
}
