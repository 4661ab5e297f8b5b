import { AdmissionError } from '#libs/core/admission.js';
import type { McpEndpoint } from '#libs/core/mcp-binding.js';

/** Credentials that go with each request. */
export type McpAuth = { readonly type: 'bearer' } | { readonly type: 'basic' } | { readonly type: 'apiKey'; readonly in: 'header'; readonly name: string };

/** Members of an MCP API's `connection`: one of url, stdio and unix, and how to speak there. */
export interface McpConnection {
  readonly endpoint: { readonly url: string; readonly transport?: 'streamable' | 'sse' } | Exclude<McpEndpoint, { readonly url: string }>;
  readonly era?: 'modern' | 'legacy';
  /** What the server wants to be told of who asks; the secret is bound to slot `auth`. */
  readonly auth?: McpAuth;
  readonly headers: Readonly<Record<string, string>>;
}

const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
/** Headers that are the protocol's, the transport's or ours. */
const RESERVED = /^(?:mcp-.*|accept|accept-encoding|authorization|connection|content-.*|cookie|expect|host|keep-alive|last-event-id|proxy-.*|te|trailer|transfer-encoding|upgrade|user-agent|x-request-id|x-stoa-.*|traceparent|tracestate)$/i;

function wrong(member: string, problem: string): never { throw new AdmissionError('connection-invalid', `connection.${member}: ${problem}`); }

/** Rejects with `AdmissionError` naming the member and the fix. */
export function readConnection(given: Readonly<Record<string, unknown>>): McpConnection {
  const { url, stdio, unix, transport, era, auth, headers = {}, ...rest } = given;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) return wrong(stray, stray === 'command' || stray === 'args' || stray === 'env' ? 'cannot be given here: commands are the operator\'s; give stdio, the name of an entry of MCP_SERVERS' : 'is not known; an MCP connection has one of url, stdio and unix, and transport, era, auth and headers');
  if ([url, stdio, unix].filter((one) => one !== undefined).length !== 1) return wrong('url', 'give one of url, stdio and unix');
  if (transport !== undefined && transport !== 'streamable' && transport !== 'sse') return wrong('transport', 'must be "streamable" or "sse"');
  if (transport !== undefined && url === undefined) return wrong('transport', 'is for a url');
  if (era !== undefined && era !== 'modern' && era !== 'legacy') return wrong('era', 'must be "modern" (2026-07-28) or "legacy"');
  if (auth !== undefined && !isSlot(auth)) return wrong('auth', 'must be {"type":"bearer"}, {"type":"basic"} or {"type":"apiKey","in":"header","name":"…"}');
  if (auth !== undefined && url === undefined) return wrong('auth', 'is for a url: what a process of the operator\'s list needs is in its env');
  if (!isTexts(headers)) return wrong('headers', 'must be an object of texts');
  const bad = Object.keys(headers).find((name) => !HEADER.test(name) || RESERVED.test(name) || !/^[\t\x20-\x7e]*$/.test(headers[name] ?? ''));
  if (bad !== undefined) return wrong(`headers.${bad}`, 'cannot be set here: the headers of the protocol, the transport and of credentials are not yours to set, and values are visible ASCII');
  const how: Pick<McpConnection, 'headers' | 'era' | 'auth'> = { headers, ...(era === undefined ? {} : { era }), ...(auth === undefined ? {} : { auth }) };
  if (url !== undefined) {
    if (typeof url !== 'string' || !isHttpUrl(url)) return wrong('url', 'must be an absolute http or https URL without user information or fragment');
    return { endpoint: { url, ...(transport === undefined ? {} : { transport }) }, ...how };
  }
  if (stdio !== undefined) {
    if (typeof stdio !== 'string' || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(stdio)) return wrong('stdio', 'must be the name of an entry of MCP_SERVERS');
    return { endpoint: { stdio }, ...how };
  }
  if (typeof unix !== 'string' || !unix.startsWith('/') || unix.length > 107 || unix.includes('\0') || unix.split('/').includes('..')) return wrong('unix', 'must be the absolute path of a socket, at most 107 characters, without ..');
  return { endpoint: { unix }, ...how };
}

function isHttpUrl(value: string): boolean {
  if (!URL.canParse(value) || value.includes('#')) return false;
  const { protocol, username, password } = new URL(value);
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
}
const isTexts = (value: unknown): value is Readonly<Record<string, string>> => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === 'string');
function isSlot(value: unknown): value is McpAuth {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false;
  if (value.type === 'bearer' || value.type === 'basic') return Object.keys(value).length === 1;
  return value.type === 'apiKey' && 'in' in value && value.in === 'header' && 'name' in value && typeof value.name === 'string' && HEADER.test(value.name) && !/^(?:mcp-.*|host|connection|content-.*|transfer-encoding|accept)$/i.test(value.name);
}
