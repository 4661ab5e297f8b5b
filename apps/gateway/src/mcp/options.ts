import type { FastifyRequest } from 'fastify';
import type { Catalogue } from '#libs/core/catalogue.js';
import type { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import type { CompletionQuestion } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Listing } from './listing.js';

/** Asked for a place for each stream; answers the way to give it back. */
export type StreamPlaces = (request: FastifyRequest, principal: Principal) => (() => void) | Denial;

/** Everything that the MCP door needs. */
export interface McpDoorOptions {
  /** The one call line: there is no other way to a backend. */
  readonly runCall: RunCall;
  readonly catalogue: Pick<Catalogue, 'onChange'>;
  readonly listing: Listing;
  /** Asks a target's backend what it offers for an argument; left out: what its schema declares is all. */
  readonly complete?: ((question: Omit<CompletionQuestion, 'api'>) => Promise<readonly string[] | undefined>) | undefined;
  /** Whom the authentication hook proved; the door is never reached without. */
  readonly principalOf: (request: FastifyRequest) => Principal;
  readonly serverInfo: { readonly name: string; readonly version: string; readonly title?: string };
  readonly instructions?: string;
  /**
   * Origins that browsers may call from: `https://app.example.com`, `http://localhost:*` (any port), or `*`. A request without `Origin` is
   * not a browser's and passes.
   */
  readonly allowedOrigins: readonly string[];
  /** Host names, without port, that the door answers to; undefined: any. Set it wherever the listener is on loopback (DNS rebinding). */
  readonly allowedHosts?: readonly string[] | undefined;
  /** 32 bytes, the same in every replica: seals cursors and request states. */
  readonly cursorKey: Uint8Array;
  readonly limits?: Partial<McpLimits>;
  /** Told of each message that was refused before it became a call. */
  readonly onProtocolError?: (event: ProtocolErrorEvent) => void;
  /** Told of what should never happen: the client was answered 500, or its stream ended. */
  readonly onFailure?: (failure: { readonly requestId: string; readonly error: unknown }) => void;
  /** Told when an event stream opens and ends, and when a session does. */
  readonly onStreams?: (open: { readonly streams: number; readonly sessions: number }) => void;
  /** A place for each event stream, beside `limits`. */
  readonly streamPlaces?: StreamPlaces | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** 0 ≤ n < 1; jitter only. */
  readonly random?: () => number;
}

interface ProtocolErrorEvent { readonly requestId: string; readonly status: number; readonly code: number; readonly message: string }

export interface McpLimits {
  /** Bytes of a POST body. */
  readonly bodyBytes: number;
  /** Items on one page of a list. */
  readonly pageSize: number;
  /** How long a client may keep a list or resource before it asks again, in milliseconds. */
  readonly listTtlMs: number;
  /** Bytes of prepared pages kept in memory. */
  readonly preparedBytes: number;
  /** Waiting bytes and events of one stream before it overflows. */
  readonly queueBytes: number;
  readonly queueEvents: number;
  readonly streamsPerPrincipal: number;
  readonly streams: number;
  /** How long a client may leave unread what was sent to its stream, and how long a stream may live, in milliseconds; then the client opens another. */
  readonly streamIdleMs: number;
  readonly streamLifeMs: number;
  /** Between comments on a quiet stream, in milliseconds. */
  readonly heartbeatMs: number;
  /** Base of the reconnection hint, in milliseconds; 20 to 40 % are added at random. */
  readonly retryMs: number;
  readonly sessionIdleMs: number;
  readonly sessions: number;
  readonly sessionsPerPrincipal: number;
  /** How long a sealed `requestState` may be answered, in milliseconds. */
  readonly requestStateMs: number;
  /** How long a legacy client may take to answer a request of ours, in milliseconds. */
  readonly clientRequestMs: number;
}

export const MCP_LIMITS: McpLimits = {
  bodyBytes: 1_048_576, pageSize: 100, listTtlMs: 60_000, preparedBytes: 67_108_864,
  queueBytes: 262_144, queueEvents: 1_000, streamsPerPrincipal: 5, streams: 10_000, streamIdleMs: 60_000, streamLifeMs: 3_600_000, heartbeatMs: 15_000, retryMs: 2_000,
  sessionIdleMs: 1_800_000, sessions: 10_000, sessionsPerPrincipal: 100, requestStateMs: 600_000, clientRequestMs: 60_000,
};
