import type { Seal } from './seal.js';
import type { McpDoorOptions, McpLimits } from './options.js';
import type { ListPages } from './pages.js';
import type { ResultTails } from './answer.js';
import { rpcError } from './answer.js';
import type { PostExchange, Rpc } from './post-exchange.js';
import type { Principal } from '#libs/core/principal.js';
import type { Era } from '../error-mapping.js';

/** What the methods of one era share. */
export interface Wire {
  readonly era: Era;
  readonly options: McpDoorOptions;
  readonly limits: McpLimits;
  readonly tails: ResultTails;
  readonly pages: ListPages;
  readonly seal: Seal;
  readonly now: () => number;
}

/** One request on its way through the door. */
export interface Turn { readonly principal: Principal; readonly exchange: PostExchange; readonly rpc: Rpc }

/** Answer with a JSON-RPC error; every one carries the request id as `correlation_id`. */
export function fail(wire: Pick<Wire, 'options'>, turn: { readonly exchange: PostExchange; readonly rpc: Pick<Rpc, 'id'> }, refusal: Refusal): void {
  const requestId = turn.exchange.http.id;
  wire.options.onProtocolError?.({ requestId, status: refusal.status, code: refusal.code, message: refusal.message });
  turn.exchange.answer(refusal.status, rpcError(turn.rpc.id, refusal.code, refusal.message, { correlation_id: requestId, ...refusal.data }), refusal.headers);
}

export interface Refusal {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
