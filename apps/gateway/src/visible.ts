import type { Catalogue, CatalogueSnapshot } from '#libs/core/catalogue.js';
import type { Eventually } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { templateFor } from '#libs/core/resource-template.js';
import type { Target } from '#libs/core/target.js';
import type { Listing, VisibleList } from './mcp/listing.js';
import type { Platform } from './platform/platform.js';

const LISTS = { tool: 'tools', resource: 'resources', prompt: 'prompts' } as const;

/**
 * What a principal may see: the platform's own targets, then its tenant's in the order of the snapshot. A tenant's target
 * that bears a platform target's name is hidden by it, in lists as in calls.
 */
export function visibleTargets(catalogue: Catalogue, platform: Platform): Listing {
  const merged = new WeakMap<CatalogueSnapshot, Map<string, VisibleList>>();

  const merge = (kind: Target['kind'], principal: Principal, snapshot: CatalogueSnapshot | undefined): VisibleList => {
    const own = platform.visible(kind, principal);
    if (!snapshot) return { items: own.items, revision: 0, key: own.key };
    let lists = merged.get(snapshot);
    if (!lists) merged.set(snapshot, lists = new Map());
    const slot = `${kind} ${own.key}`;
    const known = lists.get(slot);
    if (known) return known;
    const items = [...own.items];
    for (const target of snapshot[LISTS[kind]].values()) if (!platform.find(kind, target.name, principal)) items.push(target);
    const list = { items, revision: snapshot.revision, key: own.key };
    lists.set(slot, list);
    return list;
  };

  return {
    list: (kind, principal) => withSnapshot(catalogue, principal, (snapshot) => merge(kind, principal, snapshot)),
    find: (kind, name, principal) => platform.find(kind, name, principal)
      ?? withSnapshot(catalogue, principal, (snapshot) => snapshot?.[LISTS[kind]].get(name)
        ?? (kind === 'resource' && snapshot ? templateFor(snapshot, name)?.target : undefined)),
  };
}

function withSnapshot<T>(catalogue: Catalogue, principal: Principal, use: (snapshot: CatalogueSnapshot | undefined) => T): Eventually<T> {
  if (principal.tenant === undefined) return use(undefined);
  const snapshot = catalogue.snapshot(principal.tenant);
  return snapshot instanceof Promise ? snapshot.then(use) : use(snapshot);
}
