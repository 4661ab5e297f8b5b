import { createHash } from 'node:crypto';
import { AlreadyExists, NoSuchRecord } from '#libs/core/control-store.js';
import type { ApiDraft, ApiPublication, ApiRecord, ControlStore } from '#libs/core/control-store.js';
import type { ConversionOptions, ConvertedTool } from '#libs/core/conversion.js';
import { slotNamed } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { Database, Transaction } from './database.js';
import { isUniqueViolation } from './database-errors.js';
import type { Api, Prisma } from './generated/client.js';
import { countVerdicts, pack, packDefinitions, packLedger, turn, unpack, unpackDefinitions, unpackLedger } from './packed.js';
import { clean, publication, reading, unpublished } from './publication.js';

type ApiStore = Pick<ControlStore, 'listApis' | 'getApi' | 'putApi' | 'deleteApi' | 'getDocument' | 'getLedger' | 'getDefinitions' | 'setCredential' | 'dueForRefresh' | 'markRefreshed'>;

export const apiStore = (database: Database): ApiStore => ({
  listApis: (tenant) => reading(database, tenant, async (transaction) => (await transaction.api.findMany({ where: { tenant }, orderBy: { name: 'asc' } })).map(apiRecord)),

  getApi: (tenant, name) => reading(database, tenant, async (transaction) => {
    const row = await transaction.api.findUnique({ where: { tenant_name: { tenant, name } } });
    return row === null ? undefined : apiRecord(row);
  }),

  putApi: (tenant, draft) => putApi(database, tenant, draft),

  deleteApi: async (tenant, name) => {
    const { revision } = await publication(database, tenant, async (transaction) => {
      const { count } = await transaction.api.deleteMany({ where: { tenant, name } });
      if (count === 0) throw new NoSuchRecord('API', name);
    });
    return { revision };
  },

  getDocument: (tenant, name) => reading(database, tenant, async (transaction) => {
    const row = await transaction.apiContents.findFirst({ where: { tenant, api: { name } }, select: { bytes: true, mediaType: true } });
    return row === null ? undefined : { bytes: await unpack(row.bytes), mediaType: row.mediaType };
  }),

  getLedger: (tenant, name) => reading(database, tenant, async (transaction) => {
    const row = await transaction.apiContents.findFirst({ where: { tenant, api: { name } }, select: { ledger: true } });
    if (row === null) throw new NoSuchRecord('API', name);
    return unpackLedger(row.ledger);
  }),

  getDefinitions: (tenant, name) => reading(database, tenant, async (transaction) => {
    const row = await transaction.apiContents.findFirst({ where: { tenant, api: { name } }, select: { definitions: true } });
    if (row === null) throw new NoSuchRecord('API', name);
    return unpackDefinitions(row.definitions);
  }),

  setCredential: async (tenant, name, slot, reference) => {
    const { revision } = await publication(database, tenant, async (transaction) => {
      const row = await transaction.api.findUnique({ where: { tenant_name: { tenant, name } } });
      if (row === null) throw new NoSuchRecord('API', name);
      if (slotNamed(row.slots as ApiRecord['slots'], slot) === undefined) throw new NoSuchRecord('Credential slot', slot);
      const { [slot]: _before, ...others } = row.credentials as Record<string, unknown>;
      const credentials = reference === undefined ? others : { ...others, [slot]: reference };
      await transaction.api.update({ where: { tenant_name: { tenant, name } }, data: { credentials: credentials as Prisma.InputJsonObject, updatedAt: new Date() } });
    });
    return { revision };
  },

  dueForRefresh: (now) => database.control(async (transaction) => {
    const candidates = await transaction.api.findMany({ where: { refreshSeconds: { not: null } }, orderBy: [{ tenant: 'asc' }, { name: 'asc' }] });
    return candidates
      .filter(({ sourceUrl, conversion }) => !('inline' in sourceOf(sourceUrl, (conversion as ConversionOptions).connection)))
      .filter(({ refreshedAt, refreshSeconds }) => refreshedAt === null || refreshedAt.getTime() + (refreshSeconds ?? 0) * 1000 <= now.getTime())
      .map((row) => ({ tenant: row.tenant as TenantSlug, api: apiRecord(row) }));
  }),

  markRefreshed: (tenant, name, { at, error }) => unpublished(database, tenant, async (transaction) => {
    const { count } = await transaction.api.updateMany({ where: { tenant, name }, data: { refreshedAt: at, lastError: error === undefined ? null : clean(error) } });
    if (count === 0) throw new NoSuchRecord('API', name);
  }),
});

const sourceOf = (url: string | null, connection: ConversionOptions['connection']): ApiRecord['source'] => (connection !== undefined ? { connection } : url === null ? { inline: true } : { url });

export function apiRecord(row: Api): ApiRecord {
  const slots = row.slots as ApiRecord['slots'];
  // A credential outlives its slot, so that it is there again when a later document declares the slot again.
  const credentials = Object.entries(row.credentials as unknown as ApiRecord['credentials']).filter(([slot]) => slotNamed(slots, slot) !== undefined);
  return {
    id: row.id, name: row.name, version: row.version, title: row.title, description: row.description,
    status: row.status as ApiRecord['status'], category: row.category ?? undefined, tags: row.tags,
    source: sourceOf(row.sourceUrl, (row.conversion as ConversionOptions).connection),
    specHash: row.specHash, format: row.format as ApiRecord['format'], baseUrl: row.baseUrl ?? undefined,
    conversion: row.conversion as ConversionOptions, slots, credentials: Object.fromEntries(credentials),
    refreshSeconds: row.refreshSeconds ?? undefined, refreshedAt: row.refreshedAt ?? undefined, lastError: row.lastError ?? undefined,
    toolCount: row.toolCount, counts: { operations: row.operations, exact: row.exact, degraded: row.degraded, refused: row.refused },
    createdAt: row.createdAt, updatedAt: row.updatedAt,
  };
}

async function putApi(database: Database, tenant: TenantSlug, draft: ApiDraft): Promise<ApiPublication> {
  refuseDoubleNames(draft.document.tools);
  const contents = await contentsOf(draft);
  try {
    const { value, revision } = await publication(database, tenant, async (transaction) => {
      const { row, created } = await putRow(transaction, tenant, draft);
      const { count } = await transaction.apiContents.updateMany({ where: { tenant, apiId: row.id }, data: contents });
      if (count === 0) await transaction.apiContents.create({ data: { tenant, apiId: row.id, ...contents } });
      const diff = await putTools(transaction, tenant, row.id, draft.document.tools);
      return { api: apiRecord(row), created, diff };
    });
    return { ...value, revision };
  } catch (failure) {
    // `putTools` asks first; this is the index behind it.
    throw isUniqueViolation(failure) ? new AlreadyExists('Tool', `of ${draft.name}`) : failure;
  }
}

function refuseDoubleNames(tools: readonly ConvertedTool[]): void {
  const seen = new Set<string>();
  for (const { name } of tools) {
    if (seen.has(name)) throw new AlreadyExists('Tool', name);
    seen.add(name);
  }
}

async function putRow(transaction: Transaction, tenant: TenantSlug, draft: ApiDraft): Promise<{ row: Api; created: boolean }> {
  const { name, document } = draft;
  const before = await transaction.api.findUnique({ where: { tenant_name: { tenant, name } }, select: { id: true } });
  // Names taken elsewhere hold at one import only; the next one asks again.
  const { takenNames: _taken, ...conversion } = draft.conversion;
  const now = new Date();
  const data = {
    version: clean(document.version), title: clean(document.title), description: clean(document.description),
    status: draft.status, category: draft.category === undefined ? null : clean(draft.category), tags: draft.tags.map(clean),
    sourceUrl: 'url' in draft.source ? draft.source.url : null,
    specHash: document.specHash, format: document.format, baseUrl: draft.baseUrl ?? null,
    conversion: conversion as Prisma.InputJsonObject, slots: document.slots as Prisma.InputJsonObject,
    refreshSeconds: draft.refreshSeconds ?? null, refreshedAt: now, lastError: null,
    toolCount: document.tools.length, ...countVerdicts(document.ledger), updatedAt: now,
  };
  const row = before === null
    ? await transaction.api.create({ data: { tenant, name, credentials: {}, ...data } })
    : await transaction.api.update({ where: { tenant_id: { tenant, id: before.id } }, data });
  return { row, created: before === null };
}

type Contents = Pick<Prisma.ApiContentsCreateManyInput, 'bytes' | 'mediaType' | 'definitions' | 'ledger' | 'contents'>;

async function contentsOf(draft: ApiDraft): Promise<Contents> {
  const own = draft.document.contents ?? [];
  const [bytes, definitions, ledger, contents] = await Promise.all([pack(draft.bytes), packDefinitions(draft.document.definitions), packLedger(draft.document.ledger), own.length === 0 ? null : pack(JSON.stringify(own))]);
  return { bytes, mediaType: clean(draft.mediaType), definitions, ledger, contents };
}

/** Characters of JSON in one statement, and between two turns of the event loop: a data plane may live in the same process. */
const BATCH = 256 * 1024;

/** Replaces the API's tools: those that are gone become inactive and keep their edits; rows that would not change are not written. */
async function putTools(transaction: Transaction, tenant: TenantSlug, apiId: string, tools: readonly ConvertedTool[]): Promise<ApiPublication['diff']> {
  const names = tools.map((tool) => tool.name);
  const [taken] = await transaction.$queryRaw<{ name: string }[]>`
    SELECT name FROM tools WHERE tenant = ${tenant} AND active AND api_id <> ${apiId}::uuid AND name = ANY(${names}::text[]) ORDER BY name LIMIT 1`;
  if (taken) throw new AlreadyExists('Tool', taken.name);

  const before = new Map((await transaction.tool.findMany({ where: { tenant, apiId }, select: { name: true, active: true, digest: true } })).map((row) => [row.name, row]));
  const diff = { added: [] as string[], changed: [] as string[], removed: [] as string[] };
  let batch: Row[] = [];
  let size = 0;
  for (const tool of tools) {
    const row = rowOf(tool);
    const old = before.get(row.name);
    before.delete(row.name);
    if (old?.active === true && old.digest === row.digest) continue;
    (old?.active === true ? diff.changed : diff.added).push(row.name);
    batch.push(row);
    size += row.definition.length + row.listed.length;
    if (size >= BATCH) {
      await writeTools(transaction, tenant, apiId, batch);
      batch = [];
      size = 0;
      // An embedded database answers without ever leaving the turn.
      await turn();
    }
  }
  await writeTools(transaction, tenant, apiId, batch);
  for (const row of before.values()) if (row.active) diff.removed.push(row.name);
  if (diff.removed.length > 0) {
    await transaction.$executeRaw`
      UPDATE tools SET active = false, updated_at = clock_timestamp() WHERE tenant = ${tenant} AND api_id = ${apiId}::uuid AND name = ANY(${diff.removed}::text[])`;
  }
  return { added: diff.added.toSorted(), changed: diff.changed.toSorted(), removed: diff.removed.toSorted() };
}

interface Row { readonly name: string; readonly definition: string; readonly listed: string; readonly digest: string }

function rowOf({ listed, ...tool }: ConvertedTool): Row {
  const definition = JSON.stringify(tool);
  return { name: tool.name, definition, listed, digest: createHash('sha256').update(definition).update('\n').update(listed).digest('hex') };
}

async function writeTools(transaction: Transaction, tenant: TenantSlug, apiId: string, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  await transaction.$executeRaw`
    INSERT INTO tools (tenant, api_id, name, active, definition, listed, digest)
    SELECT ${tenant}, ${apiId}::uuid, row.name, true, row.definition::json, row.listed, row.digest
    FROM unnest(${rows.map((row) => row.name)}::text[], ${rows.map((row) => row.definition)}::text[], ${rows.map((row) => row.listed)}::text[], ${rows.map((row) => row.digest)}::text[])
      AS row (name, definition, listed, digest)
    ON CONFLICT (tenant, api_id, name) DO UPDATE
      SET active = true, definition = excluded.definition, listed = excluded.listed, digest = excluded.digest, updated_at = clock_timestamp()`;
}
