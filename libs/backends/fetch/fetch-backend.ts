import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { OUTBOUND_CODES, type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import type { Backend } from '#libs/core/ports.js';
import type { ResourceContents } from '#libs/core/result.js';
import type { BackendBinding } from '#libs/core/target.js';

const TEXT = /^(?:text\/|image\/svg\+xml|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml)\b|application\/(?:x-)?(?:yaml|javascript|ndjson|toml|graphql|sql))/i;

/** Reads a resource from its URL through egress: no credential, no redirect. A resource has no tool error, so every failure is a denial. */
export class FetchBackend implements Backend {
  constructor(private readonly options: { readonly outbound: Outbound; readonly version: string }) {}

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as Extract<BackendBinding, { kind: 'fetch' }>;
    const url = filled(binding.url, call.input);
    if (url instanceof Denial) return url;
    const startedAt = performance.now();
    try {
      const { status, body } = await this.options.outbound.request({
        url, method: 'GET', headers: [['accept', `${binding.mimeType}, */*;q=0.1`], ['user-agent', `stoa/${this.options.version}`], ['x-request-id', call.requestId]],
        timeoutMs: call.target.timeoutMs, signal: call.exchange.cancellation ?? call.exchange.signal,
      });
      if (status < 200 || status >= 300) return new Denial({ code: 'BACKEND_ERROR', message: `The resource cannot be read: its server answered ${status}.`, backendStatus: status });
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      const base = { uri: call.name, mimeType: binding.mimeType };
      const contents: ResourceContents = TEXT.test(binding.mimeType) ? { ...base, text: bytes.toString('utf8') } : { ...base, blob: bytes.toString('base64') };
      return { result: { type: 'resource', contents: [contents] }, outcome: 'success', latencyMs: performance.now() - startedAt, bytes: bytes.length };
    } catch (failure) {
      if (!(failure instanceof OutboundFailure)) throw failure;
      return new Denial({ code: OUTBOUND_CODES[failure.kind], message: `The resource cannot be read: ${failure.message}.` });
    }
  }
}

/**
 * The URL with its `{variables}` filled in, each as one percent-encoded piece (RFC 6570 level 1). A value that could leave its
 * place is refused: dot segments survive encoding (WHATWG URL normalises `%2e%2e` too), and the authority is never the caller's.
 */
function filled(template: string, variables: Readonly<Record<string, unknown>>): string | Denial {
  if (!template.includes('{')) return template;
  let fault: string | undefined;
  const url = template.replaceAll(/\{(\w+)\}/g, (_whole, name: string) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (typeof value !== 'string' || value === '') fault ??= `${name} is missing`;
    else if (/^\.{1,2}$/.test(value) || /[\p{Cc}\\/]/u.test(value) || /%2e|%2f|%5c/i.test(value)) fault ??= `${name} is not a single path segment`;
    return encodeURIComponent(String(value));
  });
  if (/^\w+:\/\/[^/?#]*\{/.test(template)) fault ??= 'a variable stands in the address of the server';
  if (segments(url) !== segments(template.replaceAll(/\{\w+\}/g, 'x'))) fault ??= 'the path would be another one';
  return fault === undefined ? url : new Denial({ code: 'INVALID_ARGUMENTS', message: `The resource cannot be read: ${fault}.`, issues: [{ pointer: '', message: fault }] });
}

const segments = (url: string): number | undefined => URL.parse(url)?.pathname.split('/').length;
