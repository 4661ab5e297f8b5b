import type { Catalogue, CatalogueSnapshot } from '#libs/core/catalogue.js';
import type { Api } from '#libs/core/target.js';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import type { Listing } from '../mcp/listing.js';
import { answer, everyone, fault, isPlatformAdmin, missing, type PlatformAnswer, type PlatformTool, platformTarget, type ToolInput } from './platform-tool.js';

export type Snapshots = Pick<Catalogue, 'snapshot'>;
/** Asked late: it holds the platform's own tools as well. */
export type Lists = () => Pick<Listing, 'list' | 'find'>;

export const catalogTool = (catalogue: Snapshots, listing: Lists): PlatformTool => ({
  target: platformTarget({
    name: 'stoa_catalog', title: 'API catalogue', category: 'API Catalog', required: ['action'],
    description: 'The APIs of your tenant. Actions: list (by status, category, tags), get (one API with its tools), search, versions (of one API), categories.',
    properties: {
      action: { type: 'string', enum: ['list', 'get', 'search', 'versions', 'categories'], description: 'What to do.' },
      api_id: { type: 'string', description: 'get, versions: the API\'s id or name.' },
      query: { type: 'string', description: 'search: every word must occur in name, title, description or tags.' },
      status: { type: 'string', enum: ['active', 'deprecated', 'draft'], description: 'list: only these.' },
      category: { type: 'string', description: 'list: only this category, in any case.' },
      tags: { type: 'array', items: { type: 'string' }, description: 'list: only APIs with all of these.' },
      page: { type: 'integer', minimum: 1, default: 1, description: 'list: which page.' },
      page_size: { type: 'integer', minimum: 1, maximum: 100, default: 20, description: 'list: APIs on a page.' },
      tenant_id: { type: 'string', description: 'Another tenant, for platform administrators.' },
    },
  }),
  visibleTo: everyone,
  run: async (input, call) => {
    const snapshot = await snapshotFor({ catalogue, listing }, call.principal, input);
    if (snapshot === 'refused') return fault('TENANT_MISMATCH', `Access to tenant '${String(input['tenant_id'])}' denied`, 'Leave tenant_id out.');
    return ACTIONS[String(input['action'])]?.(snapshot, input) ?? fault('INVALID_ACTION', 'Unknown action', 'Use one of list, get, search, versions, categories.');
  },
});

/** What the caller may see of its own snapshot: the tools that are listed to it, and no others. Or the asked one for a platform administrator; `refused` for everybody else, whether it exists or not. */
export async function snapshotFor({ catalogue, listing }: { readonly catalogue: Snapshots; readonly listing: Lists }, principal: Principal, input: ToolInput): Promise<CatalogueSnapshot | undefined | 'refused'> {
  const asked = input['tenant_id'];
  if (typeof asked === 'string' && asked !== principal.tenant && !isPlatformAdmin(principal)) return 'refused';
  const tenant = typeof asked === 'string' ? tenantSlug(asked) : principal.tenant;
  const snapshot = tenant === undefined ? undefined : await catalogue.snapshot(tenant);
  if (!snapshot) return undefined;
  const { items } = await listing().list('tool', tenant === principal.tenant ? principal : { ...principal, tenant });
  return { ...snapshot, tools: new Map(items.flatMap((target) => (target.tenant === undefined ? [] : [[target.name, target]]))) };
}

/** An API by id, else by name; of several versions the last listed. */
export const apiOf = (snapshot: CatalogueSnapshot | undefined, id: unknown): Api | undefined =>
  typeof id !== 'string' ? undefined : snapshot?.apis.get(id) ?? [...snapshot?.apis.values() ?? []].findLast(({ name }) => name === id);

export const apiNotFound = (id: unknown): PlatformAnswer => fault('API_NOT_FOUND', `API not found: ${String(id)}`, 'Use stoa_catalog with action list or search.');

type Action = (snapshot: CatalogueSnapshot | undefined, input: ToolInput) => PlatformAnswer;
const ACTIONS: Readonly<Record<string, Action>> = {
  list: (snapshot, input) => {
    const { status, category, tags } = input;
    const wanted = Array.isArray(tags) ? tags.map(String) : [];
    const found = sorted(snapshot).filter((api) => (status === undefined || api.status === status)
      && (typeof category !== 'string' || api.category?.toLowerCase() === category.toLowerCase()) && wanted.every((tag) => api.tags.includes(tag)));
    const [page, size] = [number(input['page'], 1), number(input['page_size'], 20)];
    return answer({ apis: found.slice((page - 1) * size, page * size).map(summary), total: found.length, page, page_size: size });
  },
  get: (snapshot, input) => {
    if (input['api_id'] === undefined) return missing('get', 'api_id');
    const api = apiOf(snapshot, input['api_id']);
    if (!api || !snapshot) return apiNotFound(input['api_id']);
    const tools = [...snapshot.tools.values()].filter(({ apiId }) => apiId === api.id);
    return answer({ ...summary(api), authentication: Object.entries(api.slots).map(([slot, { type }]) => ({ slot, type })), tool_count: tools.length, tools: tools.slice(0, 200).map(({ name, description }) => ({ name, description })) });
  },
  search: (snapshot, input) => {
    if (typeof input['query'] !== 'string') return missing('search', 'query');
    const words = input['query'].toLowerCase().split(/\s+/).filter((word) => word !== '');
    const found = sorted(snapshot).filter((api) => {
      const text = `${api.name} ${api.title} ${api.description} ${api.tags.join(' ')} ${api.category ?? ''}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    return answer({ apis: found.slice(0, 100).map(summary), total: found.length });
  },
  versions: (snapshot, input) => {
    if (input['api_id'] === undefined) return missing('versions', 'api_id');
    const api = apiOf(snapshot, input['api_id']);
    if (!api) return apiNotFound(input['api_id']);
    const versions = sorted(snapshot).filter(({ name }) => name === api.name);
    return answer({ api: api.name, versions: versions.map(({ id, version, status, specHash }) => ({ id, version, status, spec_sha256: specHash })) });
  },
  categories: (snapshot) => {
    const counts = new Map<string, number>();
    for (const { category } of snapshot?.apis.values() ?? []) if (category !== undefined) counts.set(category, (counts.get(category) ?? 0) + 1);
    return answer({ categories: [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => ({ name, count })) });
  },
};

const sorted = (snapshot: CatalogueSnapshot | undefined): readonly Api[] => [...snapshot?.apis.values() ?? []].toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
const number = (value: unknown, fallback: number): number => (typeof value === 'number' ? value : fallback);
const summary = (api: Api): object => ({
  id: api.id, name: api.name, version: api.version, title: api.title, description: api.description, kind: api.kind, status: api.status,
  category: api.category ?? null, tags: api.tags, tenant_id: api.tenant, document: `stoa://apis/${api.name}/document`,
});
