import { LRUCache } from 'lru-cache';
import type { Catalogue, CatalogueSnapshot } from '#libs/core/catalogue.js';
import type { Eventually, ListPolicy, PolicyDecisionPoint } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { templateFor } from '#libs/core/resource-template.js';
import type { Target } from '#libs/core/target.js';
import type { Listing, VisibleList } from './mcp/listing.js';
import type { Platform } from './platform/platform.js';

const LISTS = { tool: 'tools', resource: 'resources', prompt: 'prompts' } as const;
/** Classes of principals whose lists are kept for one snapshot; of a class that comes back after more, the list is made again. */
const MAX_CLASSES = 300;

interface KnownList extends VisibleList { readonly names: ReadonlySet<string> }
type Lists = LRUCache<string, KnownList>;

/**
 * What a principal may see: the platform's own targets, then its tenant's in the order of the snapshot, less what policy does not let it call.
 * A tenant's target that bears a platform target's name is hidden by it, in lists as in calls. Policy is asked once for each class of
 * principals, snapshot and policy in force. Rejects with `Unavailable` where policy cannot be asked.
 */
export function visibleTargets(catalogue: Catalogue, platform: Platform, policy?: Pick<PolicyDecisionPoint, 'lists' | 'onChange'>): Listing {
  const ofSnapshot = new WeakMap<CatalogueSnapshot, Lists>();
  const without: Lists = new LRUCache({ max: MAX_CLASSES });

  const merge = (kind: Target['kind'], principal: Principal, snapshot: CatalogueSnapshot | undefined): Eventually<KnownList> => {
    const own = platform.visible(kind, principal);
    const rules = policy?.lists?.(principal);
    const key = rules ? `${own.key} ${rules.key}` : own.key;
    let lists = snapshot ? ofSnapshot.get(snapshot) : without;
    if (!lists && snapshot) ofSnapshot.set(snapshot, lists = new LRUCache({ max: MAX_CLASSES }));
    const slot = `${kind} ${key}`;
    const known = lists?.get(slot);
    if (known) return known;
    const items = [...own.items];
    for (const target of snapshot?.[LISTS[kind]].values() ?? []) if (!platform.find(kind, target.name, principal)) items.push(target);
    const keep = (shown: readonly Target[]): KnownList => {
      const list = { items: shown, revision: snapshot?.revision ?? 0, key, names: new Set(shown.map(({ name }) => name)) };
      lists?.set(slot, list);
      return list;
    };
    const shown = rules ? rules.sees(items) : items;
    return shown instanceof Promise ? shown.then(keep) : keep(shown);
  };

  const find = (kind: Target['kind'], name: string, principal: Principal, snapshot: CatalogueSnapshot | undefined): Eventually<Target | undefined> => {
    const own = platform.find(kind, name, principal);
    const target = own ?? snapshot?.[LISTS[kind]].get(name) ?? (kind === 'resource' && snapshot ? templateFor(snapshot, name)?.target : undefined);
    if (!target) return undefined;
    const rules = policy?.lists?.(principal);
    if (!rules) return target;
    const list = merge(kind, principal, snapshot);
    return list instanceof Promise ? list.then((loaded) => within(loaded, target, own, rules)) : within(list, target, own, rules);
  };

  return {
    list: (kind, principal) => withSnapshot(catalogue, principal, (snapshot) => merge(kind, principal, snapshot)),
    find: (kind, name, principal) => withSnapshot(catalogue, principal, (snapshot) => find(kind, name, principal, snapshot)),
    ...(policy?.onChange ? { onChange: policy.onChange } : {}),
  };
}

/** What is listed is visible; of the platform's, also what answers without being listed, where policy lets it. */
function within({ names }: KnownList, target: Target, own: Target | undefined, rules: ListPolicy): Eventually<Target | undefined> {
  if (names.has(target.name)) return target;
  if (!own) return undefined;
  const shown = rules.sees([own]);
  return shown instanceof Promise ? shown.then(([one]) => one) : shown[0];
}

function withSnapshot<T>(catalogue: Catalogue, principal: Principal, use: (snapshot: CatalogueSnapshot | undefined) => Eventually<T>): Eventually<T> {
  if (principal.tenant === undefined) return use(undefined);
  const snapshot = catalogue.snapshot(principal.tenant);
  return snapshot instanceof Promise ? snapshot.then(use) : use(snapshot);
}
