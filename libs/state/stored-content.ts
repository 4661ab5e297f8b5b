import { createHash } from 'node:crypto';
import type { ApiRecord, PromptRecord, ResourceRecord } from '#libs/core/control-store.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { BackendBinding, Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';

const TIMEOUT_MS = 30_000;
const VERSION = '1.0.0';

/** The prompt as data planes get it. Values offered by completion are `examples` of the argument: they do not restrict it. */
export function promptTarget(tenant: TenantSlug, prompt: PromptRecord): Omit<Target, 'definitions'> {
  const properties: Record<string, JsonSchema> = {};
  for (const { name, description, values } of prompt.arguments) {
    own(properties, name, { type: 'string', ...(description === undefined ? {} : { description }), ...(values === undefined ? {} : { examples: values }) });
  }
  const required = prompt.arguments.filter((argument) => argument.required).map((argument) => argument.name);
  const inputSchema: JsonSchema = { type: 'object', properties, ...(required.length > 0 ? { required } : {}), additionalProperties: false };
  const backend: BackendBinding = { kind: 'prompt', messages: prompt.messages };
  const title = prompt.title === undefined ? {} : { title: prompt.title };
  return {
    kind: 'prompt', name: prompt.name, tenant, apiId: undefined, ...title,
    description: prompt.description, operationClass: 'read', tags: prompt.tags, category: undefined, version: VERSION,
    inputSchema, backend, timeoutMs: TIMEOUT_MS,
    hash: digestOf(prompt),
    listed: JSON.stringify({
      name: prompt.name, ...title, description: prompt.description,
      arguments: prompt.arguments.map(({ name, description, required: needed }) => ({ name, ...(description === undefined ? {} : { description }), required: needed })),
    }),
  };
}

/** The resource as data planes read it; a URI with `{variables}` (RFC 6570) is a template. */
export function resourceTarget(tenant: TenantSlug, resource: ResourceRecord): Omit<Target, 'definitions'> {
  return targetOf(tenant, resource, digestOf(resource));
}

function targetOf(tenant: TenantSlug, resource: ResourceRecord, hash: string): Omit<Target, 'definitions'> {
  const variables = [...resource.uri.matchAll(/\{[+#./;?&]?([^{}]+)\}/g)].flatMap((expression) => (expression[1] ?? '').split(',').map((variable) => variable.replace(/(\*|:\d+)$/, '')));
  const properties: Record<string, JsonSchema> = {};
  for (const variable of variables) own(properties, variable, { type: 'string' });
  const { content, mimeType } = resource;
  const backend: BackendBinding = 'url' in content ? { kind: 'fetch', url: content.url, mimeType } : { kind: 'inline', mimeType, ...content };
  return {
    kind: 'resource', name: resource.uri, tenant, apiId: undefined, title: resource.name,
    description: resource.description, operationClass: 'read', tags: resource.tags, category: undefined, version: VERSION,
    inputSchema: { type: 'object', properties, additionalProperties: false }, backend, timeoutMs: TIMEOUT_MS,
    hash,
    listed: JSON.stringify({
      [variables.length > 0 ? 'uriTemplate' : 'uri']: resource.uri, name: resource.name, description: resource.description, mimeType,
      ...(variables.length > 0 || 'url' in content ? {} : { size: sizeOf(content) }),
    }),
  };
}

/** Resources below this are made by imports; nobody writes them by hand. */
export const isDocumentUri = (uri: string): boolean => /^stoa:\/\/apis\//i.test(uri);

export interface StoredDocument { readonly bytes: Uint8Array; readonly mediaType: string }

/** An imported document as a resource: text where its bytes are UTF-8, else base64. */
export function documentResource(api: Pick<ApiRecord, 'name' | 'title' | 'tags'>, document: StoredDocument): ResourceRecord {
  let content: ResourceRecord['content'];
  try {
    content = { text: new TextDecoder('utf-8', { fatal: true }).decode(document.bytes) };
  } catch {
    content = { blob: Buffer.from(document.bytes).toString('base64') };
  }
  return {
    uri: `stoa://apis/${encodeURIComponent(api.name)}/document`, name: `${api.name} document`,
    description: `The API document that the tools of ${api.title || api.name} were made from.`,
    mimeType: document.mediaType, tags: api.tags, content,
  };
}

/** The same as data planes read it. */
export function documentTarget(tenant: TenantSlug, api: Pick<ApiRecord, 'id' | 'name' | 'title' | 'tags' | 'version' | 'category' | 'specHash'>, document: StoredDocument): Omit<Target, 'definitions'> {
  const { content, ...resource } = documentResource(api, document);
  return { ...targetOf(tenant, { ...resource, content }, digestOf({ ...resource, specHash: api.specHash })), apiId: api.id, version: api.version, category: api.category };
}

const sizeOf = (content: { readonly text: string } | { readonly blob: string }): number => ('text' in content ? Buffer.byteLength(content.text) : Buffer.byteLength(content.blob, 'base64'));
const digestOf = (record: object): string => createHash('sha256').update(JSON.stringify(record)).digest('hex');
/** Any name is a name, `__proto__` too. */
const own = (properties: Record<string, JsonSchema>, name: string, schema: JsonSchema): void => { Object.defineProperty(properties, name, { value: schema, enumerable: true, configurable: true, writable: true }); };
