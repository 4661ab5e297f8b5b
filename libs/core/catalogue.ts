import type { TenantQuotas } from './quota.js';
import type { Api, Target } from './target.js';
import type { TenantSlug } from './tenant.js';

/** Everything that a tenant's principals may call, at one revision. Immutable; swapped whole. */
export interface CatalogueSnapshot {
  readonly tenant: TenantSlug;
  /** Rises by one or more with each publication of this tenant. */
  readonly revision: number;
  /** SHA-256 (hex) over the content. */
  readonly hash: string;
  readonly enabled: boolean;
  /** Its own quotas; undefined: those of the process. */
  readonly quotas?: TenantQuotas;
  readonly apis: ReadonlyMap<string, Api>;
  readonly tools: ReadonlyMap<string, Target>;
  readonly resources: ReadonlyMap<string, Target>;
  readonly prompts: ReadonlyMap<string, Target>;
}

/** The same as plain JSON, as it is stored, sent to data planes and kept on their disk for a cold start. */
export interface SnapshotDocument {
  readonly tenant: TenantSlug;
  readonly revision: number;
  readonly hash: string;
  readonly enabled: boolean;
  readonly quotas?: TenantQuotas;
  readonly apis: readonly Api[];
  /** `definitions` is left out: it is the API's own. */
  readonly targets: readonly Omit<Target, 'definitions'>[];
}

export interface ImportedDocument { readonly bytes: Uint8Array; readonly mediaType: string }

/** Where snapshots come from: the control plane's database. */
export interface CatalogueSource {
  /** Answers undefined for a tenant that does not exist. Rejects when the store cannot be reached. */
  load(tenant: TenantSlug): Promise<SnapshotDocument | undefined>;
  /**
   * The imported document of the tenant's API with this id, byte for byte. Undefined when there is none with this hash (SHA-256,
   * hex): it was replaced or deleted since. Rejects with `Unavailable` when the store cannot be reached.
   */
  document(tenant: TenantSlug, api: string, specHash: string): Promise<ImportedDocument | undefined>;
  /** Current revision of every tenant; the safety net under `watch`. */
  revisions(): Promise<ReadonlyMap<TenantSlug, number>>;
  /** Calls back at each publication, at most once per revision; a lost connection is mended inside. Answers the way to stop. */
  watch(changed: (tenant: TenantSlug, revision: number) => void): Promise<() => Promise<void>>;
}

/** The data plane's view: answers from memory, loads on first use. */
export interface Catalogue {
  /**
   * The tenant's last good snapshot, at once when it is in memory. Undefined: no such tenant, or one that is disabled.
   * Rejects with `Unavailable` when it was never loaded and the source cannot be reached.
   */
  snapshot(tenant: TenantSlug): CatalogueSnapshot | undefined | Promise<CatalogueSnapshot | undefined>;
  /** Calls back after a swap. Answers the way to stop. */
  onChange(listener: (change: CatalogueChange) => void): () => void;
}

export interface CatalogueChange {
  readonly tenant: TenantSlug;
  readonly revision: number;
  readonly toolsChanged: boolean;
  readonly resourcesChanged: boolean;
  readonly promptsChanged: boolean;
  /** URIs of resources whose content or definition changed. */
  readonly resourceUris: readonly string[];
}
