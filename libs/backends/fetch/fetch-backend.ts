import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial, type ErrorCode } from '#libs/core/errors.js';
import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import type { Backend } from '#libs/core/ports.js';
import type { ResourceContents } from '#libs/core/result.js';
import type { BackendBinding } from '#libs/core/target.js';

const CODES: Readonly<Record<OutboundFailure['kind'], ErrorCode>> = {
  'refused-address': 'EGRESS_REFUSED',
  'invalid-request': 'EGRESS_REFUSED',
  unreachable: 'BACKEND_UNREACHABLE',
  timeout: 'BACKEND_TIMEOUT',
  'too-large': 'BACKEND_RESPONSE_TOO_LARGE',
  aborted: 'CANCELLED',
  'bad-encoding': 'BACKEND_ERROR',
};
const TEXT = /^(?:text\/|image\/svg\+xml|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml)\b|application\/(?:x-)?(?:yaml|javascript|ndjson|toml|graphql|sql))/i;

/** Reads a resource from its URL through egress: no credential, no redirect. A resource has no tool error, so every failure is a denial. */
export class FetchBackend implements Backend {
  constructor(private readonly options: { readonly outbound: Outbound; readonly version: string }) {}

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as Extract<BackendBinding, { kind: 'fetch' }>;
    const startedAt = performance.now();
    try {
      const { status, body } = await this.options.outbound.request({
        url: binding.url, method: 'GET', headers: [['accept', `${binding.mimeType}, */*;q=0.1`], ['user-agent', `stoa/${this.options.version}`], ['x-request-id', call.requestId]],
        timeoutMs: call.target.timeoutMs, signal: call.exchange.signal,
      });
      if (status < 200 || status >= 300) return new Denial({ code: 'BACKEND_ERROR', message: `The resource cannot be read: its server answered ${status}.`, backendStatus: status });
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const base = { uri: call.name, mimeType: binding.mimeType };
      const contents: ResourceContents = TEXT.test(binding.mimeType) ? { ...base, text: bytes.toString('utf8') } : { ...base, blob: bytes.toString('base64') };
      return { result: { type: 'resource', contents: [contents] }, outcome: 'success', latencyMs: performance.now() - startedAt, bytes: bytes.length };
    } catch (failure) {
      if (!(failure instanceof OutboundFailure)) throw failure;
      return new Denial({ code: CODES[failure.kind], message: `The resource cannot be read: ${failure.message}.` });
    }
  }
}
