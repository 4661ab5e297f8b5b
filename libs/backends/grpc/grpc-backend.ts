import { type DescMessage, fromBinary, fromJson, type JsonValue, type Registry, toBinary, toJson } from '@bufbuild/protobuf';
import { type Client, type ClientReadableStream, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { BackendAnswer, RecordedCall, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { GrpcBinding } from '#libs/core/grpc-binding.js';
import { OUTBOUND_CODES, OutboundFailure } from '#libs/core/outbound.js';
import type { Backend, CredentialResolver } from '#libs/core/ports.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { type AppliedCredential, certificateOf, gatherCredentials, mayRenew, scrub, secretsOf } from '#libs/backends/http/credentials.js';
import type { Channels } from '#libs/backends/grpc/channels.js';
import { readDescriptorSet } from '#libs/backends/grpc/descriptors.js';
import { errorDetails } from '#libs/backends/grpc/error-details.js';
import { isPlainMessage } from '#libs/backends/grpc/json-schemas.js';

export interface GrpcBackendOptions {
  readonly channels: Channels;
  readonly credentials: CredentialResolver;
  /** Messages that one call collects of a stream. Default 100. */
  readonly maxMessages?: number;
  /** Bytes of all messages that one call collects, as they came. Default 1 MiB. */
  readonly maxStreamBytes?: number;
  /** Why an answer does not keep the tool's `outputSchema`; undefined when it does. Left out: answers are not checked. */
  readonly checkOutput?: (target: Target, value: unknown) => string | undefined;
}

interface Method { readonly input: DescMessage; readonly output: DescMessage; readonly registry: Registry }

/**
 * Calls methods of gRPC services. Arguments and answers are ProtoJSON; a status other than OK is a tool error with its code, message and details. Streams
 * are sent from a list and collected into one, within bounds; what is left of them is cancelled.
 */
export class GrpcBackend implements Backend {
  readonly #methods = new WeakMap<GrpcBinding, Method>();
  constructor(private readonly options: GrpcBackendOptions) {}

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as GrpcBinding;
    const gathered = gatherCredentials(this.options.credentials, call, binding.security);
    const credentials = gathered instanceof Promise ? await gathered : gathered;
    if (credentials instanceof Denial) return credentials;
    const method = this.#method(binding);
    const requests = encode(method, binding, call.input);
    if (requests instanceof Denial) return requests;
    const deadline = Date.now() + call.target.timeoutMs;
    const first = await this.#once(call, { binding, method, requests, credentials, deadline });
    // A server that does not know a credential that can be had anew is asked once more, with a new one.
    if (first instanceof Denial || !isUnproved(first) || credentials.length === 0 || !mayRenew(this.options.credentials, credentials)) return first;
    const renewed = await gatherCredentials(this.options.credentials, call, binding.security);
    if (renewed instanceof Denial) return first;
    const second = await this.#once(call, { binding, method, requests, credentials: renewed, deadline });
    return second instanceof Denial ? second : { ...second, latencyMs: first.latencyMs + second.latencyMs, attempts: 2 };
  }

  async #once(call: ValidatedCall, { binding, method, requests, credentials, deadline }: { readonly binding: GrpcBinding; readonly method: Method; readonly requests: readonly Uint8Array[]; readonly credentials: readonly AppliedCredential[]; readonly deadline: number }): Promise<BackendAnswer | Denial> {
    const startedAt = performance.now();
    const secrets = secretsOf(credentials);
    try {
      const { address, tls } = serverOf(binding, call.api?.baseUrl);
      const client = await this.options.channels.to(address, tls, certificateOf(credentials));
      const { messages, complete, bytes } = await this.#exchange(client, call, { binding, requests, metadata: metadataOf(binding, call, credentials), deadline });
      return this.#answer(call, { method, messages, complete, bytes, latencyMs: performance.now() - startedAt, secrets });
    } catch (failure) {
      const latencyMs = performance.now() - startedAt;
      if (call.exchange.signal.aborted) return new Denial({ code: 'CANCELLED', message: 'The call was cancelled.' });
      if (failure instanceof OutboundFailure) return failed({ text: `Request to backend failed: ${scrub(failure.message, secrets)}`, code: OUTBOUND_CODES[failure.kind], outcome: failure.kind === 'timeout' ? 'timeout' : 'error', latencyMs });
      if (isServiceError(failure)) return statusAnswer(failure, method, { latencyMs, secrets });
      throw failure;
    }
  }

  #method(binding: GrpcBinding): Method {
    let method = this.#methods.get(binding);
    if (method === undefined) {
      const registry = readDescriptorSet(Buffer.from(binding.descriptors, 'base64'), binding.path);
      const input = registry.getMessage(binding.request);
      const output = registry.getMessage(binding.response);
      if (input === undefined || output === undefined) throw new Error(`the catalogue has no descriptors of ${binding.path}`);
      this.#methods.set(binding, method = { input, output, registry });
    }
    return method;
  }

  #exchange(client: Client, call: ValidatedCall, { binding, requests, metadata, deadline }: { readonly binding: GrpcBinding; readonly requests: readonly Uint8Array[]; readonly metadata: Metadata; readonly deadline: number }): Promise<{ messages: readonly Uint8Array[]; complete: boolean; bytes: number }> {
    const { maxMessages = 100, maxStreamBytes = 1 << 20 } = this.options;
    const options = { deadline };
    const { path, clientStreaming, serverStreaming } = binding;
    const { signal } = call.exchange;
    return new Promise((resolve, reject) => {
      const messages: Uint8Array[] = [];
      let bytes = 0;
      const one = (failure: ServiceError | null, message?: Uint8Array): void => {
        if (failure !== null) reject(failure);
        else resolve({ messages: message === undefined ? [] : [message], complete: true, bytes: message?.byteLength ?? 0 });
      };
      const collect = (stream: ClientReadableStream<Uint8Array>): void => {
        stream.on('data', (message: Uint8Array) => {
          messages.push(message);
          bytes += message.byteLength;
          if (messages.length < maxMessages && bytes < maxStreamBytes) return;
          resolve({ messages, complete: false, bytes });
          stream.cancel();
        });
        stream.on('end', () => { resolve({ messages, complete: true, bytes }); });
        // What came before the deadline is an answer; what came before any other failure is not.
        stream.on('error', (failure: ServiceError) => { if (failure.code === status.DEADLINE_EXCEEDED && messages.length > 0) resolve({ messages, complete: false, bytes }); else reject(failure); });
      };
      const running = start();
      const abort = (): void => { running.cancel(); };
      signal.addEventListener('abort', abort, { once: true });
      running.on('status', () => { signal.removeEventListener('abort', abort); });
      if (signal.aborted) abort();

      function start(): { cancel(): void; on(event: 'status', listener: () => void): unknown } {
        const first = requests[0] ?? new Uint8Array();
        if (!clientStreaming && !serverStreaming) return client.makeUnaryRequest(path, AS_IT_IS, AS_IT_IS, first, metadata, options, one);
        if (!clientStreaming) { const stream = client.makeServerStreamRequest<Uint8Array, Uint8Array>(path, AS_IT_IS, AS_IT_IS, first, metadata, options); collect(stream); return stream; }
        const stream = serverStreaming ? client.makeBidiStreamRequest<Uint8Array, Uint8Array>(path, AS_IT_IS, AS_IT_IS, metadata, options) : client.makeClientStreamRequest<Uint8Array, Uint8Array>(path, AS_IT_IS, AS_IT_IS, metadata, options, one);
        if (serverStreaming) collect(stream as unknown as ClientReadableStream<Uint8Array>);
        for (const request of requests) stream.write(request);
        stream.end();
        return stream;
      }
    });
  }

  #answer(call: ValidatedCall, { method, messages, complete, bytes, latencyMs, secrets }: { readonly method: Method; readonly messages: readonly Uint8Array[]; readonly complete: boolean; readonly bytes: number; readonly latencyMs: number; readonly secrets: readonly string[] }): BackendAnswer {
    const { serverStreaming } = call.target.backend as GrpcBinding;
    let value: unknown;
    try {
      const decoded = messages.map((message) => toJson(method.output, fromBinary(method.output, message), { registry: method.registry, alwaysEmitImplicit: true }));
      value = serverStreaming ? { messages: decoded, complete } : isPlainMessage(method.output) ? decoded[0] ?? {} : { value: decoded[0] ?? null };
    } catch (error) {
      return failed({ text: `The backend's answer is not a ${method.output.typeName}: ${error instanceof Error ? error.message : String(error)}`, code: 'BACKEND_CONTRACT_VIOLATION', outcome: 'error', latencyMs });
    }
    const wrong = this.options.checkOutput?.(call.target, value);
    const json = scrub(JSON.stringify(value), secrets);
    if (wrong !== undefined) return failed({ text: `The backend's answer does not keep the output schema of ${call.target.name}: ${wrong}. Its answer follows.\n${json}`, code: 'BACKEND_CONTRACT_VIOLATION', outcome: 'error', latencyMs });
    return { result: { type: 'tool', isError: false, content: [{ type: 'text', text: json }], structuredJson: json }, outcome: 'success', latencyMs, bytes };
  }
}

const AS_IT_IS = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function encode({ input, registry }: Method, binding: GrpcBinding, args: Readonly<Record<string, unknown>>): readonly Uint8Array[] | Denial {
  const { argument, clientStreaming } = binding;
  const given = argument === undefined ? args : args[argument];
  const values = clientStreaming ? (given as readonly unknown[]) : [given];
  let at = 0;
  try { return values.map((value, i) => { at = i; return toBinary(input, fromJson(input, value as JsonValue, { registry })); }); } catch (error) {
    const pointer = argument === undefined ? '' : clientStreaming ? `/${argument}/${at}` : `/${argument}`;
    const message = (error instanceof Error ? error.message : String(error)).replaceAll(/cannot (?:decode|encode) /g, '');
    return new Denial({ code: 'INVALID_ARGUMENTS', message: `Invalid arguments: ${pointer === '' ? 'arguments' : pointer} ${message}`, issues: [{ pointer, message }] });
  }
}

function serverOf(binding: GrpcBinding, baseUrl: string | undefined): { readonly address: string; readonly tls: boolean } {
  const [, scheme, address] = /^(grpcs?):\/\/([^/]+)/.exec(baseUrl ?? '') ?? [];
  return address === undefined ? binding : { address, tls: scheme === 'grpcs' };
}

/** Metadata comes from the definition and from us, never from an argument. */
function metadataOf(binding: GrpcBinding, call: ValidatedCall, credentials: readonly AppliedCredential[]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(binding.metadata)) metadata.set(name, value);
  for (const { slot, secret } of credentials) {
    if (slot.type === 'bearer') metadata.set('authorization', `Bearer ${secret}`);
    else if (slot.type === 'basic') metadata.set('authorization', `Basic ${Buffer.from(secret).toString('base64')}`);
    else if (slot.type === 'apiKey') metadata.set(slot.name.toLowerCase(), secret);
  }
  metadata.set('x-request-id', call.requestId);
  metadata.set('x-stoa-tool-name', call.target.name);
  const { callId } = call as Partial<RecordedCall>;
  if (callId !== undefined) metadata.set('x-stoa-call-id', callId);
  const tenant = call.target.tenant ?? call.principal.tenant;
  if (tenant !== undefined) metadata.set('x-stoa-tenant-id', tenant);
  if (call.traceparent !== undefined) metadata.set('traceparent', call.traceparent);
  if (call.traceparent !== undefined && call.tracestate !== undefined) metadata.set('tracestate', call.tracestate);
  return metadata;
}

const isUnproved = ({ result }: BackendAnswer): boolean => result.type === 'tool' && result.meta?.['grpc_status'] === 'UNAUTHENTICATED';
const isServiceError = (failure: unknown): failure is ServiceError => failure instanceof Error && 'code' in failure && 'details' in failure && 'metadata' in failure;

/** The server's own words; what the transport made of a connection that failed is ours to word. */
function statusAnswer(failure: ServiceError, { registry }: Method, { latencyMs, secrets }: { readonly latencyMs: number; readonly secrets: readonly string[] }): BackendAnswer {
  const details = errorDetails(failure.metadata, registry);
  const text = scrub(JSON.stringify({ code: status[failure.code], message: failure.code === status.UNAVAILABLE && details.length === 0 ? plain(failure.details) : failure.details, ...(details.length === 0 ? {} : { details }) }), secrets);
  const code = failure.code === status.DEADLINE_EXCEEDED ? 'BACKEND_TIMEOUT' : failure.code === status.UNAVAILABLE ? 'BACKEND_UNREACHABLE' : failure.code === status.RESOURCE_EXHAUSTED && failure.details.includes('larger than max') ? 'BACKEND_RESPONSE_TOO_LARGE' : 'BACKEND_ERROR';
  return failed({ text, code, outcome: failure.code === status.DEADLINE_EXCEEDED ? 'timeout' : 'error', latencyMs, grpcStatus: status[failure.code] });
}

/** The transport names the address that it tried, which is not the caller's to know. */
const plain = (details: string): string => (/connect|connection|name resolution|address/i.test(details) ? 'the backend cannot be reached' : details);

function failed({ text, code, outcome, latencyMs, grpcStatus }: { readonly text: string; readonly code: string; readonly outcome: 'error' | 'timeout'; readonly latencyMs: number; readonly grpcStatus?: string | undefined }): BackendAnswer {
  const result: ToolResult = { type: 'tool', isError: true, content: [{ type: 'text', text }], meta: { error_code: code, ...(grpcStatus === undefined ? {} : { grpc_status: grpcStatus }) } };
  return { result, outcome, latencyMs, bytes: 0 };
}
