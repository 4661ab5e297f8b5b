import type { ConvertedDocument } from '#libs/core/conversion.js';
import type { OutboundGuard, Outbound } from '#libs/core/outbound.js';
import type { Backend, CredentialResolver } from '#libs/core/ports.js';
import type { BackendBinding, Target } from '#libs/core/target.js';
import type { Shop } from './shop.js';

/** The largest answer that the suite's backends take, in bytes. */
export const MAX_BYTES = 100_000;

export interface Given {
  readonly outbound: Outbound & OutboundGuard;
  readonly credentials: CredentialResolver;
  readonly checkOutput: (target: Target, value: unknown) => string | undefined;
}

/** One kind of API under the suite: a real server in front of the shop, and our way to it. Nothing in the suite asks which kind it is. */
export interface Kind {
  readonly kind: Exclude<BackendBinding['kind'], 'builtin'>;
  readonly start: (shop: Shop) => Promise<Running>;
}

export interface Running {
  readonly document: ConvertedDocument;
  /** Where the server is, as an API's `baseUrl`. */
  readonly baseUrl: string;
  /** The same for any port of this machine. */
  at(host: string, port: number): string;
  backend(given: Given): Backend;
  /** The arguments of the tool that the operation became. */
  args(operation: string, plain: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
  /** What the tool's structured answer says, without the kind's own wrapping; members that are null may be left out by it. */
  plain(operation: string, structured: unknown): unknown;
  /** Whether requests have a query and cookies; else credentials for those go where the kind puts what it is told of the caller. */
  readonly http: boolean;
  readonly close: () => Promise<void>;
}
