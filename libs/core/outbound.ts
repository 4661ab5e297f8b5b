import type { ErrorCode } from './errors.js';

/** Outbound HTTP as the rest of the product sees it; `libs/egress` is the only implementation. Never follows redirects. */
export interface Outbound {
  /** Rejects with `OutboundFailure`, and with nothing else. */
  request(request: OutboundRequest): Promise<OutboundResponse>;
}
/** What a cancellable piece of work needs of an `AbortSignal`; every `AbortSignal` is one, and a cheaper thing may be. */
export interface Cancellation {
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}
/** The same policy for kinds of backend that open their own sockets. */
export interface OutboundGuard {
  /**
   * The addresses of a host that may be connected to, at least one; connect to these and to no others. `secure`: the connection will be TLS.
   * Rejects with `OutboundFailure` (`refused-address`, `unreachable`).
   */
  admit(host: string, port: number, secure: boolean): Promise<readonly string[]>;
}
export interface OutboundRequest {
  /** Absolute http or https URL. */
  readonly url: string;
  readonly method: string;
  /** In order; names may repeat. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: Uint8Array | string;
  /** Whole exchange, connect to last byte, in milliseconds. */
  readonly timeoutMs: number;
  /** Bytes of the body, decompressed. Default 8 MiB. */
  readonly maxBytes?: number;
  readonly signal?: Cancellation;
  /** PEM of a certificate chain and its private key, shown to a server that asks for one (RFC 8446 §4.4.2). Its connections are no other requests'. */
  readonly clientCertificate?: string;
}
/** The same way out for answers that are read while they come: event streams. */
export interface OutboundStreams {
  /** Answers when the head is there. Rejects with `OutboundFailure`. */
  open(request: OutboundRequest): Promise<OutboundStream>;
}
export interface OutboundStream {
  readonly status: number;
  /** As in `OutboundResponse`. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The bytes as they come, once. What is not read holds the sender back. Fails with `OutboundFailure`; leaving it early closes the connection, and so
   * must whoever does not read it, by `close`. `maxBytes` counts all of it.
   */
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}
export interface OutboundResponse {
  readonly status: number;
  /** Lower-case names; repeated ones joined by `, ` (`set-cookie` keeps the first only). */
  readonly headers: Readonly<Record<string, string>>;
  /** Decompressed. */
  readonly body: Uint8Array;
}
export class OutboundFailure extends Error {
  override get name(): string { return 'OutboundFailure'; }
  /** Whether any of an answer had come. */
  readonly answered: boolean;
  constructor(
    /** `refused-address`: the egress policy said no, nothing was sent. `unreachable`: DNS, connect, TLS or a broken connection. */
    readonly kind: 'refused-address' | 'invalid-request' | 'unreachable' | 'timeout' | 'too-large' | 'aborted' | 'bad-encoding',
    /** Fit for the caller: no address that DNS gave, no secret. */
    message: string,
    options?: { cause?: unknown; answered?: boolean },
  ) { super(message, options); this.answered = options?.answered === true; }
}

/** The code under which each failure reaches a caller. */
export const OUTBOUND_CODES: Readonly<Record<OutboundFailure['kind'], ErrorCode>> = {
  'refused-address': 'EGRESS_REFUSED',
  'invalid-request': 'EGRESS_REFUSED',
  unreachable: 'BACKEND_UNREACHABLE',
  timeout: 'BACKEND_TIMEOUT',
  'too-large': 'BACKEND_RESPONSE_TOO_LARGE',
  aborted: 'CANCELLED',
  'bad-encoding': 'BACKEND_ERROR',
};
