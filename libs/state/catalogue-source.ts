import { setTimeout } from 'node:timers/promises';
import type { CatalogueSource, ImportedDocument, SnapshotDocument } from '#libs/core/catalogue.js';
import type { ConvertedContent } from '#libs/core/conversion.js';
import type { Definitions } from '#libs/core/json-schema.js';
import type { Target } from '#libs/core/target.js';
import { tenantSlug } from '#libs/core/tenant.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { apiRecord } from './apis.js';
import type { Database, Transaction } from './database.js';
import { keepListening } from './keep-listening.js';
import { sizeOfPacked, unpack, unpackDefinitions } from './packed.js';
import { promptRecord } from './prompts.js';
import { CATALOGUE_CHANNEL } from './publication.js';
import { resourceRecord } from './resources.js';
import { apiOf, snapshotDocument } from './snapshot-document.js';
import { contentTarget, documentTarget, promptTarget, resourceTarget } from './stored-content.js';
import { toolTarget } from './stored-tool.js';
import { tenantRecord } from './tenants.js';
import { activeTools } from './tools.js';

export interface WatchOptions {
  /** Milliseconds between two looks at every tenant's revision, whether or not notifications arrive. Default 750. */
  readonly pollMs?: number;
  /** Longest wait before the notification connection is tried again, in milliseconds. Default 10,000. */
  readonly reconnectMs?: number;
  /** A look or a listening connection failed; the next try comes by itself. */
  readonly onTrouble?: (failure: unknown) => void;
}

/** Snapshots out of the control plane's database. */
export const databaseCatalogueSource = (database: Database, options: WatchOptions = {}): CatalogueSource => ({
  load: (tenant) => database.tenant(tenant, (transaction) => load(transaction, tenant), { consistent: true }),
  document: (tenant, api, specHash) => documentOf(database, tenant, { api, specHash }),
  revisions: () => revisions(database),
  watch: (changed) => watch(database, changed, options),
});

async function load(transaction: Transaction, slug: TenantSlug): Promise<SnapshotDocument | undefined> {
  const row = await transaction.tenant.findUnique({ where: { slug } });
  if (row === null) return undefined;
  const tenant = tenantRecord(row);
  if (!tenant.enabled) return snapshotDocument(tenant, [], []);

  const records = (await transaction.api.findMany({ where: { tenant: slug }, orderBy: { name: 'asc' } })).map(apiRecord);
  const apis = [];
  const targets: SnapshotDocument['targets'][number][] = [];
  const own: Omit<Target, 'definitions'>[] = [];
  for (const record of records) {
    const { definitions, contents, ...document } = await contentsOf(transaction, slug, record.id);
    apis.push(apiOf(slug, record, definitions));
    targets.push(documentTarget(slug, record, document));
    for (const content of contents) own.push(contentTarget(slug, record, content));
  }
  for await (const { api, tool, edits } of activeTools(transaction, slug, records)) if (edits.enabled) targets.push(toolTarget(slug, api, tool, edits));
  for (const prompt of await transaction.prompt.findMany({ where: { tenant: slug } })) targets.push(promptTarget(slug, promptRecord(prompt)));
  for (const resource of await transaction.resource.findMany({ where: { tenant: slug } })) targets.push(resourceTarget(slug, resourceRecord(resource)));
  // What the tenant wrote itself stands before what its APIs bring, and an API before those of later names.
  const taken = new Set(targets.map(({ kind, name }) => `${kind} ${name}`));
  for (const target of own) {
    const key = `${target.kind} ${target.name}`;
    if (!taken.has(key)) targets.push(target);
    taken.add(key);
  }
  return snapshotDocument(tenant, apis, targets);
}

/** All but the document itself, which is large and read by few. */
async function contentsOf(transaction: Transaction, tenant: TenantSlug, api: string): Promise<{ readonly definitions: Definitions; readonly contents: readonly ConvertedContent[]; readonly mediaType: string; readonly size: number }> {
  const [row] = await transaction.$queryRaw<{ definitions: Uint8Array; contents: Uint8Array | null; mediaType: string; trailer: Uint8Array }[]>`
    SELECT definitions, contents, media_type AS "mediaType", substring(bytes FROM octet_length(bytes) - 3) AS trailer FROM api_contents WHERE tenant = ${tenant} AND api_id = ${api}::uuid`;
  if (!row) throw new Error(`API ${api} of tenant ${tenant} has no contents`);
  const contents = row.contents === null ? [] : JSON.parse(Buffer.from(await unpack(row.contents)).toString('utf8')) as ConvertedContent[];
  return { definitions: await unpackDefinitions(row.definitions), contents, mediaType: row.mediaType, size: sizeOfPacked(row.trailer) };
}

async function documentOf(database: Database, tenant: TenantSlug, { api, specHash }: { readonly api: string; readonly specHash: string }): Promise<ImportedDocument | undefined> {
  const row = await database.tenant(tenant, (transaction) => transaction.apiContents.findFirst({ where: { tenant, apiId: api, api: { specHash } }, select: { bytes: true, mediaType: true } }));
  return row === null ? undefined : { bytes: await unpack(row.bytes), mediaType: row.mediaType };
}

async function revisions(database: Database): Promise<ReadonlyMap<TenantSlug, number>> {
  const rows = await database.control((transaction) => transaction.tenant.findMany({ select: { slug: true, revision: true } }));
  return new Map(rows.map((row) => [row.slug as TenantSlug, Number(row.revision)]));
}

/**
 * Notifications tell at once; looking at the revisions every `pollMs` finds what a broken connection swallowed. The two
 * meet in `Seen`, which tells each revision once.
 */
async function watch(database: Database, changed: (tenant: TenantSlug, revision: number) => void, { pollMs = 750, reconnectMs = 10_000, onTrouble = () => undefined }: WatchOptions): Promise<() => Promise<void>> {
  const seen = new Seen((tenant, revision) => {
    try {
      changed(tenant, revision);
    } catch (failure) {
      onTrouble(failure);
    }
  });
  const look = async (first = false): Promise<void> => {
    try {
      const current = await revisions(database);
      if (first) seen.start(current);
      else seen.look(current);
    } catch (failure) {
      onTrouble(failure);
    }
  };
  // What is there already is no change. When even this fails, everything is one at the first look that succeeds.
  await look(true);

  const stopping = new AbortController();
  const polling = (async () => {
    while (await pause(pollMs, stopping.signal)) await look();
  })();
  const silence = await keepListening(database, { channel: CATALOGUE_CHANNEL, heard: (payload) => { seen.hear(payload); }, caughtUp: look, reconnectMs, onTrouble });
  return async () => {
    stopping.abort();
    await Promise.all([polling, silence()]);
  };
}

/** Answers false when `signal` ended the wait. */
const pause = (milliseconds: number, signal: AbortSignal): Promise<boolean> => setTimeout(milliseconds, true, { signal }).catch(() => false);

/** Revisions that were told already. They come from one sequence, so a higher number is always the later publication. */
class Seen {
  readonly #told = new Map<TenantSlug, number>();
  constructor(private readonly tell: (tenant: TenantSlug, revision: number) => void) {}

  start(current: ReadonlyMap<TenantSlug, number>): void {
    for (const [tenant, revision] of current) this.#told.set(tenant, revision);
  }

  look(current: ReadonlyMap<TenantSlug, number>): void {
    for (const [tenant, revision] of current) this.#offer(tenant, revision);
    for (const [tenant, revision] of this.#told) {
      if (current.has(tenant)) continue;
      this.#told.delete(tenant);
      // Its deletion has a revision that nobody heard; any later one makes a data plane look.
      this.tell(tenant, revision + 1);
    }
  }

  hear(payload: string): void {
    const [slug, number, gone] = payload.split(':');
    const tenant = tenantSlug(slug);
    const revision = Number(number);
    if (tenant === undefined || !Number.isSafeInteger(revision)) return;
    this.#offer(tenant, revision);
    if (gone !== undefined) this.#told.delete(tenant);
  }

  #offer(tenant: TenantSlug, revision: number): void {
    if (revision <= (this.#told.get(tenant) ?? 0)) return;
    this.#told.set(tenant, revision);
    this.tell(tenant, revision);
  }
}
