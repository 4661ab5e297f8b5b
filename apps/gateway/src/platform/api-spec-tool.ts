import type { CatalogueSnapshot } from '#libs/core/catalogue.js';
import type { Api, Target } from '#libs/core/target.js';
import { answer, everyone, fault, missing, type PlatformAnswer, type PlatformTool, platformTarget, type ToolInput } from './platform-tool.js';
import { apiNotFound, apiOf, snapshotFor, type Snapshots } from './catalog-tool.js';

/** Longest document that is put into an answer; a longer one is read as a resource. */
const MAX_DOCUMENT = 1024 * 1024;
/** Longest YAML that is turned into JSON while a call waits: a parser takes some 20 ms for it, and blocks everybody. */
const MAX_CONVERTED = 100_000;

/** JSON text of a document in JSON or YAML; undefined when it cannot be read. */
export type DocumentToJson = (text: string) => string | undefined;

export const apiSpecTool = (catalogue: Snapshots, toJson: DocumentToJson): PlatformTool => ({
  target: platformTarget({
    name: 'stoa_api_spec', title: 'API specification', category: 'API Catalog', required: ['action', 'api_id'],
    description: 'One API\'s contract. Actions: openapi (the document as it was imported), docs (what it is for and how to authenticate), endpoints (its operations and their tools).',
    properties: {
      action: { type: 'string', enum: ['openapi', 'docs', 'endpoints'], description: 'What to do.' },
      api_id: { type: 'string', description: 'The API\'s id or name.' },
      format: { type: 'string', enum: ['json', 'yaml'], description: 'openapi: default is the document\'s own. JSON is also YAML 1.2.' },
      version: { type: 'string', description: 'openapi: this version of the API.' },
      section: { type: 'string', enum: ['overview', 'authentication', 'tools'], description: 'docs: one section; default all.' },
      method: { type: 'string', description: 'endpoints: only this HTTP method, in any case.' },
    },
  }),
  visibleTo: everyone,
  run: async (input, call) => {
    const id = input['api_id'];
    if (id === undefined) return missing(String(input['action']), 'api_id');
    const snapshot = await snapshotFor(catalogue, call.principal, {});
    const api = snapshot === 'refused' ? undefined : versionOf(snapshot, apiOf(snapshot, id), input['version']);
    if (!api || !snapshot || snapshot === 'refused') return apiNotFound(id);
    if (input['action'] === 'openapi') return openapi(snapshot, api, input, toJson);
    return input['action'] === 'docs' ? docs(snapshot, api, input) : endpoints(snapshot, api, input);
  },
});

const versionOf = (snapshot: CatalogueSnapshot | undefined, api: Api | undefined, version: unknown): Api | undefined =>
  api === undefined || typeof version !== 'string' || api.version === version ? api : [...snapshot?.apis.values() ?? []].find((other) => other.name === api.name && other.version === version);

function openapi(snapshot: CatalogueSnapshot, api: Api, { format }: ToolInput, toJson: DocumentToJson): PlatformAnswer {
  const uri = `stoa://apis/${api.name}/document`;
  const binding = snapshot.resources.get(uri)?.backend;
  const text = binding?.kind !== 'inline' ? undefined : binding.text ?? (binding.blob === undefined ? undefined : Buffer.from(binding.blob, 'base64').toString('utf8'));
  if (text === undefined) return fault('SPEC_NOT_FOUND', `No document is kept for ${api.name}`, 'Use action endpoints.');
  if (text.length > MAX_DOCUMENT) return fault('SPEC_TOO_LARGE', `The document has ${text.length} characters`, `Read the resource ${uri}.`, { uri });
  const isJson = /^\s*[{[]/.test(text);
  const document = format !== 'json' || isJson ? text : text.length > MAX_CONVERTED ? undefined : toJson(text);
  if (document === undefined) return fault('SPEC_NOT_CONVERTIBLE', 'The document cannot be written as JSON', 'Ask without format.');
  return answer({ api_id: api.id, name: api.name, version: api.version, format: format ?? (isJson ? 'json' : 'yaml'), spec_sha256: api.specHash, document });
}

function docs(snapshot: CatalogueSnapshot, api: Api, { section }: ToolInput): PlatformAnswer {
  const sections = {
    overview: { title: api.title, version: api.version, status: api.status, description: api.description, category: api.category ?? null, tags: api.tags },
    authentication: Object.entries(api.slots).map(([slot, { type }]) => ({ slot, type, configured: slot in api.credentials })),
    tools: toolsOf(snapshot, api).slice(0, 200).map(({ name, description, tags }) => ({ name, description, tags })),
  };
  const chosen = typeof section === 'string' ? { [section]: sections[section as keyof typeof sections] } : sections;
  return answer({ api_id: api.id, name: api.name, ...chosen });
}

function endpoints(snapshot: CatalogueSnapshot, api: Api, { method }: ToolInput): PlatformAnswer {
  const wanted = typeof method === 'string' ? method.toUpperCase() : undefined;
  const found = toolsOf(snapshot, api).flatMap(({ name, description, backend }) =>
    (backend.kind === 'rest' && (wanted === undefined || backend.method === wanted) ? [{ method: backend.method, path: backend.path, tool: name, description }] : []));
  found.sort((a, b) => (a.path === b.path ? (a.method < b.method ? -1 : 1) : a.path < b.path ? -1 : 1));
  return answer({ api_id: api.id, name: api.name, version: api.version, endpoints: found.slice(0, 500), total: found.length });
}

const toolsOf = (snapshot: CatalogueSnapshot, api: Api): readonly Target[] => [...snapshot.tools.values()].filter(({ apiId }) => apiId === api.id);
