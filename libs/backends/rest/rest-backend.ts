import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { OUTBOUND_CODES, type Outbound, OutboundFailure, type OutboundResponse } from '#libs/core/outbound.js';
import type { Backend, CredentialResolver } from '#libs/core/ports.js';
import type { RestBinding } from '#libs/core/rest-binding.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { answerOf } from './answer.js';
import { gatherCredentials, scrub, withoutSecrets } from './credentials.js';
import { type BuiltRequest, buildRequest } from './request.js';

export interface RestBackendOptions {
  readonly outbound: Outbound;
  readonly credentials: CredentialResolver;
  /** The product's version, for `User-Agent`. */
  readonly version: string;
  /** Why an answer does not keep the tool's `outputSchema`; undefined when it does. Left out: answers are not checked. */
  readonly checkOutput?: (target: Target, value: unknown) => string | undefined;
  /** Bytes of an answer's body, decompressed. Default: the egress's. */
  readonly maxResponseBytes?: number;
  readonly onBackendRequest?: (request: { backend: string; method: string; statusCode: number; seconds: number }) => void;
  /** Begins the span of one backend request; its trace context goes to the backend. Left out: the caller's own goes on. */
  readonly startSpan?: (call: ValidatedCall, request: { method: string; url: string }) => BackendSpan;
}
export interface BackendSpan {
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  end(outcome: { statusCode?: number; error?: string }): void;
}

/** Calls operations of HTTP APIs. A backend's own failure is a tool error with the backend's own text; no credential is in any text. */
export class RestBackend implements Backend {
  readonly #userAgent: string;
  constructor(private readonly options: RestBackendOptions) { this.#userAgent = `stoa/${options.version}`; }

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as RestBinding;
    const gathered = gatherCredentials(this.options.credentials, call, binding);
    const credentials = gathered instanceof Promise ? await gathered : gathered;
    if (credentials instanceof Denial) return credentials;
    const request = buildRequest(binding, call.api, call.input, { credentials });
    if (request instanceof Denial) return request;

    const span = this.options.startSpan?.(call, request);
    this.#correlate(request, call, span);
    const startedAt = performance.now();
    let status = 0;
    let error: string | undefined;
    try {
      const response = await this.options.outbound.request({
        ...request,
        timeoutMs: call.target.timeoutMs,
        signal: call.exchange.signal,
        ...(this.options.maxResponseBytes === undefined ? {} : { maxBytes: this.options.maxResponseBytes }),
      });
      status = response.status;
      return this.#answer(call, credentials.length === 0 ? response : withoutSecrets(response, credentials), performance.now() - startedAt);
    } catch (failure) {
      if (!(failure instanceof OutboundFailure)) throw failure;
      error = failure.kind;
      const secrets = credentials.map(({ secret }) => secret);
      if (failure.kind === 'aborted') return new Denial({ code: 'CANCELLED', message: 'The call was cancelled.', reason: scrub(failure.message, secrets) });
      return failed(failure.kind, scrub(failure.message, secrets), performance.now() - startedAt);
    } finally {
      this.options.onBackendRequest?.({ backend: call.api?.name ?? 'unknown', method: binding.method, statusCode: status, seconds: (performance.now() - startedAt) / 1000 });
      span?.end({ ...(status === 0 ? {} : { statusCode: status }), ...(error === undefined ? {} : { error }) });
    }
  }

  /** Ours alone: header parameters of these names are refused when the binding is compiled. */
  #correlate(request: BuiltRequest, call: ValidatedCall, span: BackendSpan | undefined): void {
    const { headers } = request;
    headers.push(['user-agent', this.#userAgent], ['x-request-id', call.requestId], ['x-stoa-tool-name', call.target.name]);
    const tenant = call.target.tenant ?? call.principal.tenant;
    if (tenant !== undefined) headers.push(['x-stoa-tenant-id', tenant]);
    const traceparent = span ? span.traceparent : call.traceparent;
    const tracestate = span ? span.tracestate : call.tracestate;
    if (traceparent !== undefined) headers.push(['traceparent', traceparent]);
    if (traceparent !== undefined && tracestate !== undefined) headers.push(['tracestate', tracestate]);
  }

  #answer(call: ValidatedCall, response: OutboundResponse, latencyMs: number): BackendAnswer {
    const { result, value } = answerOf(response, `stoa://tool/${call.target.name}/answer`);
    const answer = (checked: ToolResult): BackendAnswer => ({ result: checked, outcome: checked.isError ? 'error' : 'success', latencyMs, bytes: response.body.byteLength });
    if (result.isError || call.target.outputSchema === undefined || !this.options.checkOutput) return answer(result);
    const wrong = value === undefined ? 'it is not JSON' : this.options.checkOutput(call.target, value.json);
    if (wrong === undefined) return answer(result);
    // The body stays as text, but not as structured content: clients may rely on that to fit the schema.
    const { structuredJson: _, ...rest } = result;
    return answer({ ...rest, isError: true, content: [{ type: 'text', text: `The backend's answer does not keep the output schema of ${call.target.name}: ${wrong}. Its answer follows.` }, ...result.content], meta: { error_code: 'BACKEND_CONTRACT_VIOLATION' } });
  }
}

function failed(kind: Exclude<OutboundFailure['kind'], 'aborted'>, message: string, latencyMs: number): BackendAnswer {
  const result: ToolResult = { type: 'tool', isError: true, content: [{ type: 'text', text: `Request to backend failed: ${message}` }], meta: { error_code: OUTBOUND_CODES[kind] } };
  return { result, outcome: kind === 'timeout' ? 'timeout' : 'error', latencyMs, bytes: 0 };
}
