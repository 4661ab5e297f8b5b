import { Denial } from '#libs/core/errors.js';
import { RPC } from '../error-mapping.js';
import { rpcNotification, rpcResult } from './answer.js';
import type { ChangeFeed } from './change-feed.js';
import { complete } from './completion.js';
import type { EventStream } from './event-stream.js';
import { tooMany } from './listen.js';
import { CAPABILITY, type Method, SHARED_METHODS } from './methods.js';
import { SERVER_CAPABILITIES } from './modern.js';
import { LOG_LEVELS } from './post-exchange.js';
import type { Session, Sessions } from './sessions.js';
import type { StreamHub } from './stream-hub.js';
import { fail, isRecord, type Turn, type Wire } from './wire.js';

/** Newest first. 2025-03-26 is served without its batches, which nobody may send here. */
export const LEGACY_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26'];

/** The revisions with sessions: one `initialize`, then requests that name it. */
export interface LegacyEra {
  initialize(turn: Turn): void;
  /** A request or notification within a session. */
  message(turn: Turn): void | Promise<void>;
  /** The client's answer to a request of ours. */
  response(turn: Turn, message: Readonly<Record<string, unknown>>): void;
  stream(turn: Turn): Promise<void>;
  end(turn: Turn): void;
}

type SessionMethod = (wire: Wire, turn: Turn, session: Session) => void | Promise<void>;
const done: SessionMethod = (_wire, turn) => { turn.exchange.answer(200, rpcResult(turn.rpc.id, '{}')); };

const setLevel: SessionMethod = (wire, turn, session) => {
  const { level } = turn.rpc.params;
  if (typeof level !== 'string' || !LOG_LEVELS.includes(level)) return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: `params.level is one of ${LOG_LEVELS.join(', ')}.` });
  session.logLevel = level;
  return done(wire, turn, session);
};
const subscribe: SessionMethod = async (wire, turn, session) => {
  const { uri } = turn.rpc.params;
  if (typeof uri !== 'string') return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: 'params.uri is required and is a string.' });
  if (!await wire.options.listing.find('resource', uri, turn.principal)) return fail(wire, turn, { status: 200, code: RPC.resourceNotFound, message: `Resource not found: ${uri}`, data: { uri } });
  if (session.uris.size >= 1_000) return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: 'At most 1000 resources may be subscribed to in one session.' });
  session.uris.add(uri);
  return done(wire, turn, session);
};
const unsubscribe: SessionMethod = (wire, turn, session) => {
  session.uris.delete(String(turn.rpc.params['uri']));
  return done(wire, turn, session);
};
const shared = (method: Method): SessionMethod => (wire, turn) => method(wire, turn);
/** Every request of these revisions within a session; `initialize` begins one. */
export const LEGACY_METHODS: ReadonlyMap<string, SessionMethod> = new Map([
  ...[...SHARED_METHODS].map(([name, method]) => [name, shared(method)] as const),
  ['ping', done], ['logging/setLevel', setLevel], ['completion/complete', shared(complete)], ['resources/subscribe', subscribe], ['resources/unsubscribe', unsubscribe],
]);

export function legacyEra(wire: Wire, on: { sessions: Sessions; hub: StreamHub; feed: ChangeFeed }): LegacyEra {
  let asked = 0;

  /** The session that the request names, or undefined when it was answered: 400 without a name or with a wrong version, 404 for an unknown one. */
  const sessionOf = (turn: Turn): Session | undefined => {
    const { headers } = turn.exchange.http;
    const id = headers['mcp-session-id'];
    const version = headers['mcp-protocol-version'];
    if (typeof id !== 'string') { fail(wire, turn, { status: 400, code: RPC.invalidRequest, message: 'Mcp-Session-Id is required: send initialize first.' }); return undefined; }
    if (version !== undefined && !LEGACY_VERSIONS.includes(String(version))) {
      fail(wire, turn, { status: 400, code: RPC.invalidRequest, message: `Unsupported MCP-Protocol-Version: ${String(version)}`, data: { supported: LEGACY_VERSIONS } });
      return undefined;
    }
    const session = on.sessions.find(id, turn.principal);
    if (!session) fail(wire, turn, { status: 404, code: RPC.invalidRequest, message: 'Session not found: send initialize again.' });
    return session;
  };

  /** Sampling, elicitation and roots: a request of ours on the stream of the call that needs it. */
  const askClient = (turn: Turn, session: Session) => (method: string, params: unknown): Promise<unknown> => {
    const capability = CAPABILITY[method];
    if (capability === undefined || !isRecord(session.capabilities[capability])) return Promise.reject(new Error(`The client did not declare ${capability ?? method}.`));
    const id = `stoa-${++asked}`;
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void): void => { clearTimeout(timer); session.asked.delete(id); turn.exchange.signal.removeEventListener('abort', aborted); finish(); };
      const aborted = (): void => settle(() => reject(new Error('The call was cancelled.')));
      const timer = setTimeout(() => settle(() => reject(new Error(`The client did not answer ${method}.`))), wire.limits.clientRequestMs);
      turn.exchange.signal.addEventListener('abort', aborted);
      session.asked.set(id, (answer) => settle(() => {
        if (isRecord(answer['error'])) reject(new Error(`The client refused ${method}: ${JSON.stringify(answer['error']['message'])}`));
        else resolve(answer['result']);
      }));
      turn.exchange.tell(`{"jsonrpc":"2.0","id":"${id}","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`);
    });
  };

  return {
    initialize(turn) {
      const { protocolVersion, capabilities } = turn.rpc.params;
      if (typeof protocolVersion !== 'string') return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: 'params.protocolVersion is required and is a string.' });
      const version = LEGACY_VERSIONS.includes(protocolVersion) ? protocolVersion : LEGACY_VERSIONS[0]!;
      const session = on.sessions.create(turn.principal, { version, capabilities: isRecord(capabilities) ? capabilities : {} });
      if (!session) return fail(wire, turn, { status: 503, code: RPC.unavailable, message: 'Too many sessions.', headers: { 'retry-after': '60' } });
      const { instructions, serverInfo } = wire.options;
      turn.exchange.answer(200, rpcResult(turn.rpc.id, JSON.stringify({ protocolVersion: version, capabilities: SERVER_CAPABILITIES, serverInfo, ...(instructions === undefined ? {} : { instructions }) })), { 'mcp-session-id': session.id });
    },

    async message(turn) {
      const session = sessionOf(turn);
      if (!session) return;
      const { exchange, rpc } = turn;
      if (rpc.id === undefined) {
        if (rpc.method === 'notifications/cancelled') session.running.get(rpc.params['requestId'] as string | number)?.cancel();
        return exchange.accepted();
      }
      const method = LEGACY_METHODS.get(rpc.method);
      if (!method) return fail(wire, turn, { status: 200, code: RPC.methodNotFound, message: `Method not found: ${rpc.method}` });
      exchange.clientCapabilities = session.capabilities;
      exchange.allowLog(session.logLevel);
      if (exchange.accepts.events) exchange.request = askClient(turn, session);
      session.running.set(rpc.id, exchange);
      try { await method(wire, turn, session); } finally { session.running.delete(rpc.id); session.usedAt = wire.now(); }
    },

    response(turn, message) {
      const session = sessionOf(turn);
      if (!session) return;
      session.asked.get(turn.rpc.id)?.(message);
      turn.exchange.accepted();
    },

    async stream(turn) {
      const session = sessionOf(turn);
      if (!session) return;
      if (!turn.exchange.accepts.events) return fail(wire, turn, { status: 406, code: RPC.invalidRequest, message: 'Accept text/event-stream.' });
      let stream: EventStream | undefined;
      const stop = await on.feed.subscribe({
        principal: turn.principal, kinds: new Set(['tool', 'prompt', 'resource'] as const), uris: session.uris,
        notify: (method, params) => { stream?.send(rpcNotification(method, params)); },
      });
      // A client that comes back takes the place of its own lost connection.
      session.stream?.end();
      const opened = turn.exchange.openStream((reply) => on.hub.open(reply, turn.principal));
      if (opened instanceof Denial) { stop(); return tooMany(wire, turn, opened); }
      stream = opened;
      session.stream = stream;
      stream.onClose(() => {
        stop();
        session.usedAt = wire.now();
        if (session.stream === stream) session.stream = undefined;
      });
    },

    end(turn) {
      const session = sessionOf(turn);
      if (!session) return;
      on.sessions.end(session);
      turn.exchange.empty(204);
    },
  };
}
