import type { Denial, ErrorCode } from '#libs/core/errors.js';
import type { Target } from '#libs/core/target.js';

/** The protocol family of a request: 2026-07-28 carries everything in each request, the 2025 revisions have sessions. */
export type Era = 'modern' | 'legacy';

/** JSON-RPC and MCP codes (JSON-RPC 2.0 §5.1, MCP 2026-07-28 schema), and ours, outside −32768..−32000. */
export const RPC = {
  parseError: -32700, invalidRequest: -32600, methodNotFound: -32601, invalidParams: -32602, internal: -32603,
  headerMismatch: -32020, missingCapability: -32021, unsupportedVersion: -32022,
  /** Legacy eras only. */
  resourceNotFound: -32002,
  /** A body over the byte limit: answered before it is parsed, so in either era. */
  tooLarge: -32001,
  rateLimited: -31001, quotaExceeded: -31002, forbidden: -31003, unavailable: -31004, unauthenticated: -31005, insufficientScope: -31006, cancelled: -31007,
  tooManyStreams: -31008,
} as const;

/** What was asked for when it was denied. */
export interface DeniedAt { readonly era: Era; readonly kind: Target['kind']; readonly name: string; readonly requestId: string }

interface HttpPart { readonly status: number; readonly headers: Readonly<Record<string, string>> }
export type McpAnswer = HttpPart & (
  | { readonly as: 'error'; readonly code: number; readonly message: string; readonly data: Readonly<Record<string, unknown>> }
  /** A `CallToolResult` with `isError`: the model reads it and can act on it. */
  | { readonly as: 'tool-error'; readonly text: string; readonly meta: Readonly<Record<string, unknown>> });
export interface RestAnswer extends HttpPart { readonly body: { readonly detail: unknown; readonly confirm_token?: string; readonly expires_in?: number } }

/** One row for each way a call can be refused: the answer of every door. */
interface Row {
  /** `tool-error` holds for tools; a resource or prompt has no such result and gets the JSON-RPC code. */
  readonly mcp: 'tool-error' | 'error';
  readonly code: number | ((at: DeniedAt) => number);
  /** HTTP status at the MCP door. */
  readonly status: number;
  readonly rest: number;
}

const TABLE: Readonly<Record<ErrorCode, Row>> = {
  UNAUTHENTICATED:            { mcp: 'error', code: RPC.unauthenticated, status: 401, rest: 401 },
  INSUFFICIENT_SCOPE:         { mcp: 'error', code: RPC.insufficientScope, status: 403, rest: 403 },
  NOT_FOUND:                  { mcp: 'error', code: (at) => (at.kind === 'resource' && at.era === 'legacy' ? RPC.resourceNotFound : RPC.invalidParams), status: 200, rest: 404 },
  FORBIDDEN:                  { mcp: 'tool-error', code: RPC.forbidden, status: 200, rest: 403 },
  RATE_LIMITED:               { mcp: 'error', code: RPC.rateLimited, status: 429, rest: 429 },
  QUOTA_EXCEEDED:             { mcp: 'error', code: RPC.quotaExceeded, status: 429, rest: 429 },
  // RFC 6585 §3: the call is made once its condition, the agreement, comes with it.
  CONFIRMATION_REQUIRED:      { mcp: 'tool-error', code: RPC.forbidden, status: 200, rest: 428 },
  INVALID_ARGUMENTS:          { mcp: 'tool-error', code: RPC.invalidParams, status: 200, rest: 422 },
  // draft-ietf-httpapi-idempotency-key-header-07 §2.7
  IDEMPOTENCY_CONFLICT:       { mcp: 'error', code: RPC.invalidParams, status: 200, rest: 409 },
  BACKEND_ERROR:              { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 502 },
  BACKEND_TIMEOUT:            { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 504 },
  BACKEND_UNREACHABLE:        { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 502 },
  BACKEND_RESPONSE_TOO_LARGE: { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 502 },
  BACKEND_CONTRACT_VIOLATION: { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 502 },
  EGRESS_REFUSED:             { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 502 },
  CREDENTIAL_MISSING:         { mcp: 'tool-error', code: RPC.internal, status: 200, rest: 502 },
  UNAVAILABLE:                { mcp: 'error', code: RPC.unavailable, status: 503, rest: 503 },
  // Mostly nobody is there to read it; 499 is what proxies log for a client that went away.
  CANCELLED:                  { mcp: 'error', code: RPC.cancelled, status: 200, rest: 499 },
  INTERNAL:                   { mcp: 'error', code: RPC.internal, status: 200, rest: 500 },
};

/** The answer at `/mcp`. Every one carries the request id as `correlation_id`. */
export function mcpAnswer(denial: Denial, at: DeniedAt): McpAnswer {
  const row = TABLE[denial.code];
  const facts: Record<string, unknown> = { correlation_id: at.requestId, code: denial.code };
  if (denial.retryAfterSeconds !== undefined) facts['retry_after'] = denial.retryAfterSeconds;
  if (denial.issues) facts['issues'] = denial.issues;
  if (denial.backendStatus !== undefined) facts['backend_status'] = denial.backendStatus;
  if (row.mcp === 'tool-error' && at.kind === 'tool') return { as: 'tool-error', status: row.status, headers: headersOf(denial), text: denial.message, meta: facts };
  if (denial.code === 'NOT_FOUND' && at.kind === 'resource') facts['uri'] = at.name;
  return { as: 'error', status: row.status, headers: headersOf(denial), code: typeof row.code === 'number' ? row.code : row.code(at), message: denial.message, data: facts };
}

/**
 * The answer at `/mcp/v1`, in the shape `{detail}`. Wrong arguments are listed as `{loc, msg, type}` with status 422; a prompt's are
 * one sentence with status 400.
 */
export function restAnswer(denial: Denial, kind: Target['kind'] = 'tool'): RestAnswer {
  const headers = headersOf(denial);
  if (denial.code === 'INVALID_ARGUMENTS' && kind === 'prompt') return { status: 400, headers, body: { detail: denial.message } };
  if (denial.code === 'INVALID_ARGUMENTS' && denial.issues) {
    return { status: 422, headers, body: { detail: denial.issues.map(({ pointer, message }) => ({ loc: ['body', 'arguments', ...segments(pointer)], msg: message, type: 'value_error' })) } };
  }
  if (denial.confirmation) return { status: TABLE[denial.code].rest, headers, body: { detail: denial.message, confirm_token: denial.confirmation.token, expires_in: denial.confirmation.expiresInSeconds } };
  return { status: TABLE[denial.code].rest, headers, body: { detail: denial.code === 'FORBIDDEN' ? `Access denied: ${denial.message}` : denial.message } };
}

const segments = (pointer: string): string[] => pointer.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '')}"`;

function headersOf(denial: Denial): Record<string, string> {
  // Whole seconds, at least one (RFC 9110 §10.2.3).
  if (denial.code === 'RATE_LIMITED' || denial.code === 'QUOTA_EXCEEDED' || denial.code === 'UNAVAILABLE' || (denial.code === 'IDEMPOTENCY_CONFLICT' && denial.retryAfterSeconds !== undefined)) return { 'retry-after': String(Math.max(1, Math.ceil(denial.retryAfterSeconds ?? 1))) };
  if (denial.code === 'UNAUTHENTICATED') return { 'www-authenticate': 'Bearer' };
  if (denial.code === 'INSUFFICIENT_SCOPE') return { 'www-authenticate': `Bearer error="insufficient_scope", scope=${quoted((denial.missingScopes ?? []).join(' '))}` };
  return {};
}
