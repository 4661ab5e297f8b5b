import { createHash } from 'node:crypto';
import type { ImportedDocument } from '#libs/core/catalogue.js';
import type { ConvertedContent } from '#libs/core/conversion.js';
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
  const { content, mimeType } = resource;
  return 'url' in content
    ? targetOf(tenant, resource, { backend: { kind: 'fetch', url: content.url, mimeType }, hash: digestOf(resource) })
    : targetOf(tenant, resource, { backend: { kind: 'inline', mimeType, ...content }, hash: digestOf(resource), size: sizeOf(content) });
}

interface Read { readonly backend: BackendBinding; readonly hash: string; /** Bytes of the content, where they are known. */ readonly size?: number }

function targetOf(tenant: TenantSlug, resource: Omit<ResourceRecord, 'content'>, { backend, hash, size }: Read): Omit<Target, 'definitions'> {
  const variables = [...resource.uri.matchAll(/\{[+#./;?&]?([^{}]+)\}/g)].flatMap((expression) => (expression[1] ?? '').split(',').map((variable) => variable.replace(/(\*|:\d+)$/, '')));
  const properties: Record<string, JsonSchema> = {};
  for (const variable of variables) own(properties, variable, { type: 'string' });
  return {
    kind: 'resource', name: resource.uri, tenant, apiId: undefined, title: resource.name,
    description: resource.description, operationClass: 'read', tags: resource.tags, category: undefined, version: VERSION,
    inputSchema: { type: 'object', properties, additionalProperties: false }, backend, timeoutMs: TIMEOUT_MS,
    hash,
    listed: JSON.stringify({
      [variables.length > 0 ? 'uriTemplate' : 'uri']: resource.uri, name: resource.name, description: resource.description, mimeType: resource.mimeType,
      ...(variables.length > 0 || size === undefined ? {} : { size }),
    }),
  };
}

/** Resources below this are made by imports; nobody writes them by hand. */
export const isDocumentUri = (uri: string): boolean => /^stoa:\/\/apis\//i.test(uri);

/** An imported document as a resource: text where its bytes are UTF-8, else base64. */
export function documentResource(api: Pick<ApiRecord, 'name' | 'title' | 'tags'>, { bytes, mediaType }: ImportedDocument): ResourceRecord {
  let content: ResourceRecord['content'];
  try {
    content = { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    content = { blob: Buffer.from(bytes).toString('base64') };
  }
  return { ...describedDocument(api, mediaType), content };
}

/** The same as data planes list it: they fetch the document itself when somebody reads it. `size` in bytes. */
export function documentTarget(tenant: TenantSlug, api: Pick<ApiRecord, 'id' | 'name' | 'title' | 'tags' | 'version' | 'category' | 'specHash'>, { mediaType, size }: { readonly mediaType: string; readonly size: number }): Omit<Target, 'definitions'> {
  const resource = describedDocument(api, mediaType);
  const backend: BackendBinding = { kind: 'document', api: api.id, specHash: api.specHash, mimeType: mediaType, size };
  return { ...targetOf(tenant, resource, { backend, hash: digestOf({ ...resource, specHash: api.specHash }), size }), apiId: api.id, version: api.version, category: api.category };
}

/** A prompt or resource of the API itself. */
export function contentTarget(tenant: TenantSlug, api: Pick<ApiRecord, 'id' | 'tags' | 'version' | 'category' | 'conversion'>, { title, ...content }: ConvertedContent): Omit<Target, 'definitions'> {
  return { ...content, ...(title === undefined ? {} : { title }), tenant, apiId: api.id, operationClass: 'read', tags: api.tags, category: api.category, version: api.version, timeoutMs: api.conversion.toolDefaults?.timeoutMs ?? TIMEOUT_MS };
}

const describedDocument = (api: Pick<ApiRecord, 'name' | 'title' | 'tags'>, mimeType: string): Omit<ResourceRecord, 'content'> => ({
  uri: `stoa://apis/${encodeURIComponent(api.name)}/document`, name: `${api.name} document`,
  description: `The API document that the tools of ${api.title || api.name} were made from.`,
  mimeType, tags: api.tags,
});

const sizeOf = (content: { readonly text: string } | { readonly blob: string }): number => ('text' in content ? Buffer.byteLength(content.text) : Buffer.byteLength(content.blob, 'base64'));
const digestOf = (record: object): string => createHash('sha256').update(JSON.stringify(record)).digest('hex');
/** Any name is a name, `__proto__` too. */
const own = (properties: Record<string, JsonSchema>, name: string, schema: JsonSchema): void => { Object.defineProperty(properties, name, { value: schema, enumerable: true, configurable: true, writable: true }); };
