import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { OUTBOUND_CODES, type Outbound, OutboundFailure, type OutboundResponse } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import type { ToolResult } from '#libs/core/result.js';
import { type AppliedCredential, gatherCredentials, scrub, withoutSecrets } from '#libs/backends/http/credentials.js';

/** An HTTP request, complete but for the framing that the connection adds. */
export interface BuiltRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
}

export interface HttpCallerOptions {
  readonly outbound: Outbound;
  readonly credentials: CredentialResolver;
  /** The product's version, for `User-Agent`. */
  readonly version: string;
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

/** What a backend answered, without the secrets that its request carried. */
export interface HttpAnswer { readonly response: OutboundResponse; readonly latencyMs: number }

/** The alternatives of credential slots that one call may use, and the request once they are known. */
export interface HttpCall {
  /** See `RestBinding.security`. */
  readonly security: readonly (readonly string[])[];
  readonly build: (credentials: readonly AppliedCredential[]) => BuiltRequest | Denial;
}

/** One HTTP request on behalf of a call, for every kind of backend that is reached by HTTP: its credentials, correlation, span, deadline and failures. */
export class HttpCaller {
  readonly #userAgent: string;
  constructor(private readonly options: HttpCallerOptions) { this.#userAgent = `stoa/${options.version}`; }

  /** The backend's answer whatever its status; or, where there was none, what the caller is told of that. No credential is in any text. */
  async send(call: ValidatedCall, { security, build }: HttpCall): Promise<HttpAnswer | BackendAnswer | Denial> {
    const gathered = gatherCredentials(this.options.credentials, call, security);
    const credentials = gathered instanceof Promise ? await gathered : gathered;
    if (credentials instanceof Denial) return credentials;
    const request = build(credentials);
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
        signal: call.exchange.cancellation ?? call.exchange.signal,
        ...(this.options.maxResponseBytes === undefined ? {} : { maxBytes: this.options.maxResponseBytes }),
      });
      status = response.status;
      return { response: credentials.length === 0 ? response : withoutSecrets(response, credentials), latencyMs: performance.now() - startedAt };
    } catch (failure) {
      if (!(failure instanceof OutboundFailure)) throw failure;
      error = failure.kind;
      const secrets = credentials.map(({ secret }) => secret);
      if (failure.kind === 'aborted') return new Denial({ code: 'CANCELLED', message: 'The call was cancelled.', reason: scrub(failure.message, secrets) });
      return failed(failure.kind, scrub(failure.message, secrets), performance.now() - startedAt);
    } finally {
      this.options.onBackendRequest?.({ backend: call.api?.name ?? 'unknown', method: request.method, statusCode: status, seconds: (performance.now() - startedAt) / 1000 });
      span?.end({ ...(status === 0 ? {} : { statusCode: status }), ...(error === undefined ? {} : { error }) });
    }
  }

  /** Ours alone: header parameters of these names are refused when a binding is compiled. */
  #correlate({ headers }: BuiltRequest, call: ValidatedCall, span: BackendSpan | undefined): void {
    headers.push(['user-agent', this.#userAgent], ['x-request-id', call.requestId], ['x-stoa-tool-name', call.target.name]);
    const tenant = call.target.tenant ?? call.principal.tenant;
    if (tenant !== undefined) headers.push(['x-stoa-tenant-id', tenant]);
    const traceparent = span ? span.traceparent : call.traceparent;
    const tracestate = span ? span.tracestate : call.tracestate;
    if (traceparent !== undefined) headers.push(['traceparent', traceparent]);
    if (traceparent !== undefined && tracestate !== undefined) headers.push(['tracestate', tracestate]);
  }
}

function failed(kind: Exclude<OutboundFailure['kind'], 'aborted'>, message: string, latencyMs: number): BackendAnswer {
  const result: ToolResult = { type: 'tool', isError: true, content: [{ type: 'text', text: `Request to backend failed: ${message}` }], meta: { error_code: OUTBOUND_CODES[kind] } };
  return { result, outcome: kind === 'timeout' ? 'timeout' : 'error', latencyMs, bytes: 0 };
}
