import { createHash } from 'node:crypto';
import { AdmissionError } from '#libs/core/admission.js';
import type { ConversionOptions, ConvertedContent, ConvertedDocument, OperationVerdict, VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { McpBinding, McpEndpoint } from '#libs/core/mcp-binding.js';
import { cleanText, cut } from '#libs/tool-listing/clean-text.js';
import { type OperationPlan, toolsOf } from '#libs/tool-listing/tools-of.js';
import { pinOf } from '#libs/backends/mcp/canonical.js';
import { readConnection } from '#libs/backends/mcp/connection.js';
import type { DescribedServer } from '#libs/backends/mcp/described.js';
import { ownSchema, type SchemaPool } from '#libs/backends/mcp/own-schema.js';
import { headerFault } from '#libs/backends/mcp/mirrored.js';
import { isObject, type JsonObject } from '#libs/backends/mcp/rpc.js';

/** What a listing says at most: a description is read by a model, for every call. */
const DESCRIPTION = 2_000;
const MAX_NAME = 128;

/**
 * A server's description into tools, prompts, resources and templates. With `approved`, whatever says anything else of itself than what was approved is refused:
 * it is neither listed nor callable until somebody approves it (a server may be taken over after it was looked at).
 */
export function convertMcp(bytes: Uint8Array, options: ConversionOptions): ConvertedDocument {
  const described = read(bytes);
  const binding = bindingOf(described, options);
  const pins: Record<string, string> = {};
  const pool: Record<string, JsonSchema> = {};
  const approved = (method: string, path: string, thing: JsonObject): VerdictReason[] => {
    const key = `${method} ${path}`;
    pins[key] = pinOf(thing);
    if (options.approved === undefined || options.approved[key] === pins[key]) return [];
    return [options.approved[key] === undefined
      ? { code: 'not-approved', message: 'the server added it after the import; import the API again to approve it', pointer: '' }
      : { code: 'definition-changed', message: 'the server changed its definition after it was approved; import the API again to approve it', pointer: '' }];
  };

  const plans = described.tools.map((tool) => {
    const path = String(tool['name']);
    return planOf(tool, { path, binding, held: approved('TOOL', path, tool), definitions: pool });
  });
  const { tools, ledger } = toolsOf(plans, pool, options);
  const contents: ConvertedContent[] = [];
  const others: OperationVerdict[] = [];
  const add = (method: string, path: string, thing: JsonObject, made: ConvertedContent | VerdictReason): void => {
    const [held] = approved(method, path, thing);
    const reason = 'code' in made ? made : held;
    if (reason === undefined && !('code' in made)) contents.push(made);
    others.push({ method, path, operationId: undefined, tool: undefined, verdict: reason === undefined ? 'exact' : 'refused', reasons: reason === undefined ? [] : [reason], notes: [] });
  };
  const { prefix = '', suffix = '' } = options.naming ?? {};
  for (const prompt of described.prompts) add('PROMPT', String(prompt['name']), prompt, promptOf(prompt, binding, (name) => prefix + name + suffix));
  for (const resource of described.resources) add('RESOURCE', String(resource['uri']), resource, resourceOf(resource, binding));
  for (const template of described.resourceTemplates) add('TEMPLATE', String(template['uriTemplate']), template, templateOf(template, binding));
  const { server } = described;
  return {
    format: 'mcp', title: cleanText(server.title ?? server.name), version: server.version, description: cleanText(described.instructions ?? ''), specHash: createHash('sha256').update(bytes).digest('hex'),
    definitions: pool, slots: slotsOf(options), tools, ledger: [...ledger, ...others], contents, pins,
  };
}

function read(bytes: Uint8Array): DescribedServer {
  let value: unknown;
  try { value = JSON.parse(Buffer.from(bytes).toString('utf8')); } catch { value = undefined; }
  if (!isObject(value) || value['mcp'] !== 1) throw new AdmissionError('not-a-description', 'the document is no description of an MCP server: give a connection, and the server is asked');
  return value as unknown as DescribedServer;
}

type Bound = (name: string) => McpBinding;
function bindingOf(described: DescribedServer, { connection = {} }: ConversionOptions): Bound {
  const { endpoint: given, era, headers, auth } = readConnection(connection);
  const endpoint: McpEndpoint = 'url' in given ? { url: given.url, transport: given.transport ?? described.transport ?? 'streamable' } : given;
  return (name) => ({ kind: 'mcp', endpoint, ...(era === undefined ? {} : { era }), name, headers, security: auth === undefined ? [] : [['auth']] });
}
const slotsOf = ({ connection = {} }: ConversionOptions): ConvertedDocument['slots'] => {
  const { auth } = readConnection(connection);
  return auth === undefined ? {} : { auth };
};

function planOf(tool: JsonObject, { path, binding, held, definitions }: { readonly path: string; readonly binding: Bound; readonly held: readonly VerdictReason[]; readonly definitions: Record<string, JsonSchema> }): OperationPlan {
  const about = { method: 'TOOL', path, operationId: path, verbatim: true, tags: [], notes: [] };
  const refuse = (code: string, message: string): OperationPlan => ({ ...about, tool: undefined, reasons: [{ code, message, pointer: '' }] });
  if (held.length > 0) return { ...about, tool: undefined, reasons: held };
  if (path.length > MAX_NAME) return refuse('name-too-long', `its name has more than ${MAX_NAME} characters`);
  const input = tool['inputSchema'];
  if (!isObject(input) || input['type'] !== 'object') return refuse('input-schema', 'its inputSchema is not an object\'s');
  const fault = headerFault(input);
  if (fault !== undefined) return refuse('mirrored-header', `x-mcp-header in its inputSchema: ${fault}`);
  const { outputSchema, annotations, title, description } = tool;
  const pool: SchemaPool = { definitions, reasons: [] };
  const hints = isObject(annotations) ? annotations : {};
  return {
    ...about, reasons: pool.reasons,
    tool: {
      title: typeof title === 'string' ? title : typeof hints['title'] === 'string' ? hints['title'] : undefined,
      description: cut(typeof description === 'string' ? description : '', DESCRIPTION), deprecated: false,
      // A server's own word; it can make a tool look more dangerous than `write`, or less.
      operationClass: hints['readOnlyHint'] === true ? 'read' : hints['destructiveHint'] === true ? 'destructive' : 'write',
      inputSchema: ownSchema(input, `${path}.in`, pool), outputSchema: isObject(outputSchema) ? ownSchema(outputSchema, `${path}.out`, pool) : undefined,
      backend: binding(path),
    },
  };
}

const textsOf = (thing: JsonObject): { readonly title: string | undefined; readonly description: string } => ({
  title: typeof thing['title'] === 'string' ? cleanText(thing['title']) : undefined,
  description: cut(cleanText(typeof thing['description'] === 'string' ? thing['description'] : ''), DESCRIPTION),
});
const finish = (content: Omit<ConvertedContent, 'hash'>): ConvertedContent => ({ ...content, hash: pinOf(content) });

function promptOf(prompt: JsonObject, binding: Bound, nameOf: (name: string) => string): ConvertedContent | VerdictReason {
  const name = String(prompt['name']);
  const given = prompt['arguments'] ?? [];
  if (!Array.isArray(given) || !given.every((one) => isObject(one) && typeof one['name'] === 'string')) return { code: 'prompt-arguments', message: 'its arguments are no list of names', pointer: '' };
  const own = (given as JsonObject[]).map((one) => ({ name: String(one['name']), ...(typeof one['description'] === 'string' ? { description: cut(cleanText(one['description']), DESCRIPTION) } : {}), required: one['required'] === true }));
  const inputSchema = schemaOf(own.map((argument) => [argument.name, 'description' in argument ? { type: 'string', description: argument.description } : { type: 'string' }]), own.filter(({ required }) => required).map((argument) => argument.name));
  const { title, description } = textsOf(prompt);
  const shown = nameOf(name);
  return finish({
    kind: 'prompt', name: shown, title, description, inputSchema, backend: binding(name),
    listed: JSON.stringify({ name: shown, ...(title === undefined ? {} : { title }), description, arguments: own }),
  });
}

function resourceOf(resource: JsonObject, binding: Bound): ConvertedContent | VerdictReason {
  const uri = String(resource['uri']);
  if (!URL.canParse(uri) || uri.includes('{')) return { code: 'resource-uri', message: 'its uri is no absolute URI', pointer: '' };
  if (/^stoa:/i.test(uri)) return { code: 'resource-uri', message: 'URIs of the scheme stoa are the platform\'s own', pointer: '' };
  return contentOf(resource, { uri, binding, variables: [] });
}

function templateOf(template: JsonObject, binding: Bound): ConvertedContent | VerdictReason {
  const uri = String(template['uriTemplate']);
  const variables = [...uri.matchAll(/\{([^{}]*)\}/g)].map(([, variable]) => variable ?? '');
  if (variables.length === 0 || !variables.every((name) => /^\w+$/.test(name))) return { code: 'template-level', message: 'its template is not of level 1 (RFC 6570): {name} only', pointer: '' };
  if (!/^[a-z][a-z0-9+.-]*:/i.test(uri) || /^stoa:/i.test(uri)) return { code: 'resource-uri', message: 'its template begins with no scheme, or with the platform\'s own', pointer: '' };
  return contentOf(template, { uri, binding, variables });
}

function contentOf(thing: JsonObject, { uri, binding, variables }: { readonly uri: string; readonly binding: Bound; readonly variables: readonly string[] }): ConvertedContent {
  const { title, description } = textsOf(thing);
  const name = typeof thing['name'] === 'string' ? cleanText(thing['name']) : uri;
  return finish({
    kind: 'resource', name: uri, title: title ?? name, description, inputSchema: schemaOf(variables.map((variable) => [variable, { type: 'string' }]), []), backend: binding(uri),
    listed: JSON.stringify({ [variables.length > 0 ? 'uriTemplate' : 'uri']: uri, name, ...(title === undefined ? {} : { title }), description, ...(typeof thing['mimeType'] === 'string' ? { mimeType: thing['mimeType'] } : {}), ...(isObject(thing['annotations']) ? { annotations: thing['annotations'] } : {}) }),
  });
}

const schemaOf = (properties: readonly (readonly [string, JsonSchema])[], required: readonly string[]): JsonSchema =>
  ({ type: 'object', properties: Object.fromEntries(properties), ...(required.length > 0 ? { required } : {}), additionalProperties: false });
