import type { RestBinding } from '#libs/core/rest-binding.js';

/** The part of `swagger-client` (Apache-2.0, the engine of Swagger UI) that turns an operation and values into a request. */
export interface SwaggerClient { buildRequest(options: Record<string, unknown>): ReferenceRequest }
export interface ReferenceRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}
type Raw = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);

export const BASE = 'https://wire.example';
/** Its templates know no empty segment. */
const EMPTY_SEGMENT = 'empty-segment';

/**
 * The request that swagger-client makes of the document's own words: it reads the operation as it stands there (with `$ref`s of parameters,
 * bodies and media types followed, which it expects), not our binding. The binding tells only which argument is which, and the media
 * type chosen. Nothing is required, so that arguments can be left out one by one.
 */
export class Reference {
  constructor(private readonly client: SwaggerClient, private readonly document: Raw) {}

  request(binding: RestBinding, from: { readonly path: string; readonly method: string }, args: Raw): ReferenceRequest {
    const swagger2 = typeof this.document['swagger'] === 'string';
    const item = this.#follow((this.document['paths'] as Raw)[from.path]) as Raw;
    const operation = this.#follow(item[from.method.toLowerCase()]) as Raw;
    const parameters = this.#parameters(item, operation);
    const values: Record<string, unknown> = {};
    for (const parameter of binding.parameters) if (Object.hasOwn(args, parameter.argument)) values[`${parameter.in}.${parameter.name}`] = args[parameter.argument];

    const body = binding.body && Object.hasOwn(args, binding.body.argument) ? args[binding.body.argument] : undefined;
    const options: Record<string, unknown> = {};
    let requestBody: Raw | undefined;
    if (binding.body && body !== undefined) {
      const { mediaType, kind } = binding.body.content;
      options['requestContentType'] = mediaType;
      const sent = kind === 'form' || kind === 'multipart' ? withBytes(body, binding.body.content.encoding) : body;
      if (swagger2) {
        const whole = parameters.find((parameter) => parameter['in'] === 'body');
        if (whole) values[`body.${String(whole['name'])}`] = sent;
        else for (const [name, value] of Object.entries(sent as Raw)) values[`formData.${name}`] = value;
      } else {
        options['requestBody'] = sent;
        requestBody = { content: { [mediaType]: this.#media(operation, mediaType) } };
      }
    }
    // A fragment is never sent; a query in the path is no part of a template (OpenAPI 3.2 §4.8.2), so the reference would not expand one.
    // And what no URI may hold, which it would not take for a template either, is escaped for it.
    const [template = '', inline = ''] = (from.path.split('#', 1)[0] ?? '').split('?', 2);
    const path = template.replaceAll(/["<>\\^`|]/g, (c) => encodeURIComponent(c)).replaceAll('//', `/${EMPTY_SEGMENT}/`);
    const spec = {
      ...(swagger2 ? { swagger: '2.0' } : { openapi: String(this.document['openapi']), servers: [{ url: BASE }] }),
      paths: { [path]: { [from.method.toLowerCase()]: { operationId: 'it', parameters, ...(requestBody ? { requestBody } : {}) } } },
    };
    const built = this.client.buildRequest({ spec, operationId: 'it', baseURL: BASE, parameters: values, ...options });
    const made = { ...built, url: built.url.replaceAll(EMPTY_SEGMENT, '') };
    const given = new Set(binding.parameters.filter((p) => p.in === 'query' && Object.hasOwn(args, p.argument)).map((p) => p.name));
    const pairs = expandInline(inline, binding, args).split('&').filter((pair) => pair !== '' && !/=\{[^{}]+\}$/.test(pair) && !given.has(pair.split('=', 1)[0] ?? ''));
    return pairs.length === 0 ? made : { ...made, url: `${made.url}${made.url.includes('?') ? '&' : '?'}${pairs.join('&')}` };
  }

  #parameters(item: Raw, operation: Raw): Record<string, unknown>[] {
    const lists = [operation['parameters'], item['parameters']].filter((list) => Array.isArray(list)) as unknown[][];
    return lists.flat().map((raw) => this.#follow(raw)).filter(isObject).map((parameter) => {
      const { required: _, default: __, ...rest } = parameter;
      const content = isObject(rest['content']) ? { content: Object.fromEntries(Object.entries(rest['content']).map(([type, media]) => [type, this.#follow(media)])) } : {};
      return { ...rest, ...content, ...(rest['schema'] === undefined ? {} : { schema: this.#schema(rest['schema'], 0) }) };
    });
  }

  #schema(raw: unknown, depth: number): unknown {
    const schema = this.#follow(raw);
    if (!isObject(schema) || depth > 3) return {};
    const parts = (list: unknown): unknown => (Array.isArray(list) ? list.map((part) => this.#schema(part, depth + 1)) : undefined);
    return { type: schema['type'], oneOf: parts(schema['oneOf']), anyOf: parts(schema['anyOf']), format: schema['format'] };
  }

  #media(operation: Raw, mediaType: string): unknown {
    const body = this.#follow(operation['requestBody']);
    const content = isObject(body) && isObject(body['content']) ? body['content'] : {};
    const media = this.#follow(content[mediaType] ?? Object.values(content)[0]);
    return isObject(media) ? { encoding: media['encoding'] ?? {} } : {};
  }

  #follow(raw: unknown): unknown {
    let at = raw;
    for (let hops = 0; hops < 20 && isObject(at) && typeof at['$ref'] === 'string'; hops++) {
      const reference: string = at['$ref'];
      if (!reference.startsWith('#')) return {};
      at = decodeURIComponent(reference.slice(1)).split('/').slice(1).reduce<unknown>((node, token) => {
        const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
        return typeof node === 'object' && node !== null ? (node as Raw)[key] : undefined;
      }, this.document);
    }
    return at;
  }
}

const bytes = (value: unknown): unknown => (typeof value === 'string' ? Buffer.from(value, 'base64') : value);

function expandInline(inline: string, binding: RestBinding, args: Raw): string {
  return inline.replaceAll(/\{([^{}]+)\}/g, (expression, name: string) => {
    const parameter = binding.parameters.find((p) => p.in === 'path' && p.name === name);
    return parameter ? encodeURIComponent(String(args[parameter.argument])) : expression;
  });
}

/** Files as the bytes that they are: the reference wants no base64. */
function withBytes(body: unknown, encoding: Readonly<Record<string, { readonly binary?: boolean }>> = {}): unknown {
  if (!isObject(body)) return body;
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, encoding[name]?.binary === true ? (Array.isArray(value) ? value.map(bytes) : bytes(value)) : value]));
}
