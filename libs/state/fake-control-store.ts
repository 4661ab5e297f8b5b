import { randomUUID } from 'node:crypto';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import { AlreadyExists, NoSuchRecord } from '#libs/core/control-store.js';
import type { ApiDraft, ApiRecord, ControlStore, PromptRecord, ResourceRecord, TenantEdit, TenantRecord } from '#libs/core/control-store.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import { type CredentialReference, slotNamed } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { countVerdicts } from './packed.js';
import { apiOf, snapshotDocument } from './snapshot-document.js';
import { documentResource, documentTarget, isDocumentUri, promptTarget, resourceTarget } from './stored-content.js';
import { toolRecord, toolTarget, UNEDITED, withEdit } from './stored-tool.js';
import type { ToolEdits } from './stored-tool.js';

interface HeldTool { tool: ConvertedTool; edits: ToolEdits; active: boolean }
interface HeldApi { record: ApiRecord; draft: ApiDraft; credentials: Record<string, CredentialReference>; readonly tools: Map<string, HeldTool> }
interface HeldTenant { record: TenantRecord; readonly apis: Map<string, HeldApi>; readonly prompts: Map<string, PromptRecord>; readonly resources: Map<string, ResourceRecord> }

/** Control store and catalogue source in memory, for tests of what stands on them. It sits the same contract as the real ones. */
export class FakeControlStore implements ControlStore, CatalogueSource {
  readonly #tenants = new Map<TenantSlug, HeldTenant>();
  readonly #watchers = new Set<(tenant: TenantSlug, revision: number) => void>();
  #revision = 0;

  #held(slug: TenantSlug): HeldTenant {
    const held = this.#tenants.get(slug);
    if (!held) throw new NoSuchRecord('Tenant', slug);
    return held;
  }
  #api(slug: TenantSlug, name: string): HeldApi {
    const held = this.#held(slug).apis.get(name);
    if (!held) throw new NoSuchRecord('API', name);
    return held;
  }
  #publish(held: HeldTenant): number {
    const revision = (this.#revision += 1);
    held.record = { ...held.record, revision, updatedAt: new Date() };
    this.#tell(held.record.slug, revision);
    return revision;
  }
  #tell(tenant: TenantSlug, revision: number): void {
    for (const watcher of this.#watchers) queueMicrotask(() => { watcher(tenant, revision); });
  }

  async listTenants() { return byKey([...this.#tenants.values()].map((held) => held.record), (record) => record.slug); }
  async getTenant(slug: TenantSlug) { return this.#tenants.get(slug)?.record; }
  async createTenant({ slug, displayName, description }: Pick<TenantRecord, 'slug' | 'displayName' | 'description'>) {
    if (this.#tenants.has(slug)) throw new AlreadyExists('Tenant', slug);
    const now = new Date();
    const held: HeldTenant = { record: { slug, displayName, description, enabled: true, revision: 0, createdAt: now, updatedAt: now }, apis: new Map(), prompts: new Map(), resources: new Map() };
    this.#tenants.set(slug, held);
    this.#publish(held);
    return held.record;
  }
  async updateTenant(slug: TenantSlug, edit: TenantEdit) {
    const held = this.#held(slug);
    const { displayName = held.record.displayName, description = held.record.description, enabled = held.record.enabled } = edit;
    const { quotas: before, ...record } = held.record;
    const quotas = edit.quotas === undefined ? before : edit.quotas ?? undefined;
    held.record = { ...record, displayName, description, enabled, ...(quotas === undefined ? {} : { quotas }) };
    this.#publish(held);
    return held.record;
  }
  async deleteTenant(slug: TenantSlug) {
    this.#held(slug);
    this.#tenants.delete(slug);
    this.#tell(slug, this.#revision += 1);
  }

  async listApis(slug: TenantSlug) { return byKey([...this.#held(slug).apis.values()].map(apiRecord), (record) => record.name); }
  async getApi(slug: TenantSlug, name: string) {
    const api = this.#held(slug).apis.get(name);
    return api && apiRecord(api);
  }
  async putApi(slug: TenantSlug, draft: ApiDraft) {
    const held = this.#held(slug);
    const before = held.apis.get(draft.name);
    const names = new Set<string>();
    for (const { name } of draft.document.tools) {
      const elsewhere = [...held.apis.values()].some((api) => api !== before && api.tools.get(name)?.active === true);
      if (elsewhere || names.has(name)) throw new AlreadyExists('Tool', name);
      names.add(name);
    }
    const diff = { added: [] as string[], changed: [] as string[], removed: [] as string[] };
    const tools = new Map(before?.tools);
    for (const tool of draft.document.tools) {
      const old = tools.get(tool.name);
      if (old?.active !== true) diff.added.push(tool.name);
      else if (JSON.stringify(old.tool) !== JSON.stringify(tool)) diff.changed.push(tool.name);
      tools.set(tool.name, { tool, edits: old?.edits ?? UNEDITED, active: true });
    }
    for (const [name, old] of tools) {
      if (names.has(name)) continue;
      if (old.active) diff.removed.push(name);
      tools.set(name, { ...old, active: false });
    }
    const api: HeldApi = { draft, record: recordOf(draft, before?.record), credentials: before?.credentials ?? {}, tools };
    held.apis.set(draft.name, api);
    const revision = this.#publish(held);
    return { api: apiRecord(api), created: before === undefined, revision, diff: { added: diff.added.toSorted(), changed: diff.changed.toSorted(), removed: diff.removed.toSorted() } };
  }
  async deleteApi(slug: TenantSlug, name: string) {
    const held = this.#held(slug);
    if (!held.apis.delete(name)) throw new NoSuchRecord('API', name);
    return { revision: this.#publish(held) };
  }
  async getDocument(slug: TenantSlug, name: string) {
    const draft = this.#held(slug).apis.get(name)?.draft;
    return draft && { bytes: draft.bytes, mediaType: draft.mediaType };
  }
  async getLedger(slug: TenantSlug, name: string) { return this.#api(slug, name).draft.document.ledger; }
  async getDefinitions(slug: TenantSlug, name: string) { return this.#api(slug, name).draft.document.definitions; }
  async setCredential(slug: TenantSlug, name: string, slot: string, reference: CredentialReference | undefined) {
    const api = this.#api(slug, name);
    if (slotNamed(api.record.slots, slot) === undefined) throw new NoSuchRecord('Credential slot', slot);
    const { [slot]: _before, ...others } = api.credentials;
    api.credentials = reference === undefined ? others : { ...others, [slot]: reference };
    return { revision: this.#publish(this.#held(slug)) };
  }
  async dueForRefresh(now: Date) {
    return [...this.#tenants.values()].flatMap((held) => [...held.apis.values()].map(apiRecord)
      .filter(({ source, refreshSeconds, refreshedAt }) => !('inline' in source) && refreshSeconds !== undefined && (refreshedAt?.getTime() ?? 0) + refreshSeconds * 1000 <= now.getTime())
      .map((api) => ({ tenant: held.record.slug, api })));
  }
  async markRefreshed(slug: TenantSlug, name: string, { at, error }: { readonly at: Date; readonly error: string | undefined }) {
    const api = this.#api(slug, name);
    api.record = { ...api.record, refreshedAt: at, lastError: error };
  }

  #tools(slug: TenantSlug) {
    return [...this.#held(slug).apis.values()].flatMap((api) => [...api.tools.values()].filter((held) => held.active).map((held) => ({ api: apiRecord(api), held })));
  }
  async listTools(slug: TenantSlug) { return byKey(this.#tools(slug).map(({ api, held }) => toolRecord(api, held.tool, held.edits)), (tool) => tool.name); }
  async getTool(slug: TenantSlug, name: string) {
    const found = this.#tools(slug).find(({ held }) => held.tool.name === name);
    return found && toolRecord(found.api, found.held.tool, found.held.edits);
  }
  async editTool(slug: TenantSlug, name: string, edit: Parameters<ControlStore['editTool']>[2]) {
    const found = this.#tools(slug).find(({ held }) => held.tool.name === name);
    if (!found) throw new NoSuchRecord('Tool', name);
    found.held.edits = withEdit(found.held.edits, edit);
    return { tool: toolRecord(found.api, found.held.tool, found.held.edits), revision: this.#publish(this.#held(slug)) };
  }

  async listPrompts(slug: TenantSlug) { return byKey([...this.#held(slug).prompts.values()], (prompt) => prompt.name); }
  async putPrompt(slug: TenantSlug, prompt: PromptRecord) {
    const held = this.#held(slug);
    const created = !held.prompts.has(prompt.name);
    held.prompts.set(prompt.name, prompt);
    return { revision: this.#publish(held), created };
  }
  async deletePrompt(slug: TenantSlug, name: string) {
    const held = this.#held(slug);
    if (!held.prompts.delete(name)) throw new NoSuchRecord('Prompt', name);
    return { revision: this.#publish(held) };
  }

  async listResources(slug: TenantSlug) {
    const held = this.#held(slug);
    return byKey([...held.resources.values(), ...[...held.apis.values()].map(({ record, draft }) => documentResource(record, draft))], (resource) => resource.uri);
  }
  async putResource(slug: TenantSlug, resource: ResourceRecord) {
    const held = this.#held(slug);
    if (isDocumentUri(resource.uri)) throw new AlreadyExists('Resource', resource.uri);
    const created = !held.resources.has(resource.uri);
    held.resources.set(resource.uri, resource);
    return { revision: this.#publish(held), created };
  }
  async deleteResource(slug: TenantSlug, uri: string) {
    const held = this.#held(slug);
    if (!held.resources.delete(uri)) throw new NoSuchRecord('Resource', uri);
    return { revision: this.#publish(held) };
  }

  async load(slug: TenantSlug) {
    const held = this.#tenants.get(slug);
    if (!held) return undefined;
    const apis = [...held.apis.values()];
    const tools = this.#tools(slug).filter(({ held: { edits } }) => edits.enabled).map(({ api, held: { tool, edits } }) => toolTarget(slug, api, tool, edits));
    return snapshotDocument(held.record, apis.map((api) => apiOf(slug, apiRecord(api), api.draft.document.definitions)), [
      ...apis.map(({ record, draft }) => documentTarget(slug, record, { mediaType: draft.mediaType, size: draft.bytes.byteLength })), ...tools,
      ...[...held.prompts.values()].map((prompt) => promptTarget(slug, prompt)),
      ...[...held.resources.values()].map((resource) => resourceTarget(slug, resource)),
    ]);
  }
  async document(slug: TenantSlug, id: string, specHash: string) {
    const api = [...this.#tenants.get(slug)?.apis.values() ?? []].find(({ record }) => record.id === id && record.specHash === specHash);
    return api && { bytes: api.draft.bytes, mediaType: api.draft.mediaType };
  }
  async revisions() { return new Map([...this.#tenants].map(([slug, held]) => [slug, held.record.revision])); }
  async watch(changed: (tenant: TenantSlug, revision: number) => void) {
    this.#watchers.add(changed);
    return async () => { this.#watchers.delete(changed); };
  }
}

const byKey = <T>(records: readonly T[], key: (record: T) => string): T[] => records.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));

const apiRecord = ({ record, credentials }: HeldApi): ApiRecord => ({
  ...record, credentials: Object.fromEntries(Object.entries(credentials).filter(([slot]) => slotNamed(record.slots, slot) !== undefined)),
});

function recordOf({ document, ...draft }: ApiDraft, before: ApiRecord | undefined): ApiRecord {
  const now = new Date();
  const { takenNames: _taken, ...conversion } = draft.conversion;
  return {
    id: before?.id ?? randomUUID(), name: draft.name, version: document.version, title: document.title, description: document.description,
    status: draft.status, category: draft.category, tags: draft.tags, source: draft.source, specHash: document.specHash, format: document.format,
    baseUrl: draft.baseUrl, conversion, slots: document.slots, credentials: {},
    refreshSeconds: draft.refreshSeconds, refreshedAt: now, lastError: undefined,
    toolCount: document.tools.length, counts: countVerdicts(document.ledger), createdAt: before?.createdAt ?? now, updatedAt: now,
  };
}
