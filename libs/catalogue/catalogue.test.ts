import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CatalogueChange, CatalogueSource, SnapshotDocument } from '#libs/core/catalogue.js';
import { Unavailable } from '#libs/core/errors.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { Api, Target } from '#libs/core/target.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import { type CatalogueOptions, createCatalogue, type LiveCatalogue } from './catalogue.js';

const slug = (text: string): TenantSlug => tenantSlug(text) ?? (() => { throw new Error(text); })();
const acme = slug('acme');
const quiet = { info: () => undefined, warn: () => undefined };

class FakeSource implements CatalogueSource {
  readonly documents = new Map<TenantSlug, SnapshotDocument>();
  down = false;
  loads = 0;
  private readonly watchers = new Set<(tenant: TenantSlug, revision: number) => void>();
  async load(tenant: TenantSlug): Promise<SnapshotDocument | undefined> {
    this.loads += 1;
    if (this.down) throw new Error('connection refused');
    return this.documents.get(tenant);
  }
  async document(): Promise<undefined> { return undefined; }
  async revisions(): Promise<ReadonlyMap<TenantSlug, number>> {
    if (this.down) throw new Error('connection refused');
    return new Map([...this.documents].map(([tenant, { revision }]) => [tenant, revision]));
  }
  async watch(changed: (tenant: TenantSlug, revision: number) => void): Promise<() => Promise<void>> {
    if (this.down) throw new Error('connection refused');
    this.watchers.add(changed);
    return async () => { this.watchers.delete(changed); };
  }
  publish(document: SnapshotDocument): void {
    this.documents.set(document.tenant, document);
    for (const watcher of this.watchers) watcher(document.tenant, document.revision);
  }
}

const target = (kind: Target['kind'], name: string, hash = name): Omit<Target, 'definitions'> => ({
  kind, name, hash, tenant: acme, apiId: kind === 'tool' ? 'pets' : undefined, description: name, operationClass: 'read', tags: [], category: undefined, version: '1.0.0',
  inputSchema: { type: 'object' }, backend: { kind: 'inline', mimeType: 'text/plain', text: name }, timeoutMs: 1000, listed: JSON.stringify({ name, hash }),
});
const api = (definitions: Record<string, JsonSchema>, specHash = 'h'): Api => ({
  id: 'pets', tenant: acme, name: 'pets', version: '1', title: 'Pets', description: '', kind: 'openapi', status: 'active', category: undefined, tags: [],
  specHash, baseUrl: undefined, definitions, slots: {}, credentials: {},
});
const document = (revision: number, targets: SnapshotDocument['targets'], apis: readonly Api[] = [api({ Pet: { type: 'object' } })]): SnapshotDocument =>
  ({ tenant: acme, revision, hash: `r${revision}`, enabled: true, apis, targets });

let source: FakeSource;
let running: LiveCatalogue[];
beforeEach(() => { source = new FakeSource(); running = []; });
afterEach(async () => { for (const catalogue of running) await catalogue.stop(); });
const started = async (options: Partial<CatalogueOptions> = {}): Promise<LiveCatalogue> => {
  const catalogue = createCatalogue({ source, logger: quiet, pollMs: 5, ...options });
  running.push(catalogue);
  await catalogue.start();
  return catalogue;
};
const change = (catalogue: LiveCatalogue): Promise<CatalogueChange> => new Promise((resolve) => { catalogue.onChange(resolve); });

describe('a tenant\'s snapshot', () => {
  it('is loaded on first use, once for all who wait, and then answered at once', async () => {
    source.publish(document(1, [target('tool', 'b'), target('tool', 'a')]));
    const catalogue = await started();
    const [one, two] = await Promise.all([catalogue.snapshot(acme), catalogue.snapshot(acme)]);
    expect(one).toBe(two);
    expect([...one!.tools.keys()]).toEqual(['a', 'b']);
    expect(catalogue.snapshot(acme)).toBe(one);
    expect(source.loads).toBe(1);
  });
  it('is undefined for an unknown tenant, which is remembered, and for a disabled one', async () => {
    const catalogue = await started({ pollMs: 60_000 });
    expect(await catalogue.snapshot(acme)).toBeUndefined();
    expect(catalogue.snapshot(acme)).toBeUndefined();
    expect(source.loads).toBe(1);
    source.publish({ ...document(1, []), enabled: false });
    await new Promise((resolve) => { setImmediate(resolve); });
    expect(await catalogue.snapshot(acme)).toBeUndefined();
  });
  it('shares one definitions object between the targets of an API, and keeps it over a swap that did not change it', async () => {
    source.publish(document(1, [target('tool', 'a'), target('tool', 'b')]));
    const catalogue = await started();
    const first = await catalogue.snapshot(acme);
    expect(first!.tools.get('a')!.definitions).toBe(first!.tools.get('b')!.definitions);
    let changed = change(catalogue);
    source.publish(document(2, [target('tool', 'a', 'new')], [api({ Pet: { type: 'object' } })]));
    await changed;
    const second = await catalogue.snapshot(acme);
    expect(second!.tools.get('a')!.definitions).toBe(first!.tools.get('a')!.definitions);
    changed = change(catalogue);
    source.publish(document(3, [target('tool', 'a', 'newer')], [api({ Pet: { type: 'string' } })]));
    await changed;
    expect((await catalogue.snapshot(acme))!.tools.get('a')!.definitions).toEqual({ Pet: { type: 'string' } });
  });
});

describe('a publication', () => {
  it('is swapped in whole, and calls that hold the older snapshot keep it', async () => {
    source.publish(document(1, [target('tool', 'a')]));
    const catalogue = await started();
    const held = await catalogue.snapshot(acme);
    const changed = change(catalogue);
    source.publish(document(2, [target('tool', 'b')]));
    expect(await changed).toMatchObject({ tenant: acme, revision: 2, toolsChanged: true, resourcesChanged: false, promptsChanged: false });
    expect([...held!.tools.keys()]).toEqual(['a']);
    expect([...(await catalogue.snapshot(acme))!.tools.keys()]).toEqual(['b']);
  });
  it('is found by polling when its notification was lost', async () => {
    source.publish(document(1, [target('tool', 'a')]));
    const catalogue = await started();
    await catalogue.snapshot(acme);
    const changed = change(catalogue);
    source.documents.set(acme, document(2, [target('tool', 'a'), target('prompt', 'p')]));
    expect(await changed).toMatchObject({ revision: 2, toolsChanged: false, promptsChanged: true });
  });
  it('never goes backwards', async () => {
    source.publish(document(5, [target('tool', 'new')]));
    const catalogue = await started();
    await catalogue.snapshot(acme);
    source.documents.set(acme, document(4, [target('tool', 'old')]));
    const told: CatalogueChange[] = [];
    catalogue.onChange((what) => { told.push(what); });
    for (const watcher of [5, 6]) source['watchers'].forEach((tell) => { tell(acme, watcher); });
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    expect((await catalogue.snapshot(acme))!.revision).toBe(5);
    expect(told).toEqual([]);
  });
  it('names the resources that changed, came or went', async () => {
    source.publish(document(1, [target('resource', 'x:same'), target('resource', 'x:changed'), target('resource', 'x:gone')]));
    const catalogue = await started();
    await catalogue.snapshot(acme);
    const changed = change(catalogue);
    source.publish(document(2, [target('resource', 'x:same'), target('resource', 'x:changed', '2'), target('resource', 'x:come')]));
    expect([...(await changed).resourceUris].toSorted()).toEqual(['x:changed', 'x:come', 'x:gone']);
  });
  it('of a tenant that somebody asked for in vain is told', async () => {
    const catalogue = await started();
    await catalogue.snapshot(acme);
    const changed = change(catalogue);
    source.publish(document(1, [target('tool', 'a')]));
    expect(await changed).toMatchObject({ revision: 1, toolsChanged: true });
  });
  it('is not loaded for a tenant that nobody asked for', async () => {
    await started();
    source.publish(document(1, [target('tool', 'a')]));
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    expect(source.loads).toBe(0);
  });
  it('disappears with its tenant', async () => {
    source.publish(document(1, [target('tool', 'a')]));
    const catalogue = await started();
    await catalogue.snapshot(acme);
    const changed = change(catalogue);
    source.documents.delete(acme);
    expect(await changed).toMatchObject({ toolsChanged: true });
    expect(await catalogue.snapshot(acme)).toBeUndefined();
  });
});

describe('while the source is away', () => {
  it('the last good snapshot keeps answering and readiness names the reason', async () => {
    source.publish(document(1, [target('tool', 'a')]));
    const catalogue = await started();
    await catalogue.snapshot(acme);
    expect(catalogue.ready()).toEqual({ ok: true });
    source.down = true;
    await expect.poll(() => catalogue.ready().ok).toBe(false);
    expect(catalogue.ready().reason).toContain('connection refused');
    expect((await catalogue.snapshot(acme))!.revision).toBe(1);
    source.down = false;
    await expect.poll(() => catalogue.ready().ok).toBe(true);
  });
  it('a tenant that was never loaded is refused as unavailable, not as unknown', async () => {
    source.down = true;
    const catalogue = await started();
    await expect(catalogue.snapshot(acme)).rejects.toBeInstanceOf(Unavailable);
  });

  describe('with a folder', () => {
    let directory: string;
    beforeEach(async () => { directory = await mkdtemp(join(tmpdir(), 'catalogue-')); });
    afterEach(() => rm(directory, { recursive: true, force: true }));

    it('a cold start serves the last good snapshot from disk and catches up when the source is back', async () => {
      source.publish(document(1, [target('tool', 'a')]));
      const first = await started({ directory });
      await first.snapshot(acme);
      await first.stop();
      expect(await readdir(directory)).toEqual(['acme.json']);

      source.down = true;
      const second = await started({ directory });
      expect([...(await second.snapshot(acme))!.tools.keys()]).toEqual(['a']);
      expect(second.ready().ok).toBe(false);
      const changed = change(second);
      source.documents.set(acme, document(2, [target('tool', 'b')]));
      source.down = false;
      expect(await changed).toMatchObject({ revision: 2 });
    });
    it('a spoiled file is not served', async () => {
      await writeFile(join(directory, 'acme.json'), '{"tenant":"other","revision":1,"apis":[],"targets":[]}');
      source.down = true;
      const catalogue = await started({ directory });
      await expect(catalogue.snapshot(acme)).rejects.toBeInstanceOf(Unavailable);
    });
    it('a deleted tenant leaves no file behind', async () => {
      source.publish(document(1, [target('tool', 'a')]));
      const catalogue = await started({ directory });
      await catalogue.snapshot(acme);
      await expect.poll(() => readFile(join(directory, 'acme.json'), 'utf8').catch(() => '')).toContain('"revision":1');
      source.documents.delete(acme);
      await expect.poll(() => readdir(directory)).toEqual([]);
    });
  });
});
