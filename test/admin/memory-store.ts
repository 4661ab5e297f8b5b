import { createHash } from 'node:crypto';
import {
  AlreadyExists, type ApiDraft, type ApiPublication, type ApiRecord, type ControlStore, NoSuchRecord, type PromptRecord, type ResourceRecord, type TenantEdit, type TenantRecord, type ToolEdit, type ToolRecord,
} from '#libs/core/control-store.js';
import type { OperationVerdict } from '#libs/core/conversion.js';
import type { CredentialReference } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';

interface Tenant {
  record: TenantRecord;
  apis: Map<string, { record: ApiRecord; draft: ApiDraft }>;
  tools: Map<string, { tool: ToolRecord; edit: ToolEdit }>;
  prompts: Map<string, PromptRecord>;
  resources: Map<string, ResourceRecord>;
}

/** The control store in memory, small enough to be obviously right; for tests of the admin API. */
export class MemoryStore implements ControlStore {
  readonly tenants = new Map<TenantSlug, Tenant>();
  /** Set to make the next publication fail as a broken store does. */
  breaks: Error | undefined;
  constructor(private readonly now: () => Date = () => new Date()) {}

  async listTenants() { return [...this.tenants.values()].map(({ record }) => record); }
  async getTenant(tenant: TenantSlug) { return this.tenants.get(tenant)?.record; }
  async createTenant({ slug, displayName, description }: Pick<TenantRecord, 'slug' | 'displayName' | 'description'>) {
    if (this.tenants.has(slug)) throw new AlreadyExists('tenant', slug);
    const record: TenantRecord = { slug, displayName, description, enabled: true, revision: 0, createdAt: this.now(), updatedAt: this.now() };
    this.tenants.set(slug, { record, apis: new Map(), tools: new Map(), prompts: new Map(), resources: new Map() });
    return record;
  }
  async updateTenant(tenant: TenantSlug, { quotas, ...edit }: TenantEdit) { const t = this.#of(tenant); return (t.record = { ...t.record, ...edit, ...(quotas === undefined ? {} : { quotas: quotas ?? undefined }) }); }
  async deleteTenant(tenant: TenantSlug) { this.#of(tenant); this.tenants.delete(tenant); }

  async listApis(tenant: TenantSlug) { return [...this.#of(tenant).apis.values()].map(({ record }) => record); }
  async getApi(tenant: TenantSlug, name: string) { return this.#of(tenant).apis.get(name)?.record; }
  async putApi(tenant: TenantSlug, draft: ApiDraft): Promise<ApiPublication> {
    if (this.breaks !== undefined) { const failure = this.breaks; this.breaks = undefined; throw failure; }
    const t = this.#of(tenant);
    const { document } = draft;
    const previous = t.apis.get(draft.name)?.record;
    const before = new Map([...t.tools].filter(([, { tool }]) => tool.apiName === draft.name));
    const count = (verdict: string): number => document.ledger.filter((entry) => entry.verdict === verdict).length;
    const record: ApiRecord = {
      id: previous?.id ?? `${tenant}/${draft.name}`, name: draft.name, version: document.version, title: document.title, description: document.description, status: draft.status,
      category: draft.category, tags: draft.tags, source: draft.source, specHash: document.specHash, format: document.format, baseUrl: draft.baseUrl, conversion: draft.conversion,
      slots: document.slots, credentials: previous?.credentials ?? {}, refreshSeconds: draft.refreshSeconds, refreshedAt: this.now(), lastError: undefined, toolCount: document.tools.length,
      counts: { operations: document.ledger.length, exact: count('exact'), degraded: count('degraded'), refused: count('refused') }, createdAt: previous?.createdAt ?? this.now(), updatedAt: this.now(),
    };
    for (const name of before.keys()) t.tools.delete(name);
    const diff = { added: [] as string[], changed: [] as string[], removed: [...before.keys()].filter((name) => !document.tools.some((tool) => tool.name === name)) };
    for (const tool of document.tools) {
      const was = before.get(tool.name);
      if (was === undefined) diff.added.push(tool.name); else if (was.tool.hash !== tool.hash) diff.changed.push(tool.name);
      t.tools.set(tool.name, {
        edit: was?.edit ?? {},
        tool: {
          name: tool.name, apiName: draft.name, title: tool.title, description: tool.description, tags: tool.tags, operationClass: tool.operationClass, deprecated: tool.deprecated, enabled: true,
          timeoutMs: 30_000, inputSchema: tool.inputSchema, outputSchema: tool.outputSchema, backend: tool.backend, hash: tool.hash, edited: false,
        },
      });
    }
    t.apis.set(draft.name, { record, draft });
    return { api: record, created: previous === undefined, revision: this.#publish(t), diff };
  }
  async deleteApi(tenant: TenantSlug, name: string) {
    const t = this.#of(tenant);
    if (!t.apis.delete(name)) throw new NoSuchRecord('API', name);
    for (const [tool, entry] of t.tools) if (entry.tool.apiName === name) t.tools.delete(tool);
    return { revision: this.#publish(t) };
  }
  async getDocument(tenant: TenantSlug, name: string) { const draft = this.#of(tenant).apis.get(name)?.draft; return draft && { bytes: draft.bytes, mediaType: draft.mediaType }; }
  async getLedger(tenant: TenantSlug, name: string): Promise<readonly OperationVerdict[]> { return this.#of(tenant).apis.get(name)?.draft.document.ledger ?? []; }
  async getDefinitions(tenant: TenantSlug, name: string) { return this.#of(tenant).apis.get(name)?.draft.document.definitions ?? {}; }
  async setCredential(tenant: TenantSlug, api: string, slot: string, reference: CredentialReference | undefined) {
    const t = this.#of(tenant);
    const entry = t.apis.get(api);
    if (entry === undefined) throw new NoSuchRecord('API', api);
    const { [slot]: _gone, ...others } = entry.record.credentials;
    entry.record = { ...entry.record, credentials: reference === undefined ? others : { ...others, [slot]: reference } };
    return { revision: this.#publish(t) };
  }
  async dueForRefresh(now: Date) {
    return [...this.tenants].flatMap(([tenant, { apis }]) => [...apis.values()]
      .filter(({ record }) => record.refreshSeconds !== undefined && (record.refreshedAt?.getTime() ?? 0) + record.refreshSeconds * 1000 <= now.getTime())
      .map(({ record }) => ({ tenant, api: record })));
  }
  async markRefreshed(tenant: TenantSlug, api: string, { at, error }: { at: Date; error: string | undefined }) {
    const entry = this.#of(tenant).apis.get(api);
    if (entry === undefined) throw new NoSuchRecord('API', api);
    entry.record = { ...entry.record, refreshedAt: at, lastError: error };
  }

  async listTools(tenant: TenantSlug) { return [...this.#of(tenant).tools.values()].map(edited); }
  async getTool(tenant: TenantSlug, name: string) { const found = this.#of(tenant).tools.get(name); return found && edited(found); }
  async editTool(tenant: TenantSlug, name: string, edit: ToolEdit) {
    const t = this.#of(tenant);
    const entry = t.tools.get(name);
    if (entry === undefined) throw new NoSuchRecord('tool', name);
    entry.edit = { ...entry.edit, ...edit };
    return { tool: edited(entry), revision: this.#publish(t) };
  }

  async listPrompts(tenant: TenantSlug) { return [...this.#of(tenant).prompts.values()]; }
  async putPrompt(tenant: TenantSlug, prompt: PromptRecord) { const t = this.#of(tenant); const created = !t.prompts.has(prompt.name); t.prompts.set(prompt.name, prompt); return { revision: this.#publish(t), created }; }
  async deletePrompt(tenant: TenantSlug, name: string) { const t = this.#of(tenant); if (!t.prompts.delete(name)) throw new NoSuchRecord('prompt', name); return { revision: this.#publish(t) }; }
  async listResources(tenant: TenantSlug) { return [...this.#of(tenant).resources.values()]; }
  async putResource(tenant: TenantSlug, resource: ResourceRecord) { const t = this.#of(tenant); const created = !t.resources.has(resource.uri); t.resources.set(resource.uri, resource); return { revision: this.#publish(t), created }; }
  async deleteResource(tenant: TenantSlug, uri: string) { const t = this.#of(tenant); if (!t.resources.delete(uri)) throw new NoSuchRecord('resource', uri); return { revision: this.#publish(t) }; }

  #of(tenant: TenantSlug): Tenant {
    const found = this.tenants.get(tenant);
    if (found === undefined) throw new NoSuchRecord('tenant', tenant);
    return found;
  }
  #publish(tenant: Tenant): number { tenant.record = { ...tenant.record, revision: tenant.record.revision + 1, updatedAt: this.now() }; return tenant.record.revision; }
}

function edited({ tool, edit }: { tool: ToolRecord; edit: ToolEdit }): ToolRecord {
  return {
    ...tool, enabled: edit.enabled ?? tool.enabled, description: edit.description ?? tool.description, tags: edit.tags ?? tool.tags, timeoutMs: edit.timeoutMs ?? tool.timeoutMs, rateLimit: edit.rateLimit === undefined ? tool.rateLimit : edit.rateLimit ?? undefined,
    edited: Object.values(edit).some((value) => value !== null && value !== undefined),
  };
}

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
