import { LRUCache } from 'lru-cache';
import type { Catalogue, CatalogueChange, CatalogueSnapshot, CatalogueSource, SnapshotDocument } from '#libs/core/catalogue.js';
import { Unavailable } from '#libs/core/errors.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { SnapshotFiles } from './snapshot-files.js';
import { buildSnapshot, changeBetween } from './snapshot.js';

interface CatalogueLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface CatalogueOptions {
  readonly source: CatalogueSource;
  /** Folder for the last good snapshots. Without it a cold start needs the source. */
  readonly directory?: string;
  readonly logger: CatalogueLog;
  /** Milliseconds between two looks at all revisions, the safety net under the source's notifications. Default 2,000. */
  readonly pollMs?: number;
  /** How long an unknown tenant is remembered, in milliseconds. Default 5,000. At most 10,000 of them. */
  readonly unknownMs?: number;
}

export interface LiveCatalogue extends Catalogue {
  /** Begins to watch and to poll. Resolves also when the source is away: `ready` says so. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Whether the source answered when last asked, and if not, since when and why. */
  ready(): { readonly ok: boolean; readonly reason?: string };
  /** Tools of all tenants in memory, for the gauge. */
  toolCount(): number;
}

/** The data plane's catalogue: a snapshot per tenant in memory, swapped whole by revision and never backwards. */
export function createCatalogue(options: CatalogueOptions): LiveCatalogue { return new SnapshotCatalogue(options); }

class SnapshotCatalogue implements LiveCatalogue {
  private readonly loaded = new Map<TenantSlug, CatalogueSnapshot>();
  private readonly unknown: LRUCache<TenantSlug, true>;
  /** At most one load per tenant at a time; `again` when a newer revision was announced meanwhile. */
  private readonly loading = new Map<TenantSlug, { done: Promise<CatalogueSnapshot | undefined>; again: boolean }>();
  private readonly listeners = new Set<(change: CatalogueChange) => void>();
  private readonly files: SnapshotFiles | undefined;
  private writing: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private polling: Promise<void> | undefined;
  private unwatch: (() => Promise<void>) | undefined;
  private stopped = false;
  private failing: { readonly since: Date; readonly reason: string } | undefined = { since: new Date(), reason: 'not asked yet' };

  constructor(private readonly options: CatalogueOptions) {
    this.files = options.directory === undefined ? undefined : new SnapshotFiles(options.directory);
    this.unknown = new LRUCache({ max: 10_000, ttl: options.unknownMs ?? 5000 });
  }

  snapshot(tenant: TenantSlug): CatalogueSnapshot | undefined | Promise<CatalogueSnapshot | undefined> {
    const snapshot = this.loaded.get(tenant);
    if (snapshot) return snapshot.enabled ? snapshot : undefined;
    if (this.unknown.has(tenant)) return undefined;
    return this.load(tenant).then((fresh) => (fresh?.enabled === true ? fresh : undefined));
  }

  onChange(listener: (change: CatalogueChange) => void): () => void {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  }

  async start(): Promise<void> {
    this.stopped = false;
    await this.poll();
    await this.watch();
    this.schedule();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    const unwatch = this.unwatch;
    this.unwatch = undefined;
    await unwatch?.();
    await this.polling;
    await Promise.allSettled([...this.loading.values()].map(({ done }) => done));
    await this.writing;
  }

  ready(): { readonly ok: boolean; readonly reason?: string } {
    if (!this.failing) return { ok: true };
    return { ok: false, reason: `catalogue source unreachable since ${this.failing.since.toISOString()}: ${this.failing.reason}` };
  }

  toolCount(): number {
    let count = 0;
    for (const snapshot of this.loaded.values()) if (snapshot.enabled) count += snapshot.tools.size;
    return count;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.polling = this.poll().then(() => this.watch()).finally(() => { this.schedule(); });
    }, this.options.pollMs ?? 2000);
    this.timer.unref();
  }

  /** Watching is tried again with every poll until it holds: the poll alone keeps the catalogue right, only slower. */
  private async watch(): Promise<void> {
    if (this.unwatch || this.stopped) return;
    try {
      this.unwatch = await this.options.source.watch((tenant, revision) => { this.announced(tenant, revision); });
    } catch (failure) { this.sourceFailed(failure); }
  }

  private async poll(): Promise<void> {
    let revisions: ReadonlyMap<TenantSlug, number>;
    try { revisions = await this.options.source.revisions(); } catch (failure) { this.sourceFailed(failure); return; }
    this.sourceAnswered();
    for (const tenant of this.unknown.keys()) if (revisions.has(tenant)) this.announced(tenant, revisions.get(tenant) ?? 0);
    for (const [tenant, snapshot] of this.loaded) {
      const revision = revisions.get(tenant);
      if (revision === undefined) this.refresh(tenant);
      else if (revision > snapshot.revision) this.announced(tenant, revision);
    }
  }

  private announced(tenant: TenantSlug, revision: number): void {
    const snapshot = this.loaded.get(tenant);
    if (snapshot === undefined) {
      // Somebody asked in vain a moment ago and may be listening; a tenant nobody asked for stays unloaded.
      if (this.unknown.has(tenant) || this.loading.has(tenant)) this.refresh(tenant);
    } else if (revision > snapshot.revision) this.refresh(tenant);
  }

  private refresh(tenant: TenantSlug): void {
    if (this.stopped) return;
    const running = this.loading.get(tenant);
    if (running) { running.again = true; return; }
    this.load(tenant).catch((failure: unknown) => {
      this.options.logger.warn({ tenant, err: messageOf(failure) }, 'catalogue refresh failed, the last good snapshot stays in force');
    });
  }

  private load(tenant: TenantSlug): Promise<CatalogueSnapshot | undefined> {
    const running = this.loading.get(tenant);
    if (running) return running.done;
    const load = { again: false, done: Promise.resolve<CatalogueSnapshot | undefined>(undefined) };
    load.done = this.loadOnce(tenant).finally(() => {
      this.loading.delete(tenant);
      if (load.again) this.refresh(tenant);
    });
    this.loading.set(tenant, load);
    return load.done;
  }

  private async loadOnce(tenant: TenantSlug): Promise<CatalogueSnapshot | undefined> {
    let document: SnapshotDocument | undefined;
    try {
      document = await this.options.source.load(tenant);
      this.sourceAnswered();
    } catch (failure) {
      this.sourceFailed(failure);
      const current = this.loaded.get(tenant);
      if (current) throw failure;
      return await this.fromDisk(tenant, failure);
    }
    return document === undefined ? this.forget(tenant) : await this.install(document, true);
  }

  private async install(document: SnapshotDocument, keep: boolean): Promise<CatalogueSnapshot> {
    const { tenant } = document;
    const before = this.loaded.get(tenant);
    if (before && document.revision < before.revision) {
      this.options.logger.warn({ tenant, revision: document.revision, current: before.revision }, 'an older catalogue revision was offered and ignored');
      return before;
    }
    if (before && document.revision === before.revision && document.hash === before.hash) return before;
    const snapshot = await buildSnapshot(document, before);
    const asked = before !== undefined || this.unknown.has(tenant);
    this.loaded.set(tenant, snapshot);
    this.unknown.delete(tenant);
    this.options.logger.info({ tenant, revision: snapshot.revision, tools: snapshot.tools.size }, 'catalogue swapped');
    if (keep) this.store(tenant, (files) => files.write(document));
    if (asked) this.tell(changeBetween(tenant, before, snapshot));
    return snapshot;
  }

  private forget(tenant: TenantSlug): undefined {
    const before = this.loaded.get(tenant);
    this.loaded.delete(tenant);
    this.unknown.set(tenant, true);
    if (!before) return;
    this.store(tenant, (files) => files.remove(tenant));
    this.tell(changeBetween(tenant, before, undefined));
  }

  private async fromDisk(tenant: TenantSlug, cause: unknown): Promise<CatalogueSnapshot> {
    let document: SnapshotDocument | undefined;
    try { document = await this.files?.read(tenant); } catch (failure) {
      this.options.logger.warn({ tenant, err: messageOf(failure) }, 'the snapshot on disk cannot be used');
    }
    if (!document) throw new Unavailable('catalogue', { cause });
    return await this.install(document, false);
  }

  private store(tenant: TenantSlug, act: (files: SnapshotFiles) => Promise<void>): void {
    const { files } = this;
    if (!files) return;
    this.writing = this.writing.then(() => act(files)).catch((failure: unknown) => {
      this.options.logger.warn({ tenant, err: messageOf(failure) }, 'the last good snapshot could not be kept on disk');
    });
  }

  private tell(change: CatalogueChange): void {
    if (!change.toolsChanged && !change.resourcesChanged && !change.promptsChanged) return;
    for (const listener of this.listeners) {
      try { listener(change); } catch (failure) { this.options.logger.warn({ err: messageOf(failure) }, 'a catalogue listener threw'); }
    }
  }

  private sourceFailed(failure: unknown): void {
    const reason = messageOf(failure);
    if (!this.failing || this.failing.reason === 'not asked yet') this.options.logger.warn({ err: reason }, 'catalogue source unreachable');
    this.failing = { since: this.failing?.since ?? new Date(), reason };
  }
  private sourceAnswered(): void {
    if (this.failing && this.failing.reason !== 'not asked yet') this.options.logger.info({}, 'catalogue source reachable again');
    this.failing = undefined;
  }
}

const messageOf = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure));
