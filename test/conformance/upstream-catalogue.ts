import type { Catalogue, CatalogueSnapshot } from '#libs/core/catalogue.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import type { Api, Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';

/** One tenant whose catalogue is one MCP server's, as an import makes it, under the server's own names. */
export function upstreamCatalogue(tenant: TenantSlug, document: ConvertedDocument): Catalogue {
  const api: Api = {
    id: 'upstream', tenant, name: 'upstream', version: document.version, title: document.title, description: document.description, kind: 'mcp', status: 'active', category: undefined, tags: [],
    specHash: document.specHash, baseUrl: undefined, definitions: document.definitions, slots: document.slots, credentials: {},
  };
  const common = { tenant, apiId: api.id, category: undefined, version: document.version, definitions: document.definitions, timeoutMs: 30_000 };
  const targets: Target[] = [
    ...document.tools.map(({ name, title, description, operationClass, tags, inputSchema, outputSchema, backend, hash, listed }): Target => ({
      kind: 'tool', name, ...(title === undefined ? {} : { title }), description, operationClass, tags, inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }), backend, hash, listed, ...common,
    })),
    ...(document.contents ?? []).map(({ kind, name, title, description, inputSchema, backend, hash, listed }): Target => ({ kind, name, ...(title === undefined ? {} : { title }), description, operationClass: 'read', tags: [], inputSchema, backend, hash, listed, ...common })),
  ];
  const of = (kind: Target['kind']): Map<string, Target> => new Map(targets.filter((target) => target.kind === kind).map((target) => [target.name, target]));
  const snapshot: CatalogueSnapshot = { tenant, revision: 1, hash: document.specHash, enabled: true, apis: new Map([[api.id, api]]), tools: of('tool'), resources: of('resource'), prompts: of('prompt') };
  return { snapshot: (asked) => (asked === tenant ? snapshot : undefined), onChange: () => () => undefined };
}
