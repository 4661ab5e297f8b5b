import type { ValidatedCall } from '#libs/core/call.js';
import type { CatalogueSnapshot } from '#libs/core/catalogue.js';
import { Denial } from '#libs/core/errors.js';
import type { Backend } from '#libs/core/ports.js';
import type { Api, Target } from '#libs/core/target.js';
import { answer, everyone, fault, missing, type PlatformAnswer, type PlatformTool, platformTarget, type ToolInput } from './platform-tool.js';
import { apiNotFound, apiOf, type Lists, snapshotFor, type Snapshots } from './catalog-tool.js';

/** Longest document that is put into an answer; a longer one is read as a resource. */
const MAX_DOCUMENT = 1024 * 1024;
/** Longest YAML that is turned into JSON while a call waits: a parser takes some 20 ms for it, and blocks everybody. */
const MAX_CONVERTED = 100_000;

/** JSON text of a document in JSON or YAML; undefined when it cannot be read. */
export type DocumentToJson = (text: string) => string | undefined;

/** `documents` reads what a `document` binding names, as for `resources/read`; undefined where documents cannot be read. */
export const apiSpecTool = (on: { readonly catalogue: Snapshots; readonly listing: Lists }, documents: Backend | undefined, toJson: DocumentToJson): PlatformTool => ({
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
    const snapshot = await snapshotFor(on, call.principal, {});
    const api = snapshot === 'refused' ? undefined : versionOf(snapshot, apiOf(snapshot, id), input['version']);
    if (!api || !snapshot || snapshot === 'refused') return apiNotFound(id);
    if (input['action'] === 'openapi') {
      // The document tells of every operation, so it is for who may read it as a resource.
      if (snapshot.resources.has(documentUri(api)) && !await on.listing().find('resource', documentUri(api), call.principal)) return apiNotFound(id);
      const read = await document(documents, { ...call, api }, snapshot);
      return typeof read === 'string' ? openapi(api, read, input, toJson) : read;
    }
    return input['action'] === 'docs' ? docs(snapshot, api, input) : endpoints(snapshot, api, input);
  },
});

const documentUri = ({ name }: Api): string => `stoa://apis/${encodeURIComponent(name)}/document`;
const versionOf = (snapshot: CatalogueSnapshot | undefined, api: Api | undefined, version: unknown): Api | undefined =>
  api === undefined || typeof version !== 'string' || api.version === version ? api : [...snapshot?.apis.values() ?? []].find((other) => other.name === api.name && other.version === version);

async function document(documents: Backend | undefined, call: ValidatedCall & { readonly api: Api }, snapshot: CatalogueSnapshot): Promise<string | PlatformAnswer> {
  const { api } = call;
  const target = [...snapshot.resources.values()].find(({ apiId, backend }) => apiId === api.id && backend.kind === 'document');
  if (!documents || target?.backend.kind !== 'document') return fault('SPEC_NOT_FOUND', `No document is kept for ${api.name}`, 'Use action endpoints.');
  const { name: uri, backend: { size } } = target;
  if (size > MAX_DOCUMENT) return fault('SPEC_TOO_LARGE', `The document has ${size} bytes`, `Read the resource ${uri}.`, { uri });
  const read = await documents.invoke({ ...call, kind: 'resource', name: uri, target, input: {} });
  if (read instanceof Denial) return fault('SPEC_UNAVAILABLE', read.message, 'Call again.', { uri });
  const contents = read.result.type === 'resource' ? read.result.contents[0] : undefined;
  return contents === undefined ? '' : 'text' in contents ? contents.text : Buffer.from(contents.blob, 'base64').toString('utf8');
}

function openapi(api: Api, text: string, { format }: ToolInput, toJson: DocumentToJson): PlatformAnswer {
  const isJson = /^\s*[{[]/.test(text);
  const written = format !== 'json' || isJson ? text : text.length > MAX_CONVERTED ? undefined : toJson(text);
  if (written === undefined) return fault('SPEC_NOT_CONVERTIBLE', 'The document cannot be written as JSON', 'Ask without format.');
  return answer({ api_id: api.id, name: api.name, version: api.version, format: format ?? (isJson ? 'json' : 'yaml'), spec_sha256: api.specHash, document: written });
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
