/**
 * Request headers that a tool's argument may never set (read at import and again at each call): framing and hop-by-hop (RFC 9110 §7.6.1),
 * credentials, content negotiation that OpenAPI 3.2 §4.12.1 says to ignore, routing and forwarding, method override, and our own correlation.
 */
const FORBIDDEN = new Set([
  'accept', 'accept-encoding', 'authorization', 'connection', 'content-encoding', 'content-length', 'content-type', 'cookie', 'cookie2', 'expect', 'forwarded', 'host', 'http2-settings',
  'keep-alive', 'max-forwards', 'set-cookie', 'te', 'trailer', 'traceparent', 'tracestate', 'transfer-encoding', 'upgrade', 'user-agent', 'via', 'x-client-ip',
  'x-cluster-client-ip', 'x-host', 'x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-host', 'x-original-url', 'x-real-ip', 'x-request-id',
  'x-rewrite-url', 'true-client-ip', 'cf-connecting-ip',
]);
const FORBIDDEN_PREFIXES = ['proxy-', 'x-forwarded-', 'x-tenant-', 'x-stoa-', 'x-gw-', 'x-envoy-', 'mcp-', 'sec-'] as const;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

/** Whether a header parameter of this name must not be sent: not a header name at all (RFC 9110 §5.6.2), or one that is not the caller's to set. */
export function forbiddenHeaderParameter(name: string): boolean {
  const lower = name.toLowerCase();
  return !TOKEN.test(name) || FORBIDDEN.has(lower) || lower === 'x-tenant' || FORBIDDEN_PREFIXES.some((prefix) => lower.startsWith(prefix));
}
