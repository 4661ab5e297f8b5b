import { createHash } from 'node:crypto';
import type { Catalogue, CatalogueChange } from '#libs/core/catalogue.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { Listing, VisibleList } from './listing.js';

type Kind = Target['kind'];
const METHOD: Readonly<Record<Kind, string>> = { tool: 'notifications/tools/list_changed', prompt: 'notifications/prompts/list_changed', resource: 'notifications/resources/list_changed' };

interface Subscriber {
  readonly principal: Principal;
  readonly kinds: ReadonlySet<Kind>;
  /** Resources whose updates are wanted; may change while subscribed. */
  readonly uris: ReadonlySet<string>;
  notify(method: string, params: Readonly<Record<string, unknown>>): void;
}

/** Tells each subscriber of the changes that it can see, and of no others. */
export interface ChangeFeed {
  /** Answers the way to stop. What is seen at this moment is what later lists are compared with. */
  subscribe(subscriber: Subscriber): Promise<() => void>;
  close(): void;
}

/**
 * After a change of the catalogue or of policy each subscriber's visible list is compared with the one it last knew, by a digest of names and definition
 * hashes: a change to what it may not see tells it nothing, not even that something happened.
 */
export function changeFeed(catalogue: Pick<Catalogue, 'onChange'>, listing: Listing): ChangeFeed {
  const byTenant = new Map<TenantSlug | undefined, Map<Subscriber, Map<Kind, string>>>();
  // Thousands of subscribers of one visibility class cost one digest.
  const digests = new WeakMap<VisibleList['items'], string>();

  const look = async (kind: Kind, principal: Principal): Promise<string> => {
    const { items } = await listing.list(kind, principal);
    let digest = digests.get(items);
    if (digest === undefined) {
      const hash = createHash('sha256');
      for (const item of items) hash.update(`${item.name}\0${item.hash}\0`);
      digests.set(items, digest = hash.digest('base64'));
    }
    return digest;
  };

  const tell = async (subscriber: Subscriber, seen: Map<Kind, string>, change: CatalogueChange | undefined): Promise<void> => {
    for (const kind of subscriber.kinds) {
      const touched = change === undefined || (kind === 'tool' ? change.toolsChanged : kind === 'prompt' ? change.promptsChanged : change.resourcesChanged);
      if (!touched) continue;
      const digest = await look(kind, subscriber.principal);
      if (seen.get(kind) === digest) continue;
      seen.set(kind, digest);
      subscriber.notify(METHOD[kind], {});
    }
    for (const uri of change?.resourceUris ?? []) {
      if (subscriber.uris.has(uri) && await listing.find('resource', uri, subscriber.principal)) subscriber.notify('notifications/resources/updated', { uri });
    }
  };
  // A list that cannot be read now is read at the next change; the client is not told of what is not known.
  const stops = [
    catalogue.onChange((change) => { for (const [subscriber, seen] of byTenant.get(change.tenant) ?? []) tell(subscriber, seen, change).catch(() => undefined); }),
    listing.onChange?.(() => { for (const subscribers of byTenant.values()) for (const [subscriber, seen] of subscribers) tell(subscriber, seen, undefined).catch(() => undefined); }),
  ];

  return {
    async subscribe(subscriber) {
      const { tenant } = subscriber.principal;
      const seen = new Map<Kind, string>();
      for (const kind of subscriber.kinds) seen.set(kind, await look(kind, subscriber.principal));
      const subscribers = byTenant.get(tenant) ?? new Map<Subscriber, Map<Kind, string>>();
      byTenant.set(tenant, subscribers.set(subscriber, seen));
      return () => {
        subscribers.delete(subscriber);
        if (subscribers.size === 0 && byTenant.get(tenant) === subscribers) byTenant.delete(tenant);
      };
    },
    close: () => { for (const stop of stops) stop?.(); },
  };
}
