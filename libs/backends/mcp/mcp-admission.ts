import { type Admission, AdmissionError, type DescribeContext } from '#libs/core/admission.js';
import type { Connection } from '#libs/core/api-kind.js';
import type { ConversionOptions, ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { McpEndpoint } from '#libs/core/mcp-binding.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { type AppliedCredential, scrub } from '#libs/backends/http/credentials.js';
import { type McpConnection, readConnection } from '#libs/backends/mcp/connection.js';
import { bytesOf, type DescribedServer, type Listed, tidy } from '#libs/backends/mcp/described.js';
import { type Caller, isObject, type JsonObject, type Reply, type Upstream, UpstreamFault } from '#libs/backends/mcp/rpc.js';
import type { Upstreams } from '#libs/backends/mcp/upstreams.js';
import { convertInThread } from '#libs/tool-listing/conversion-thread.js';

export interface McpAdmissionOptions {
  readonly upstreams: Pick<Upstreams, 'open'>;
  /** Left out: servers that list only for whom they know cannot be asked. */
  readonly credentials?: CredentialResolver | undefined;
}

/** Of one question, and of all lists together. */
const TIMEOUT_MS = 30_000;
/** What callers can be asked for through the gateway: servers hide tools from those who cannot. */
const CARRIED = { sampling: {}, elicitation: {}, roots: {} };
const MAX_PAGES = 500;
const MAX_ITEMS = 10_000;
const MAX_BYTES = 32 * 1024 * 1024;
const LISTS = [['tools/list', 'tools'], ['prompts/list', 'prompts'], ['resources/list', 'resources'], ['resources/templates/list', 'resourceTemplates']] as const;

/** MCP servers, by their lists. */
export class McpAdmission implements Admission {
  readonly kind = 'mcp';
  constructor(private readonly options: McpAdmissionOptions) {}

  async describe(given: Connection, context: DescribeContext): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
    const connection = readConnection(given);
    const { auth, endpoint } = connection;
    const credentials = auth === undefined ? [] : [{ slot: auth, secret: await this.#secret(context) }];
    const secrets = credentials.map(({ secret }) => secret);
    try {
      if (!('url' in endpoint)) return answer(await this.#ask(endpoint, connection, credentials, context));
      if (endpoint.transport !== undefined) return answer(await this.#ask({ url: endpoint.url, transport: endpoint.transport }, connection, credentials, context));
      try {
        return answer({ ...await this.#ask({ url: endpoint.url, transport: 'streamable' }, connection, credentials, context), transport: 'streamable' });
      } catch (failure) {
        // What a server of 2024-11-05 says to a POST at its stream's address.
        if (!(failure instanceof UpstreamFault) || ![400, 404, 405].includes(failure.status ?? 0)) throw failure;
        const described = await this.#ask({ url: endpoint.url, transport: 'sse' }, connection, credentials, context).catch(() => { throw failure; });
        return answer({ ...described, transport: 'sse' });
      }
    } catch (failure) {
      throw refusal(failure, secrets, 'url' in endpoint ? 'url' : 'stdio' in endpoint ? 'stdio' : 'unix');
    }
  }

  /** In a thread of its own: the thread that serves must not wait for a large list. */
  convert(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string }): Promise<ConvertedDocument> {
    return convertInThread(import.meta.url, { bytes, options }, { what: 'the server\'s lists' });
  }

  async #ask(endpoint: McpEndpoint, { era, headers }: McpConnection, credentials: readonly AppliedCredential[], { tenant, signal }: DescribeContext): Promise<DescribedServer> {
    const upstream = this.options.upstreams.open({ tenant, api: '', endpoint, era, headers, credentials });
    try { return await describeServer(upstream, { era: 'modern', capabilities: CARRIED, session: 'admission', timeoutMs: TIMEOUT_MS, signal: signal ?? new AbortController().signal }); } finally { await upstream.close(); }
  }

  async #secret({ tenant, credentials }: DescribeContext): Promise<string> {
    const reference = credentials['auth'];
    if (reference === undefined) throw new AdmissionError('missing-credential', 'credentials.auth is missing: the connection says that the server wants one');
    const secret = await this.options.credentials?.resolve(tenant, reference);
    if (secret === undefined) throw new AdmissionError('missing-credential', 'credentials cannot be read in this process');
    if (secret instanceof Denial) throw new AdmissionError('missing-credential', `credentials.auth: ${secret.message}`);
    return secret;
  }
}

const answer = (described: DescribedServer): { readonly bytes: Uint8Array; readonly mediaType: string } => ({ bytes: bytesOf(described), mediaType: 'application/json' });

/** Every list of a server, whole. Rejects with `AdmissionError` for one that has no end. */
export async function describeServer(upstream: Upstream, caller: Caller): Promise<DescribedServer> {
  const listed: Record<keyof Listed, JsonObject[]> = { tools: [], prompts: [], resources: [], resourceTemplates: [] };
  let bytes = 0;
  let about: JsonObject = {};
  for (const [method, member] of LISTS) {
    const items: unknown[] = [];
    let cursor: string | undefined;
    for (let page = 0; ; page += 1) {
      const reply: Reply = await upstream.ask({ method, params: cursor === undefined ? {} : { cursor } }, caller);
      // What a server does not have it does not know the method of; tools alone make it worth an import.
      if (reply.error !== undefined || reply.result === undefined) {
        if (reply.error?.code === -32601 && page === 0) break;
        throw new UpstreamFault(`The MCP server refused ${method}: ${reply.error?.message.slice(0, 200) ?? ''}`);
      }
      bytes += reply.bytes;
      const some = reply.result[member];
      if (!Array.isArray(some)) throw new UpstreamFault(`The MCP server's answer to ${method} has no ${member}`);
      items.push(...some as unknown[]);
      const meta = reply.result['_meta'];
      if (isObject(meta) && isObject(meta['io.modelcontextprotocol/serverInfo'])) about = meta['io.modelcontextprotocol/serverInfo'];
      const next = reply.result['nextCursor'];
      if (items.length > MAX_ITEMS || bytes > MAX_BYTES || page >= MAX_PAGES) throw new AdmissionError('list-too-long', `the server's ${member} have more than ${MAX_ITEMS} entries, ${MAX_PAGES} pages or ${MAX_BYTES} bytes`, 'backend');
      if (typeof next !== 'string') break;
      if (next === cursor) throw new UpstreamFault(`The MCP server's answer to ${method} names itself as the next page`);
      cursor = next;
    }
    listed[member] = tidy(member, items);
  }
  const greeting = upstream.about() ?? {};
  if (isObject(greeting['serverInfo'])) about = { ...greeting['serverInfo'], ...about };
  const instructions = typeof greeting['instructions'] === 'string' ? greeting['instructions'].slice(0, 4_000) : undefined;
  const text = (name: string): string | undefined => (typeof about[name] === 'string' ? about[name].slice(0, 200) : undefined);
  const title = text('title');
  return { mcp: 1, server: { name: text('name') ?? 'MCP server', version: text('version') ?? '0', ...(title === undefined ? {} : { title }) }, ...(instructions === undefined ? {} : { instructions }), ...listed };
}

function refusal(failure: unknown, secrets: readonly string[], member: string): AdmissionError {
  if (failure instanceof AdmissionError) return failure;
  const message = `connection.${member}: ${scrub(failure instanceof Error ? failure.message : String(failure), secrets).slice(0, 500)}`;
  if (failure instanceof OutboundFailure) return new AdmissionError(`backend-${failure.kind}`, message, failure.kind === 'refused-address' || failure.kind === 'invalid-request' ? 'input' : 'backend');
  return new AdmissionError('backend-error', message, 'backend');
}
