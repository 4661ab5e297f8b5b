import type { FastifyReply, FastifyRequest } from 'fastify';
import { RPC } from '../error-mapping.js';
import { resultTails, rpcError, type RpcId } from './answer.js';
import { BodyFault, parseBody } from './body.js';
import { complete } from './completion.js';
import { META, MODERN_VERSION, modernEra, unsupportedVersion } from './modern.js';
import { MCP_LIMITS, type McpDoorOptions } from './options.js';
import { listPages } from './pages.js';
import { acceptsOf, PostExchange } from './post-exchange.js';
import { sealWith } from './seal.js';
import { fail, isRecord, type Turn, type Wire } from './wire.js';

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
  const modern = modernEra(modernWire, new Map([['completion/complete', complete]]));

  const take = (request: FastifyRequest, exchange: PostExchange): void | Promise<void> => {
    const refuse = (status: number, code: number, message: string, id?: RpcId): void => fail(modernWire, { exchange, rpc: { id } }, { status, code, message });
    if (!Buffer.isBuffer(request.body)) return refuse(400, RPC.parseError, 'The body is empty.');
    const message = parseBody(request.body);
    if (message instanceof BodyFault) return refuse(400, message.kind === 'syntax' ? RPC.parseError : RPC.invalidRequest, message.message);
    if (Array.isArray(message)) return refuse(400, RPC.invalidRequest, 'A batch is not accepted: send each message in its own POST.');
    if (!isRecord(message) || message['jsonrpc'] !== '2.0') return refuse(400, RPC.invalidRequest, 'The body is not a JSON-RPC 2.0 message.');
    const { id, method, params = {} } = message;
    if (id !== undefined && typeof id !== 'string' && !Number.isSafeInteger(id)) return refuse(400, RPC.invalidRequest, 'id is a string or an integer.');
    if (typeof method !== 'string') return refuse(400, RPC.invalidRequest, 'The body is neither a request nor a notification.', id as RpcId);
    if (!isRecord(params)) return refuse(400, RPC.invalidParams, 'params is an object.', id as RpcId);
    const turn: Turn = { principal: options.principalOf(request), exchange, rpc: { id: id as RpcId, method, params } };

    const version = request.headers['mcp-protocol-version'];
    const meta = params['_meta'];
    const modernClaim = version === MODERN_VERSION || (isRecord(meta) && meta[META.version] !== undefined);
    if (!modernClaim) {
      if (typeof version === 'string') return fail(modernWire, turn, unsupportedVersion(version));
      return refuse(400, RPC.headerMismatch, 'Header mismatch: MCP-Protocol-Version is required.', id as RpcId);
    }
    // This revision defines no notification from client to server over HTTP; one that comes is taken and means nothing.
    if (id === undefined) return exchange.accepted();
    return modern(turn);
  };

  return {
    post(request, reply) {
      const accepts = acceptsOf(request.headers.accept);
      if (!accepts) { reply.code(406).header('content-type', 'application/json').send(rpcError(undefined, RPC.invalidRequest, 'Accept application/json and text/event-stream.', { correlation_id: request.id })); return; }
      const exchange = new PostExchange(request, reply, { limits, random, accepts });
      try {
        const taken = take(request, exchange);
        if (taken instanceof Promise) taken.catch((error: unknown) => failed(request, exchange, error));
      } catch (error) { failed(request, exchange, error); }
    },
    get(request, reply) { notAllowed(request, reply); },
    delete(request, reply) { notAllowed(request, reply); },
    close() { /* nothing is open yet */ },
  };

  function failed(request: FastifyRequest, exchange: PostExchange, error: unknown): void {
    request.log.error({ err: error }, 'the MCP door failed');
    exchange.answer(500, rpcError(undefined, RPC.internal, 'Internal error.', { correlation_id: request.id }));
  }
}

function notAllowed(request: FastifyRequest, reply: FastifyReply): void {
  reply.code(405).header('allow', 'POST').header('content-type', 'application/json').send(rpcError(undefined, RPC.invalidRequest, 'Method not allowed.', { correlation_id: request.id }));
}
