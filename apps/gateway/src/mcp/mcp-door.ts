import type { FastifyReply, FastifyRequest } from 'fastify';
import { Unavailable } from '#libs/core/errors.js';
import { RPC } from '../error-mapping.js';
import { resultTails, type RpcId } from './answer.js';
import { BodyFault, parseBody } from './body.js';
import { type ChangeFeed, changeFeed } from './change-feed.js';
import { complete } from './completion.js';
import { LEGACY_VERSIONS, legacyEra } from './legacy.js';
import { listen } from './listen.js';
import type { Method } from './methods.js';
import { META, MODERN_VERSION, modernEra, unsupportedVersion } from './modern.js';
import { MCP_LIMITS, type McpDoorOptions } from './options.js';
import { listPages } from './pages.js';
import { acceptsOf, PostExchange } from './post-exchange.js';
import { sealWith } from './seal.js';
import { sessionTable } from './sessions.js';
import { type StreamHub, streamHub } from './stream-hub.js';
import { fail, isRecord, type Refusal, type Turn, type Wire } from './wire.js';

const NOTHING = { json: false, events: false };

/** Methods of 2026-07-28 that stand on what the door keeps. */
export const ownMethods = (feed: ChangeFeed, hub: StreamHub): ReadonlyMap<string, Method> => new Map([['completion/complete', complete], ['subscriptions/listen', listen(feed, hub)]]);

export interface McpDoor {
  post(request: FastifyRequest, reply: FastifyReply): void;
  get(request: FastifyRequest, reply: FastifyReply): void;
  delete(request: FastifyRequest, reply: FastifyReply): void;
  /** Ends every open stream, so that the server can close. */
  close(): void;
}

/** The MCP endpoint: both eras behind one path, told apart by each request itself. */
export function mcpDoor(options: McpDoorOptions): McpDoor {
  const limits = { ...MCP_LIMITS, ...options.limits };
  const seal = sealWith(options.cursorKey);
  const now = options.now ?? Date.now;
  const random = options.random ?? Math.random;
  const wireOf = (era: Wire['era']): Wire => {
    const tails = resultTails(era, options.serverInfo);
    return { era, options, limits, tails, seal, now, pages: listPages({ listing: options.listing, seal, era, tails, limits }) };
  };
  const modernWire = wireOf('modern');
  const changed = (): void => options.onStreams?.({ streams: hub.size, sessions: sessions.size });
  const hub = streamHub({ limits, random, now, changed, places: options.streamPlaces });
  const sessions = sessionTable({ limits, now, changed });
  const feed = changeFeed(options.catalogue, options.listing);
  const modern = modernEra(modernWire, ownMethods(feed, hub));
  const legacy = legacyEra(wireOf('legacy'), { sessions, hub, feed });
  const sweeper = setInterval(() => sessions.sweep(), Math.min(60_000, limits.sessionIdleMs));
  sweeper.unref();

  const take = (request: FastifyRequest, exchange: PostExchange): void | Promise<void> => {
    const refuse = (status: number, code: number, message: string, id?: RpcId): void => fail(modernWire, { exchange, rpc: { id } }, { status, code, message });
    if (!Buffer.isBuffer(request.body)) return refuse(400, RPC.parseError, 'The body is empty.');
    const message = parseBody(request.body);
    if (message instanceof BodyFault) return refuse(400, message.kind === 'syntax' ? RPC.parseError : RPC.invalidRequest, message.message);
    if (Array.isArray(message)) return refuse(400, RPC.invalidRequest, 'A batch is not accepted: send each message in its own POST.');
    if (!isRecord(message) || message['jsonrpc'] !== '2.0') return refuse(400, RPC.invalidRequest, 'The body is not a JSON-RPC 2.0 message.');
    const { id, method, params = {} } = message;
    if (id !== undefined && typeof id !== 'string' && !Number.isSafeInteger(id)) return refuse(400, RPC.invalidRequest, 'id is a string or an integer.');
    exchange.rpcId = id as RpcId;
    if (method !== undefined && typeof method !== 'string') return refuse(400, RPC.invalidRequest, 'method is a string.', id as RpcId);
    if (!isRecord(params)) return refuse(400, RPC.invalidParams, 'params is an object.', id as RpcId);
    const turn: Turn = { principal: options.principalOf(request), exchange, rpc: { id: id as RpcId, method: method ?? '', params } };

    const version = request.headers['mcp-protocol-version'];
    const meta = params['_meta'];
    const isModern = version === MODERN_VERSION || (isRecord(meta) && meta[META.version] !== undefined);
    const inSession = !isModern && typeof request.headers['mcp-session-id'] === 'string';
    if (method === undefined) {
      if (inSession && ('result' in message || 'error' in message)) return legacy.response(turn, message);
      return refuse(400, RPC.invalidRequest, 'The body is neither a request nor a notification.', id as RpcId);
    }
    if (!isModern) {
      if (method === 'initialize' && id !== undefined) return legacy.initialize(turn);
      if (inSession || LEGACY_VERSIONS.includes(String(version))) return legacy.message(turn);
      if (typeof version === 'string') return fail(modernWire, turn, unsupportedVersion(version));
      return refuse(400, RPC.headerMismatch, 'Header mismatch: MCP-Protocol-Version is required.', id as RpcId);
    }
    // This revision defines no notification from client to server over HTTP; one that comes is taken and means nothing.
    if (id === undefined) return exchange.accepted();
    return modern(turn);
  };

  /** Nothing that a request brings about ends the process: what was not foreseen is answered, and told to the operator. */
  const guarded = (exchange: PostExchange, serve: () => void | Promise<void>): void => {
    const failed = (error: unknown): void => {
      if (!(error instanceof Unavailable)) options.onFailure?.({ requestId: exchange.http.id, error });
      fail(modernWire, { exchange, rpc: { id: exchange.rpcId } }, error instanceof Unavailable ? ABSENT : BROKEN);
    };
    try {
      const served = serve();
      if (served instanceof Promise) served.catch(failed);
    } catch (error) { failed(error); }
  };

  /** GET and DELETE belong to the revisions with sessions. */
  const sessionRoute = (serve: (turn: Turn) => void | Promise<void>) => (request: FastifyRequest, reply: FastifyReply): void => {
    const exchange = new PostExchange(request, reply, { limits, random, accepts: acceptsOf(request.headers.accept) ?? NOTHING });
    const turn: Turn = { principal: options.principalOf(request), exchange, rpc: { id: undefined, method: request.method, params: {} } };
    if (request.headers['mcp-protocol-version'] === MODERN_VERSION) return fail(modernWire, turn, { status: 405, code: RPC.invalidRequest, message: `${request.method} is not part of ${MODERN_VERSION}.`, headers: { allow: 'POST' } });
    guarded(exchange, () => serve(turn));
  };

  return {
    post(request, reply) {
      const accepts = acceptsOf(request.headers.accept);
      const exchange = new PostExchange(request, reply, { limits, random, accepts: accepts ?? NOTHING });
      if (!accepts) return fail(modernWire, { exchange, rpc: { id: undefined } }, { status: 406, code: RPC.invalidRequest, message: 'Accept application/json and text/event-stream.' });
      guarded(exchange, () => take(request, exchange));
    },
    get: sessionRoute((turn) => legacy.stream(turn)),
    delete: sessionRoute((turn) => legacy.end(turn)),
    close() {
      clearInterval(sweeper);
      feed.close();
      hub.closeAll();
      sessions.closeAll();
    },
  };
}

const BROKEN: Refusal = { status: 500, code: RPC.internal, message: 'Internal error.' };
const ABSENT: Refusal = { status: 503, code: RPC.unavailable, message: 'The service is temporarily unavailable.', headers: { 'retry-after': '1' } };
