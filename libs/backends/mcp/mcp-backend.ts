import type { BackendAnswer, RecordedCall, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { McpBinding } from '#libs/core/mcp-binding.js';
import { OUTBOUND_CODES, OutboundFailure } from '#libs/core/outbound.js';
import type { Backend, CompletionQuestion, CredentialResolver } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { CallResult, ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { type AppliedCredential, gatherCredentials, mayRenew, scrub, secretsOf } from '#libs/backends/http/credentials.js';
import { memberText } from '#libs/backends/http/member-text.js';
import { mirroredHeaders } from '#libs/backends/mcp/mirrored.js';
import { resultOf } from '#libs/backends/mcp/results.js';
import { type Caller, capabilitiesOf, isObject, type JsonObject, type Question, type Reply, UpstreamFault } from '#libs/backends/mcp/rpc.js';
import { Suspended } from '#libs/backends/mcp/suspended.js';
import type { Upstreams } from '#libs/backends/mcp/upstreams.js';

export interface McpBackendOptions {
  readonly upstreams: Pick<Upstreams, 'use'>;
  readonly credentials: CredentialResolver;
  /** Why an answer does not keep the tool's `outputSchema`; undefined when it does. Left out: answers are not checked. */
  readonly checkOutput?: (target: Target, value: unknown) => string | undefined;
}

/** Rounds that a server may ask a caller who cannot be sent back: each is a question to a person. */
const MAX_ROUNDS = 10;
/** Somebody types meanwhile. */
const COMPLETION_MS = 5_000;
/** MCP 2026-07-28: a server needs a capability that the client did not declare. */
const MISSING_CAPABILITY = -32021;
const ASKED_BY = { sampling: 'sampling/createMessage', elicitation: 'elicitation/create', roots: 'roots/list' } as const;
const METHODS = { tool: 'tools/call', resource: 'resources/read', prompt: 'prompts/get' } as const;

/**
 * Calls tools, reads resources and gets prompts of MCP servers. What the server tells while it works goes to the caller; what it asks goes there too, in the caller's own
 * era: 2026-07-28 is sent back with the question, the revisions before are asked in the middle of the call.
 */
export class McpBackend implements Backend {
  readonly #suspended = new Suspended();
  constructor(private readonly options: McpBackendOptions) {}

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as McpBinding;
    const gathered = gatherCredentials(this.options.credentials, call, binding.security);
    const credentials = gathered instanceof Promise ? await gathered : gathered;
    if (credentials instanceof Denial) return credentials;
    const secrets = secretsOf(credentials);
    const startedAt = performance.now();
    const taken = (): number => performance.now() - startedAt;
    try {
      const reply = await this.#reply(call, binding, credentials).catch(async (failure: unknown) => {
        // Nothing was done by who does not know the caller: a credential that can be had anew is, once.
        if (!(failure instanceof UpstreamFault) || failure.status !== 401 || !mayRenew(this.options.credentials, credentials)) throw failure;
        const renewed = await gatherCredentials(this.options.credentials, call, binding.security);
        return renewed instanceof Denial ? renewed : this.#reply(call, binding, renewed);
      });
      if (reply instanceof Denial) return reply;
      if ('inputRequests' in reply) return { result: { type: 'input_required', ...reply }, outcome: 'success', latencyMs: taken(), bytes: 0 };
      return this.#answer(call, reply, { latencyMs: taken(), secrets });
    } catch (failure) {
      if (call.exchange.signal.aborted) return new Denial({ code: 'CANCELLED', message: 'The call was cancelled.' });
      if (failure instanceof OutboundFailure) return this.#failed(call, { message: `Request to backend failed: ${scrub(failure.message, secrets)}`, code: OUTBOUND_CODES[failure.kind], outcome: failure.kind === 'timeout' ? 'timeout' : 'error', latencyMs: taken() });
      if (failure instanceof UpstreamFault) return this.#failed(call, { message: scrub(failure.message, secrets), code: 'BACKEND_ERROR', outcome: 'error', latencyMs: taken(), status: failure.status });
      throw failure;
    }
  }

  async complete({ target, api, principal, argument, others, signal }: CompletionQuestion): Promise<readonly string[] | undefined> {
    const binding = target.backend as McpBinding;
    const credentials = await gatherCredentials(this.options.credentials, { api, principal }, binding.security);
    if (credentials instanceof Denial || target.tenant === undefined || target.kind === 'tool') return undefined;
    const ref = target.kind === 'prompt' ? { type: 'ref/prompt', name: binding.name } : { type: 'ref/resource', uri: binding.name };
    const params = { ref, argument, ...(Object.keys(others).length > 0 ? { context: { arguments: others } } : {}) };
    const caller: Caller = { era: 'modern', capabilities: {}, signal, timeoutMs: COMPLETION_MS, session: sessionOf(principal) };
    const address = { tenant: target.tenant, api: target.apiId ?? '', endpoint: withBaseUrl(binding, api?.baseUrl), era: binding.era, headers: binding.headers, credentials };
    try {
      const { result } = await this.options.upstreams.use(address, (upstream) => upstream.ask({ method: 'completion/complete', params }, caller));
      const completion = result?.['completion'];
      const values = isObject(completion) ? completion['values'] : undefined;
      return Array.isArray(values) ? values.filter((value): value is string => typeof value === 'string').slice(0, 100) : undefined;
    } catch { return undefined; }
  }

  /** The server's reply, after everything that it asked was answered, or what the caller has to be asked first. */
  async #reply(call: ValidatedCall, binding: McpBinding, credentials: readonly AppliedCredential[]): Promise<Reply | { readonly inputRequests: JsonObject; readonly requestState: string } | Denial> {
    const { exchange } = call;
    const { requestState } = exchange;
    if (requestState?.startsWith(Suspended.MARK) === true) {
      const next = await this.#suspended.resume(requestState, exchange);
      return next ?? new Denial({ code: 'BACKEND_ERROR', message: 'The backend no longer waits for this answer: call again from the start.' });
    }
    const send = (more: JsonObject, caller: Caller): Promise<Reply> => {
      const question = questionOf(call, binding, more);
      const { tenant } = call.target;
      if (tenant === undefined) throw new Error('an MCP server belongs to a tenant');
      const endpoint = withBaseUrl(binding, call.api?.baseUrl);
      return this.options.upstreams.use({ tenant, api: call.target.apiId ?? '', endpoint, era: binding.era, headers: binding.headers, credentials }, (upstream) => upstream.ask(question, caller));
    };
    const caller = callerOf(call);
    if (exchange.supportsInputRequired) {
      const more = { ...(exchange.inputResponses === undefined ? {} : { inputResponses: exchange.inputResponses }), ...(requestState === undefined ? {} : { requestState }) };
      return Object.keys(caller.capabilities).length === 0 ? send(more, caller) : this.#suspended.start(caller, exchange, (asked) => send(more, asked));
    }
    let more: JsonObject = {};
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const reply = await send(more, caller);
      if (reply.result?.['resultType'] !== 'input_required') return reply;
      const requests = isObject(reply.result['inputRequests']) ? reply.result['inputRequests'] : {};
      const state = reply.result['requestState'];
      const answers: Record<string, unknown> = {};
      for (const [name, request] of Object.entries(requests)) {
        if (!isObject(request) || typeof request['method'] !== 'string') throw new UpstreamFault('The MCP server asked for input in a form that MCP does not know');
        if (!exchange.request) return new Denial({ code: 'BACKEND_ERROR', message: `The backend asks for ${request['method']} before it answers, and this caller cannot be asked.` });
        answers[name] = await exchange.request(request['method'], isObject(request['params']) ? request['params'] : {});
      }
      more = { inputResponses: answers, ...(typeof state === 'string' ? { requestState: state } : {}) };
    }
    return new Denial({ code: 'BACKEND_ERROR', message: `The backend asked for input ${MAX_ROUNDS} times without an answer of its own.` });
  }

  #answer(call: ValidatedCall, { result, error, text, bytes }: Reply, { latencyMs, secrets }: { readonly latencyMs: number; readonly secrets: readonly string[] }): BackendAnswer | Denial {
    const { target } = call;
    if (error !== undefined || result === undefined) {
      const message = scrub(error?.message ?? 'no result', secrets);
      const missing = error?.code === MISSING_CAPABILITY ? missingOf(call, error.data) : [];
      // The door knows how its caller is told what to declare: by what it cannot be asked.
      if (missing.length > 0) return { result: { type: 'input_required', inputRequests: Object.fromEntries(missing.map((method) => [method, { method, params: {} }])) }, outcome: 'error', latencyMs, bytes };
      // Its own "not found" and "wrong arguments" are ours, where the protocol has no tool error to say it in.
      if (target.kind !== 'tool' && (error?.code === -32002 || error?.code === -32602)) return new Denial({ code: target.kind === 'resource' ? 'NOT_FOUND' : 'INVALID_ARGUMENTS', message });
      return this.#failed(call, { message: `The backend refused the call: ${message}`, code: 'BACKEND_ERROR', outcome: 'error', latencyMs, rpcCode: error?.code });
    }
    if (result['resultType'] === 'input_required') {
      const { inputRequests, requestState } = result;
      return { result: { type: 'input_required', ...(isObject(inputRequests) ? { inputRequests } : {}), ...(typeof requestState === 'string' ? { requestState } : {}) }, outcome: 'success', latencyMs, bytes };
    }
    if (result['resultType'] !== undefined && result['resultType'] !== 'complete') throw new UpstreamFault('The MCP server answered with a kind of result that was not asked for');
    const structured = target.kind === 'tool' && 'structuredContent' in result ? memberText(memberText(text, 'result') ?? '{}', 'structuredContent') : undefined;
    const made: CallResult = quoted(resultOf(target.kind, result, structured), secrets);
    const isError = made.type === 'tool' && made.isError;
    if (target.outputSchema !== undefined && made.type === 'tool' && !made.isError) {
      const wrong = structured === undefined ? 'it has no structuredContent' : this.options.checkOutput?.(target, result['structuredContent']);
      if (wrong !== undefined) {
        const broken: ToolResult = { ...made, isError: true, content: [{ type: 'text', text: `The backend's answer does not keep the output schema of ${target.name}: ${wrong}. Its answer follows.` }, ...made.content], meta: { error_code: 'BACKEND_CONTRACT_VIOLATION' } };
        const { structuredJson: _unkept, ...rest } = broken;
        return { result: rest, outcome: 'error', latencyMs, bytes };
      }
    }
    return { result: made, outcome: isError ? 'error' : 'success', latencyMs, bytes };
  }

  #failed({ target }: ValidatedCall, { message, code, outcome, latencyMs, status, rpcCode }: { readonly message: string; readonly code: NonNullable<(typeof OUTBOUND_CODES)[keyof typeof OUTBOUND_CODES]>; readonly outcome: BackendAnswer['outcome']; readonly latencyMs: number; readonly status?: number | undefined; readonly rpcCode?: number | undefined }): BackendAnswer | Denial {
    // Resources and prompts have no result that says "it failed".
    if (target.kind !== 'tool') return new Denial({ code, message, ...(status === undefined ? {} : { backendStatus: status }) });
    const meta = { error_code: code, ...(rpcCode === undefined ? {} : { backend_code: rpcCode }) };
    return { result: { type: 'tool', isError: true, content: [{ type: 'text', text: message }], ...(status === undefined ? {} : { backendStatus: status }), meta }, outcome, latencyMs, bytes: 0 };
  }
}

/** What the server wants to ask and the caller did not declare. */
function missingOf({ exchange }: ValidatedCall, data: unknown): readonly string[] {
  const required = isObject(data) && isObject(data['requiredCapabilities']) ? data['requiredCapabilities'] : {};
  return exchange.supportsInputRequired ? Object.entries(ASKED_BY).flatMap(([capability, method]) => (capability in required && !isObject(exchange.clientCapabilities[capability]) ? [method] : [])) : [];
}

function questionOf({ target, name, input }: ValidatedCall, binding: McpBinding, more: JsonObject): Question {
  const method = METHODS[target.kind];
  if (target.kind === 'resource') return { method, params: { uri: binding.name.includes('{') ? name : binding.name, ...more }, name: binding.name.includes('{') ? name : binding.name };
  return { method, params: { name: binding.name, arguments: input, ...more }, name: binding.name, ...(target.kind === 'tool' ? { mirrored: mirroredHeaders(target, input) } : {}) };
}

/** By what a server's logs can be laid beside the gateway's; as for every backend. */
function correlationOf(call: ValidatedCall): readonly (readonly [string, string])[] {
  const { requestId, target, principal, traceparent, tracestate } = call;
  const { callId } = call as Partial<RecordedCall>;
  const tenant = target.tenant ?? principal.tenant;
  const pairs: readonly (readonly [string, string | undefined])[] = [['x-request-id', requestId], ['x-stoa-tool-name', /^[\x20-\x7e]+$/.test(target.name) ? target.name : undefined], ['x-stoa-call-id', callId], ['x-stoa-tenant-id', tenant], ['traceparent', traceparent], ['tracestate', traceparent === undefined ? undefined : tracestate]];
  return pairs.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
}

function callerOf(call: ValidatedCall): Caller {
  const { exchange, principal, target } = call;
  const { progress, log, request } = exchange;
  return {
    era: request === undefined ? 'modern' : 'legacy', capabilities: exchange.supportsInputRequired || request !== undefined ? capabilitiesOf(exchange.clientCapabilities) : {},
    ...(progress ? { progress } : {}), ...(log ? { log } : {}), ...(request ? { ask: (method: string, params: JsonObject) => request(method, params) } : {}),
    signal: exchange.signal, timeoutMs: target.timeoutMs, correlation: correlationOf(call), session: sessionOf(principal),
  };
}

const sessionOf = ({ issuer, subject }: Principal): string => JSON.stringify([issuer, subject]);

function withBaseUrl({ endpoint }: McpBinding, baseUrl: string | undefined): McpBinding['endpoint'] {
  return 'url' in endpoint && baseUrl !== undefined ? { ...endpoint, url: baseUrl } : endpoint;
}

/** A server that quotes its credential does not hand it to the caller. */
function quoted(result: CallResult, secrets: readonly string[]): CallResult {
  const long = secrets.filter(({ length }) => length >= 8);
  if (long.length === 0) return result;
  const text = JSON.stringify(result);
  const clean = scrub(text, long);
  return clean === text ? result : JSON.parse(clean) as CallResult;
}

