import type { Principal } from '#libs/core/principal.js';

/** The operations of each tool that may be called; undefined: every one of them. */
export type ToolGrants = ReadonlyMap<string, ReadonlySet<string> | undefined>;

/** What a credential may do at most, apart from what policy says of it. */
export interface Authority {
  readonly scopes: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  /** Undefined: any tool. */
  readonly tools: ToolGrants | undefined;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  readonly oneTime: boolean;
  /** Of the one request that it is for; undefined: any. */
  readonly requestHash: string | undefined;
}

/** A capability token's: its tools are always named. */
export interface Grant extends Authority { readonly tools: ToolGrants }

/** What is asked for. Left out: as the parent has it, but for `tools`. */
export interface Wanted {
  readonly scopes?: readonly string[];
  readonly tools?: readonly string[];
  /** Of every tool named in `tools`. */
  readonly operation?: string;
  /** Seconds. */
  readonly ttlSeconds?: number;
  readonly oneTime?: boolean;
  readonly requestHash?: string;
}

/** RFC 6749 §5.2, RFC 8693 §2.2.2. */
export class ExchangeRefused {
  constructor(readonly error: 'invalid_request' | 'invalid_scope' | 'invalid_grant', readonly description: string) {}
}

/** Bounds of the lifetime that may be asked for, in seconds, and of the number of tools. */
export const TTL_SECONDS = { min: 60, max: 120, default: 60 } as const;
const MOST_TOOLS = 64;
/** Never handed on: a capability calls tools and administers nothing. */
const ADMINISTERING: ReadonlySet<string> = new Set(['cpi-admin']);

const TOOL_SCOPE = /^tools:(.{1,256}?):(?:call|op:([^\s:]{1,128}))$/;
const NAME = /^[\x21-\x7e]{1,256}$/;

export const authorityOf = (principal: Principal): Authority => ({
  scopes: principal.scopes, roles: principal.roles, expiresAt: principal.expiresAt,
  tools: principal.allowedTools && new Map([...principal.allowedTools].map((tool) => [tool, principal.capability?.operations.get(tool)])),
  oneTime: principal.capability?.oneTime === true, requestHash: principal.capability?.requestHash,
});

/** What both may do: the authority of one who acts for another. */
export function meet(a: Authority, b: Authority): Authority | ExchangeRefused {
  if (a.requestHash !== undefined && b.requestHash !== undefined && a.requestHash !== b.requestHash) return new ExchangeRefused('invalid_grant', 'The two tokens are bound to different requests.');
  return {
    scopes: a.scopes.intersection(b.scopes), roles: a.roles.intersection(b.roles), tools: common(a.tools, b.tools),
    expiresAt: Math.min(a.expiresAt, b.expiresAt), oneTime: a.oneTime || b.oneTime, requestHash: a.requestHash ?? b.requestHash,
  };
}

function common(a: Authority['tools'], b: Authority['tools']): Authority['tools'] {
  if (!a || !b) return a ?? b;
  return new Map([...a].flatMap(([tool, operations]) => {
    if (!b.has(tool)) return [];
    const other = b.get(tool);
    return [[tool, operations && other ? operations.intersection(other) : operations ?? other] as const];
  }));
}

/**
 * The part of an authority that is asked for, or why it is not to be had. What comes out never exceeds what went in: scopes, roles, tools and operations
 * are subsets, it does not end later, and one use and a bound request stay so. Roles stand for scopes, so whoever asks for narrower scopes gives
 * up the roles. `now` in seconds.
 */
export function attenuate(parent: Authority, wanted: Wanted, now: number): Grant | ExchangeRefused {
  const ttl = wanted.ttlSeconds ?? TTL_SECONDS.default;
  if (!Number.isInteger(ttl) || ttl < TTL_SECONDS.min || ttl > TTL_SECONDS.max) return new ExchangeRefused('invalid_request', `ttl_seconds is a whole number from ${TTL_SECONDS.min} to ${TTL_SECONDS.max}.`);
  const expiresAt = Math.min(now + ttl, Math.floor(parent.expiresAt));
  if (expiresAt <= now) return new ExchangeRefused('invalid_grant', 'The token that was presented has ended.');

  const tools = wantedTools(wanted);
  if (tools instanceof ExchangeRefused) return tools;
  for (const [tool, operations] of tools) if (!grants(parent.tools, tool, operations)) return new ExchangeRefused('invalid_scope', `The token that was presented does not reach tool ${JSON.stringify(tool)} to this extent.`);

  const narrowed = (wanted.scopes ?? []).filter((scope) => !TOOL_SCOPE.test(scope));
  const missing = narrowed.find((scope) => !parent.scopes.has(scope));
  if (missing !== undefined) return new ExchangeRefused('invalid_scope', `The token that was presented does not have scope ${JSON.stringify(missing)}.`);

  const requestHash = wanted.requestHash ?? parent.requestHash;
  if (parent.requestHash !== undefined && requestHash !== parent.requestHash) return new ExchangeRefused('invalid_grant', 'The token that was presented is bound to another request.');
  return {
    scopes: narrowed.length > 0 ? new Set(narrowed) : parent.scopes,
    roles: narrowed.length > 0 ? new Set() : parent.roles.difference(ADMINISTERING),
    tools, expiresAt, oneTime: parent.oneTime || wanted.oneTime === true, requestHash,
  };
}

/** Whether a parent's tools hold this one with these operations. */
function grants(parent: Authority['tools'], tool: string, operations: ReadonlySet<string> | undefined): boolean {
  if (!parent) return true;
  if (!parent.has(tool)) return false;
  const held = parent.get(tool);
  return held === undefined || (operations !== undefined && operations.isSubsetOf(held));
}

/** Named in `tools`, or by the scopes `tools:{tool}:call` and `tools:{tool}:op:{operation}`. */
function wantedTools({ tools = [], operation, scopes = [] }: Wanted): ToolGrants | ExchangeRefused {
  const named = new Map<string, Set<string> | undefined>();
  for (const tool of tools) named.set(tool, operation === undefined ? undefined : new Set([operation]));
  for (const scope of scopes) {
    const [, tool, op] = TOOL_SCOPE.exec(scope) ?? [];
    if (tool === undefined) {
      if (scope.startsWith('tools:')) return new ExchangeRefused('invalid_scope', `${JSON.stringify(scope)} is neither tools:{tool}:call nor tools:{tool}:op:{operation}.`);
      continue;
    }
    if (tools.length > 0 && !tools.includes(tool)) return new ExchangeRefused('invalid_scope', `Scope ${JSON.stringify(scope)} names a tool that tools does not.`);
    // The narrower wins: `tools` or `call` beside `op` does not widen what the operation says.
    const confinedTo = op ?? operation;
    if (confinedTo === undefined) { if (!named.has(tool)) named.set(tool, undefined); continue; }
    const known = named.get(tool);
    if (known) known.add(confinedTo); else named.set(tool, new Set([confinedTo]));
  }
  if (named.size === 0) return new ExchangeRefused('invalid_request', 'tools names each tool that the token is for, at least one.');
  if (named.size > MOST_TOOLS) return new ExchangeRefused('invalid_request', `tools names at most ${MOST_TOOLS} tools.`);
  for (const tool of named.keys()) if (!NAME.test(tool)) return new ExchangeRefused('invalid_request', 'tools holds names of 1 to 256 visible ASCII characters.');
  return named;
}
