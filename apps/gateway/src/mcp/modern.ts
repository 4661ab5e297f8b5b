import { RPC } from '../error-mapping.js';
import { rpcResult } from './answer.js';
import { mismatch, NAMED_METHODS } from './header-rules.js';
import { type Method, SHARED_METHODS } from './methods.js';
import { LOG_LEVELS } from './post-exchange.js';
import { fail, isRecord, type Turn, type Wire } from './wire.js';

export const MODERN_VERSION = '2026-07-28';
/** `_meta` members that every request of 2026-07-28 carries. */
export const META = {
  version: 'io.modelcontextprotocol/protocolVersion',
  capabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  subscription: 'io.modelcontextprotocol/subscriptionId',
} as const;

export const SERVER_CAPABILITIES = { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, prompts: { listChanged: true }, completions: {}, logging: {} } as const;

const discover: Method = (wire, turn) => {
  const { instructions } = wire.options;
  const members = JSON.stringify({ supportedVersions: [MODERN_VERSION], capabilities: SERVER_CAPABILITIES, ...(instructions === undefined ? {} : { instructions }), ttlMs: wire.limits.listTtlMs, cacheScope: 'private' });
  turn.exchange.answer(200, rpcResult(turn.rpc.id, `${members.slice(0, -1)}${wire.tails.complete}}`));
};

/** Every method of 2026-07-28; `own` are those that need more than their wire. */
export const modernMethods = (own: ReadonlyMap<string, Method>): ReadonlyMap<string, Method> => new Map([...SHARED_METHODS, ['server/discover', discover] as const, ...own]);

/**
 * A request of 2026-07-28: the headers are proved to agree with the body before anything acts on it (T6, T7), then the
 * method runs. Nothing is kept between two requests.
 */
export function modernEra(wire: Wire, own: ReadonlyMap<string, Method>): (turn: Turn) => void | Promise<void> {
  const methods = modernMethods(own);
  return (turn) => {
    const { exchange, rpc } = turn;
    const { headers } = exchange.http;
    const meta = rpc.params['_meta'];
    const version = isRecord(meta) ? meta[META.version] : undefined;
    const header = headers['mcp-protocol-version'];
    if (header === undefined) return fail(wire, turn, { status: 400, code: RPC.headerMismatch, message: 'Header mismatch: MCP-Protocol-Version is required.' });
    if (!isRecord(meta) || typeof version !== 'string') return fail(wire, turn, { status: 400, code: RPC.invalidParams, message: `params._meta["${META.version}"] is required.` });
    if (header !== version) return fail(wire, turn, { status: 400, code: RPC.headerMismatch, message: 'Header mismatch: MCP-Protocol-Version does not match the body.' });
    if (version !== MODERN_VERSION) return fail(wire, turn, unsupportedVersion(version));
    const capabilities = meta[META.capabilities];
    if (!isRecord(capabilities)) return fail(wire, turn, { status: 400, code: RPC.invalidParams, message: `params._meta["${META.capabilities}"] is required and is an object.` });

    const mirrored = mismatch('Mcp-Method', headers['mcp-method'], rpc.method, true);
    if (mirrored !== undefined) return fail(wire, turn, { status: 400, code: RPC.headerMismatch, message: mirrored });
    const method = methods.get(rpc.method);
    if (!method) return fail(wire, turn, { status: 404, code: RPC.methodNotFound, message: `Method not found: ${rpc.method}` });
    const member = NAMED_METHODS[rpc.method];
    const named = member === undefined ? undefined : rpc.params[member];
    if (typeof named === 'string') {
      const fault = mismatch('Mcp-Name', headers['mcp-name'], named, false);
      if (fault !== undefined) return fail(wire, turn, { status: 400, code: RPC.headerMismatch, message: fault });
    }
    exchange.clientCapabilities = capabilities;
    exchange.supportsInputRequired = true;
    const level = meta[META.logLevel];
    if (level !== undefined) {
      if (typeof level !== 'string' || !LOG_LEVELS.includes(level)) return fail(wire, turn, { status: 400, code: RPC.invalidParams, message: `params._meta["${META.logLevel}"] is one of ${LOG_LEVELS.join(', ')}.` });
      exchange.allowLog(level);
    }
    return method(wire, turn);
  };
}

export const unsupportedVersion = (requested: string): { status: number; code: number; message: string; data: Readonly<Record<string, unknown>> } =>
  ({ status: 400, code: RPC.unsupportedVersion, message: `Unsupported protocol version: ${requested}`, data: { supported: [MODERN_VERSION], requested } });
