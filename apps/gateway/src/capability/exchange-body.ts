import { z } from 'zod';
import type { Wanted } from '#libs/capability/authority.js';
import { requestHash } from '#libs/capability/canonical-request.js';
import { BodyFault, parseBody } from '../mcp/body.js';

/** RFC 6749 §5.2 and RFC 8693 §2.2.2, as the body of a 400. */
export class BadRequest extends Error {
  constructor(readonly error: 'invalid_request' | 'invalid_target' | 'unsupported_grant_type', message: string, readonly status: 400 | 415 = 400) { super(message); }
}

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TOKEN_TYPES = ['urn:ietf:params:oauth:token-type:access_token', 'urn:ietf:params:oauth:token-type:jwt'] as const;

const name = z.string().min(1).max(256);
const Body = z.strictObject({
  grant_type: z.literal(TOKEN_EXCHANGE, { error: `expected ${TOKEN_EXCHANGE}` }).optional(),
  subject_token: z.string().optional(), subject_token_type: z.enum(TOKEN_TYPES).optional(), requested_token_type: z.enum(TOKEN_TYPES).optional(),
  actor_token: z.string().max(8192).optional(), actor_token_type: z.enum(TOKEN_TYPES).optional(),
  resource: z.string().optional(), audience: z.string().optional(),
  scope: z.string().max(8192).optional(), scopes: z.array(name).max(128).optional(),
  tool: name.optional(), tools: z.array(name).max(128).optional(),
  operation: name.optional(), op: name.optional(),
  ttl_seconds: z.number().optional(),
  one_time: z.boolean().optional(),
  request: z.strictObject({ name: name.optional(), arguments: z.record(z.string(), z.unknown()).default({}) }).optional(),
  request_hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'expected 43 characters of base64url: the SHA-256 of the canonical request').optional(),
});

export interface Asked { readonly wanted: Wanted; readonly subjectToken: string | undefined; readonly actorToken: string | undefined }

/** The body of an exchange: JSON, whose unknown members are refused, or the form of RFC 8693 §2.1, whose unknown parameters are ignored. Throws `BadRequest`. */
export function exchangeBody(contentType: string, bytes: Buffer, audience: string): Asked {
  const parsed = Body.safeParse(contentType === 'form' ? fromForm(bytes) : fromJson(bytes));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new BadRequest('invalid_request', `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not understood'}`);
  }
  const { data } = parsed;
  for (const target of [data.resource, data.audience]) if (target !== undefined && target !== audience) throw new BadRequest('invalid_target', `Tokens are issued for ${audience} alone.`);
  const tools = [...new Set([...data.tools ?? [], ...(data.tool === undefined ? [] : [data.tool])])];
  const operation = data.operation ?? data.op;
  return {
    wanted: {
      tools, scopes: [...data.scopes ?? [], ...(data.scope ?? '').split(' ').filter((one) => one !== '')],
      ...(operation === undefined ? {} : { operation }), ...(data.ttl_seconds === undefined ? {} : { ttlSeconds: data.ttl_seconds }),
      ...(data.one_time === undefined ? {} : { oneTime: data.one_time }), ...binding(data, tools),
    },
    subjectToken: data.subject_token, actorToken: data.actor_token,
  };
}

function binding({ request, request_hash: given }: z.infer<typeof Body>, tools: readonly string[]): { readonly requestHash?: string } {
  if (!request) return given === undefined ? {} : { requestHash: given };
  const called = request.name ?? (tools.length === 1 ? tools[0] : undefined);
  if (called === undefined) throw new BadRequest('invalid_request', 'request.name names the tool of the request, where several are asked for.');
  const own = requestHash(called, request.arguments);
  if (given !== undefined && given !== own) throw new BadRequest('invalid_request', 'request_hash is not that of request.');
  return { requestHash: own };
}

export function fromJson(bytes: Buffer): unknown {
  const value = parseBody(bytes);
  if (value instanceof BodyFault) throw new BadRequest('invalid_request', value.message);
  return value;
}

const LISTS: ReadonlySet<string> = new Set(['tools', 'scopes']);

function fromForm(bytes: Buffer): unknown {
  const body: Record<string, unknown> = {};
  for (const [key, value] of form(bytes)) {
    if (!Object.hasOwn(Body.shape, key)) continue;
    if (LISTS.has(key)) body[key] = value.split(' ').filter((one) => one !== '');
    else if (key === 'ttl_seconds') body[key] = /^\d{1,9}$/.test(value) ? Number(value) : value;
    else if (key === 'one_time') body[key] = value === 'true' ? true : value === 'false' ? false : value;
    else if (key === 'request') body[key] = fromJson(Buffer.from(value));
    else body[key] = value;
  }
  return body;
}

/** RFC 6749 §3.2: no parameter twice. */
export function form(bytes: Buffer): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const [key, value] of new URLSearchParams(bytes.toString('utf8'))) {
    if (parameters.has(key)) throw new BadRequest('invalid_request', `${JSON.stringify(key.slice(0, 64))} is given more than once.`);
    parameters.set(key, value);
  }
  return parameters;
}
