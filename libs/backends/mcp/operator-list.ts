import { lstat, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OutboundFailure } from '#libs/core/outbound.js';

/** A process that the operator lets the gateway start. Nothing of it can be given by a tenant, an API or a caller. */
export interface StdioServer {
  readonly command: string;
  readonly args: readonly string[];
  /** Its whole environment, beside a PATH of the system's folders, which it may replace. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Tenants that may use it; undefined: all. */
  readonly tenants?: readonly string[];
}
/** What the operator allows beside HTTP: processes by name, and sockets, each a path or a folder. */
export interface OperatorList { readonly stdio: ReadonlyMap<string, StdioServer>; readonly sockets: readonly string[] }

export const NOTHING_ALLOWED: OperatorList = { stdio: new Map(), sockets: [] };

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((text) => typeof text === 'string' && !text.includes('\0'));
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * `{"mcpServers": {NAME: {"command", "args"?, "env"?, "cwd"?, "tenants"?}}, "sockets": [PATH, …]}`, the form that MCP clients use.
 * Throws an `Error` that names the member and the fix.
 */
export function readOperatorList(text: string): OperatorList {
  if (text.trim() === '') return NOTHING_ALLOWED;
  let value: unknown;
  try { value = JSON.parse(text); } catch (failure) { throw new Error(`is not JSON: ${failure instanceof Error ? failure.message : ''}`, { cause: failure }); }
  if (!isObject(value)) throw new Error('must be {"mcpServers": {…}, "sockets": […]}');
  const { mcpServers = {}, sockets = [], ...rest } = value;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) throw new Error(`${stray} is not known; give mcpServers and sockets`);
  if (!isObject(mcpServers)) throw new Error('mcpServers must be an object of servers by name');
  if (!isTexts(sockets) || !sockets.every((path) => path.startsWith('/'))) throw new Error('sockets must be a list of absolute paths');
  return { stdio: new Map(Object.entries(mcpServers).map(([name, server]) => [name, readServer(name, server)])), sockets: sockets.map((path) => (path.length > 1 ? path.replace(/\/+$/, '') : path)) };
}

function readServer(name: string, value: unknown): StdioServer {
  const at = `mcpServers.${name}`;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) throw new Error(`${at}: a name is 1 to 64 letters, digits, dots, hyphens and underscores`);
  if (!isObject(value)) throw new Error(`${at} must be an object`);
  const { command, args = [], env = {}, cwd, tenants, ...rest } = value;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) throw new Error(`${at}.${stray} is not known; a server has command, args, env, cwd and tenants`);
  if (typeof command !== 'string' || command === '' || command.includes('\0')) throw new Error(`${at}.command must be a program`);
  if (!isTexts(args)) throw new Error(`${at}.args must be a list of texts`);
  if (!isObject(env) || !Object.values(env).every((text) => typeof text === 'string')) throw new Error(`${at}.env must be an object of texts`);
  if (cwd !== undefined && typeof cwd !== 'string') throw new Error(`${at}.cwd must be a folder`);
  if (tenants !== undefined && !isTexts(tenants)) throw new Error(`${at}.tenants must be a list of tenants`);
  return { command, args, env: env as Readonly<Record<string, string>>, ...(cwd === undefined ? {} : { cwd }), ...(tenants === undefined ? {} : { tenants }) };
}

/** The entry, for who may use it. Rejects with `OutboundFailure` `refused-address` alike for one that is not there and one that is another tenant's. */
export function allowedServer(list: OperatorList, name: string, tenant: string): StdioServer {
  const server = list.stdio.get(name);
  if (!server || (server.tenants && !server.tenants.includes(tenant))) throw new OutboundFailure('refused-address', `The operator's list MCP_SERVERS has no server "${name}" for this tenant`);
  return server;
}

/**
 * The socket's path, proved: on the list or right in a folder of it, itself a socket and not a link, no link on the way to it, and owned by this process's user or
 * root. Rejects with `OutboundFailure`.
 */
export async function allowedSocket(list: OperatorList, path: string): Promise<string> {
  const refused = (why: string): OutboundFailure => new OutboundFailure('refused-address', `The socket ${path} ${why}`);
  if (!list.sockets.includes(path) && !list.sockets.includes(dirname(path))) throw refused('is not on the operator\'s list: MCP_SERVERS, sockets');
  let found: Awaited<ReturnType<typeof lstat>>;
  let real: string;
  try {
    found = await lstat(path);
    real = await realpath(path);
  } catch (cause) {
    throw new OutboundFailure('unreachable', `There is no socket ${path}`, { cause });
  }
  if (found.isSymbolicLink() || real !== path) throw refused('is reached through a symbolic link; list the real path');
  if (!found.isSocket()) throw refused('is no socket');
  const user = process.getuid?.();
  if (user !== undefined && found.uid !== user && found.uid !== 0) throw refused('belongs to another user');
  return path;
}
