import type { BackendAnswer, RecordedCall, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { OUTBOUND_CODES, type Outbound, OutboundFailure, type OutboundResponse } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import type { ToolResult } from '#libs/core/result.js';
import { RetryBudget } from '#libs/backends/http/retry-budget.js';
import { type AppliedCredential, certificateOf, gatherCredentials, mayRenew, scrub, secretsOf, withoutSecrets } from '#libs/backends/http/credentials.js';

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
export interface HttpAnswer { readonly response: OutboundResponse; readonly latencyMs: number; /** Requests that it took. */ readonly attempts: number }

/** The alternatives of credential slots that one call may use, and the request once they are known. */
export interface HttpCall {
  /** See `RestBinding.security`. */
  readonly security: readonly (readonly string[])[];
  readonly build: (credentials: readonly AppliedCredential[]) => BuiltRequest | Denial;
}

/** One HTTP request on behalf of a call, for every kind of backend that is reached by HTTP: its credentials, correlation, span, deadline and failures. */
export class HttpCaller {
  readonly #userAgent: string;
  readonly #retries = new RetryBudget();
  constructor(private readonly options: HttpCallerOptions) { this.#userAgent = `stoa/${options.version}`; }

  /**
   * The backend's answer whatever its status, as `read` makes it; or, where there was none, what the caller is told of that. No credential is in any
   * text. Asked once more: a 401 on a credential that can be had anew, and a read whose connection broke before any of an answer came, within a budget. Written without `async`: every call passes here, and each such function costs it a microsecond.
   */
  send<T>(call: ValidatedCall, http: HttpCall, read: (answer: HttpAnswer) => T): Promise<T | BackendAnswer | Denial>;
  send(call: ValidatedCall, http: HttpCall): Promise<HttpAnswer | BackendAnswer | Denial>;
  send(call: ValidatedCall, http: HttpCall, read: (answer: HttpAnswer) => unknown = itself): Promise<unknown> {
    try {
      const gathered = gatherCredentials(this.options.credentials, call, http.security);
      if (gathered instanceof Promise) return gathered.then((credentials) => (credentials instanceof Denial ? credentials : this.#request(call, http, { credentials, read })));
      return gathered instanceof Denial ? Promise.resolve(gathered) : this.#request(call, http, { credentials: gathered, read });
    } catch (failure) {
      return Promise.reject(failure instanceof Error ? failure : new Error(String(failure)));
    }
  }

  /** `spentMs`: in the try before; undefined: this is the first. */
  #request(call: ValidatedCall, http: HttpCall, { credentials, read, spentMs }: { readonly credentials: readonly AppliedCredential[]; readonly read: (answer: HttpAnswer) => unknown; readonly spentMs?: number }): Promise<unknown> {
    const request = http.build(credentials);
    if (request instanceof Denial) return Promise.resolve(request);
    const { outbound, maxResponseBytes: maxBytes, startSpan, onBackendRequest } = this.options;
    const span = startSpan?.(call, request);
    this.#correlate(request, call, span);
    const startedAt = performance.now();
    const ended = (statusCode: number, error?: string): void => {
      onBackendRequest?.({ backend: call.api?.name ?? 'unknown', method: request.method, statusCode, seconds: (performance.now() - startedAt) / 1000 });
      span?.end({ ...(statusCode === 0 ? {} : { statusCode }), ...(error === undefined ? {} : { error }) });
    };
    const { url, method, headers, body } = request;
    const clientCertificate = credentials.length === 0 ? undefined : certificateOf(credentials);
    return outbound.request({
      url, method, headers, timeoutMs: spentMs === undefined ? call.target.timeoutMs : Math.max(1, Math.floor(call.target.timeoutMs - spentMs)), signal: call.exchange.cancellation ?? call.exchange.signal,
      ...(body === undefined ? undefined : { body }), ...(maxBytes === undefined ? undefined : { maxBytes }), ...(clientCertificate === undefined ? undefined : { clientCertificate }),
    }).then((response) => {
      ended(response.status);
      const latencyMs = performance.now() - startedAt + (spentMs ?? 0);
      const answer: HttpAnswer = { response: credentials.length === 0 ? response : withoutSecrets(response, credentials), latencyMs, attempts: spentMs === undefined ? 1 : 2 };
      if (response.status !== 401 || spentMs !== undefined || credentials.length === 0 || latencyMs >= call.target.timeoutMs || !mayRenew(this.options.credentials, credentials)) return read(answer);
      return Promise.resolve(gatherCredentials(this.options.credentials, call, http.security))
        .then((renewed) => (renewed instanceof Denial ? read(answer) : this.#request(call, http, { credentials: renewed, read, spentMs: latencyMs })));
    }, (failure: unknown) => {
      if (!(failure instanceof OutboundFailure)) { ended(0); throw failure; }
      ended(0, failure.kind);
      const latencyMs = performance.now() - startedAt + (spentMs ?? 0);
      if (failure.kind === 'unreachable' && !failure.answered && spentMs === undefined && latencyMs < call.target.timeoutMs && isRead(call, method) && this.#retries.take(call.target.apiId ?? url)) {
        return this.#request(call, http, { credentials, read, spentMs: latencyMs });
      }
      const secrets = secretsOf(credentials);
      if (failure.kind === 'aborted') return new Denial({ code: 'CANCELLED', message: 'The call was cancelled.', reason: scrub(failure.message, secrets) });
      return failed(failure.kind, scrub(failure.message, secrets), { latencyMs, attempts: spentMs === undefined ? 1 : 2 });
    });
  }

  /** Ours alone: header parameters of these names are refused when a binding is compiled. */
  #correlate({ headers }: BuiltRequest, call: ValidatedCall, span: BackendSpan | undefined): void {
    headers.push(['user-agent', this.#userAgent], ['x-request-id', call.requestId], ['x-stoa-tool-name', call.target.name]);
    const { callId } = call as Partial<RecordedCall>;
    if (callId !== undefined) headers.push(['x-stoa-call-id', callId]);
    const tenant = call.target.tenant ?? call.principal.tenant;
    if (tenant !== undefined) headers.push(['x-stoa-tenant-id', tenant]);
    const traceparent = span ? span.traceparent : call.traceparent;
    const tracestate = span ? span.tracestate : call.tracestate;
    if (traceparent !== undefined) headers.push(['traceparent', traceparent]);
    if (traceparent !== undefined && tracestate !== undefined) headers.push(['tracestate', tracestate]);
  }
}

/** Safe by its method (RFC 9110 §9.2.1) or, where every request is a POST, by what it asks; never by what it is called. */
const isRead = ({ target: { operationClass, backend } }: ValidatedCall, method: string): boolean => operationClass === 'read' && (method === 'GET' || method === 'HEAD' || backend.kind === 'graphql');

const itself = (answer: HttpAnswer): HttpAnswer => answer;

function failed(kind: Exclude<OutboundFailure['kind'], 'aborted'>, message: string, took: Pick<BackendAnswer, 'latencyMs' | 'attempts'>): BackendAnswer {
  const result: ToolResult = { type: 'tool', isError: true, content: [{ type: 'text', text: `Request to backend failed: ${message}` }], meta: { error_code: OUTBOUND_CODES[kind] } };
  return { result, outcome: kind === 'timeout' ? 'timeout' : 'error', ...took, bytes: 0 };
}
