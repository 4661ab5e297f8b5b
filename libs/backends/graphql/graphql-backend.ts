import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { GraphqlBinding } from '#libs/core/graphql-binding.js';
import type { Backend } from '#libs/core/ports.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { applyCredentials } from '#libs/backends/http/credentials.js';
import { type HttpAnswer, HttpCaller, type HttpCallerOptions } from '#libs/backends/http/http-caller.js';
import { memberText } from '#libs/backends/http/member-text.js';

export interface GraphqlBackendOptions extends HttpCallerOptions {
  /** Why an answer does not keep the tool's `outputSchema`; undefined when it does. Left out: answers are not checked. */
  readonly checkOutput?: (target: Target, value: unknown) => string | undefined;
}

/** What a server says beside or instead of data (GraphQL §7.1). */
interface Body { readonly data?: unknown; readonly errors?: readonly { readonly message?: unknown; readonly extensions?: { readonly code?: unknown } }[] }

/**
 * Calls root fields of GraphQL servers (GraphQL over HTTP). The document on the wire is always the one that was fixed at import; what the caller gives are
 * variables. `errors` make a tool error that keeps the partial data.
 */
export class GraphqlBackend implements Backend {
  readonly #http: HttpCaller;
  constructor(private readonly options: GraphqlBackendOptions) { this.#http = new HttpCaller(options); }

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as GraphqlBinding;
    const first = await this.#send(call, binding, !binding.persisted);
    if (first instanceof Denial || 'result' in first) return first;
    const body = parse(first.response.body);
    if (!binding.persisted || !isUnknownDocument(body)) return this.#answer(call, first, body);
    const second = await this.#send(call, binding, true);
    if (second instanceof Denial || 'result' in second) return second;
    return this.#answer(call, { ...second, latencyMs: first.latencyMs + second.latencyMs, attempts: first.attempts + second.attempts }, parse(second.response.body));
  }

  #send(call: ValidatedCall, { url, document, documentHash, operationName, persisted, headers, security }: GraphqlBinding, whole: boolean): ReturnType<HttpCaller['send']> {
    const body = Buffer.from(JSON.stringify({
      ...(whole ? { query: document } : {}), operationName, variables: call.input,
      ...(persisted ? { extensions: { persistedQuery: { version: 1, sha256Hash: documentHash } } } : {}),
    }));
    return this.#http.send(call, {
      security,
      build: (credentials) => {
        const sent: (readonly [string, string])[] = [['accept', 'application/graphql-response+json, application/json;q=0.9'], ...Object.entries(headers), ['content-type', 'application/json']];
        return { method: 'POST', url: applyCredentials(call.api?.baseUrl ?? url, sent, credentials), headers: sent, body };
      },
    });
  }

  #answer(call: ValidatedCall, { response: { status, body: bytes }, latencyMs, attempts }: HttpAnswer, body: Body | undefined): BackendAnswer {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
    const answer = (result: ToolResult): BackendAnswer => ({ result, outcome: result.isError ? 'error' : 'success', latencyMs, bytes: bytes.byteLength, attempts });
    const failed = (message: string, code = 'BACKEND_ERROR'): BackendAnswer => answer({ type: 'tool', isError: true, backendStatus: status, content: [{ type: 'text', text: message }], meta: { error_code: code } });
    if (body === undefined) return failed(status >= 400 ? text : `The backend answered ${status} with something that is no GraphQL response: ${text.slice(0, 1000)}`);
    if ((body.errors?.length ?? 0) > 0 || body.data === undefined || body.data === null || status >= 400) return failed(text);
    // The backend's own characters: a number beyond 2^53 keeps its digits.
    const data = memberText(text, 'data') ?? JSON.stringify(body.data);
    const wrong = this.options.checkOutput?.(call.target, body.data);
    if (wrong !== undefined) return failed(`The backend's answer does not keep the output schema of ${call.target.name}: ${wrong}. Its answer follows.\n${text}`, 'BACKEND_CONTRACT_VIOLATION');
    return answer({ type: 'tool', isError: false, backendStatus: status, content: [{ type: 'text', text: data }], structuredJson: data });
  }
}

function parse(bytes: Uint8Array): Body | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    return typeof value === 'object' && value !== null && ('data' in value || 'errors' in value) && (!('errors' in value) || value.errors === null || Array.isArray(value.errors)) ? value as Body : undefined;
  } catch { return undefined; }
}

/** Apollo's protocol of persisted queries, which other servers follow. */
const isUnknownDocument = (body: Body | undefined): boolean =>
  body?.errors?.some(({ message, extensions }) => extensions?.code === 'PERSISTED_QUERY_NOT_FOUND' || message === 'PersistedQueryNotFound') === true;
