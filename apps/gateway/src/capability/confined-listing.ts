import { LRUCache } from 'lru-cache';
import type { Principal } from '#libs/core/principal.js';
import type { Listing, VisibleList } from '../mcp/listing.js';

/** Prepared lists of confined credentials that are kept for each list of their tenant. */
const KEPT = 100;
const NONE: VisibleList['items'] = Object.freeze([]);

const hidden = (kind: string, name: string, { allowedTools }: Principal): boolean => allowedTools !== undefined && (kind !== 'tool' || !allowedTools.has(name));

/** A credential that names its tools is shown these, of what its principal may see, and neither resources nor prompts: what may not be called is not listed. */
export function confinedListing(listing: Listing): Listing {
  const kept = new WeakMap<VisibleList['items'], LRUCache<string, VisibleList['items']>>();

  const confine = (list: VisibleList, tools: ReadonlySet<string>): VisibleList => {
    // Two keys that are equal name the same tools: a JSON text of sorted names cannot be read in two ways.
    const key = JSON.stringify([...tools].toSorted());
    let known = kept.get(list.items);
    if (!known) kept.set(list.items, known = new LRUCache({ max: KEPT }));
    let items = known.get(key);
    if (!items) known.set(key, items = list.items.filter(({ name }) => tools.has(name)));
    return { items, revision: list.revision, key: `${list.key} confined ${key}` };
  };

  return {
    list(kind, principal) {
      const list = listing.list(kind, principal);
      const tools = principal.allowedTools;
      if (!tools) return list;
      const of = (all: VisibleList): VisibleList => (kind === 'tool' ? confine(all, tools) : { items: NONE, revision: all.revision, key: `${all.key} confined` });
      return list instanceof Promise ? list.then(of) : of(list);
    },
    find: (kind, name, principal) => (hidden(kind, name, principal) ? undefined : listing.find(kind, name, principal)),
    ...(listing.onChange ? { onChange: (listener) => listing.onChange?.(listener) ?? (() => undefined) } : {}),
  };
}
