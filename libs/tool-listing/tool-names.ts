import { createHash } from 'node:crypto';
import type { NamingOptions } from '#libs/core/conversion.js';

/** Longest tool name; `^[a-zA-Z0-9_-]{1,64}$` is what MCP clients and model providers take. */
const MAX_NAME = 64;
const HASH = 8;

export interface NameRequest { readonly method: string; readonly path: string; readonly operationId: string | undefined; /** Keeps `operationId` as it is, where it is a legal name. */ readonly verbatim?: boolean }
export interface ChosenName { readonly name: string; readonly code?: 'name-shortened' | 'name-collision'; readonly message?: string }

/** Lower-case letters, digits and single inner underscores: `get-user.profile` becomes `get_user_profile`, `GetUserProfile` `getuserprofile`. */
export function sanitiseName(text: string): string {
  return text.replace(/[^a-zA-Z0-9]+/g, '_').replace(/^_+|_+$/g, '').toLowerCase();
}

/** `GET /users/{id}/orders` becomes `get_users_orders`. */
export function methodPathName(method: string, path: string): string {
  return sanitiseName(`${method}_${path.replace(/\{[^{}]*\}/g, '')}`);
}

/**
 * A legal name for every operation, 1 to 64 characters, all different and none of them taken. A name depends on its own
 * operation alone unless two collide; then the first by path and method keeps the plain name, whatever the document's order.
 */
export function chooseNames(requests: readonly NameRequest[], naming: NamingOptions, taken: ReadonlySet<string>): readonly ChosenName[] {
  const plain = requests.map((request) => fullName(request, naming));
  const order = requests.map((_, i) => i).toSorted((a, b) => compare(identity(requests[a]), identity(requests[b])));
  const claimed = new Set(taken);
  const chosen: ChosenName[] = [];
  const later: number[] = [];
  for (const i of order) {
    const full = plain[i] ?? '';
    const name = shorten(full, full);
    if (claimed.has(name)) { later.push(i); continue; }
    claimed.add(name);
    chosen[i] = name === full ? { name } : { name, code: 'name-shortened', message: `"${full}" is longer than ${MAX_NAME} characters` };
  }
  for (const i of later) {
    const full = plain[i] ?? '';
    let name = suffixed(full, identity(requests[i]));
    for (let salt = 2; claimed.has(name); salt++) name = suffixed(full, `${identity(requests[i])} ${salt}`);
    claimed.add(name);
    chosen[i] = { name, code: 'name-collision', message: `"${shorten(full, full)}" is the name of another tool` };
  }
  return chosen;
}

const LEGAL = /^[a-zA-Z0-9_-]+$/;

function fullName({ method, path, operationId, verbatim = false }: NameRequest, { prefix = '', suffix = '', useOperationId = true }: NamingOptions): string {
  const own = useOperationId && operationId !== undefined ? (verbatim && LEGAL.test(operationId) ? operationId : sanitiseName(operationId)) : '';
  const name = prefix + (own === '' ? methodPathName(method, path) || sanitiseName(method) || 'operation' : own) + suffix;
  // Some providers want a letter first.
  return /^\d/.test(name) ? `op_${name}` : name;
}

function shorten(name: string, hashed: string): string {
  return name.length <= MAX_NAME ? name : suffixed(name, hashed);
}

function suffixed(name: string, hashed: string): string {
  return `${name.slice(0, MAX_NAME - HASH - 1).replace(/_+$/, '')}_${createHash('sha256').update(hashed).digest('hex').slice(0, HASH)}`;
}

function identity(request: NameRequest | undefined): string {
  return request ? `${request.path} ${request.method}` : '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
