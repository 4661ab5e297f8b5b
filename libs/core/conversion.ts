import type { ApiFormat, Connection } from './api-kind.js';
import type { Definitions, JsonSchema } from './json-schema.js';
import type { BackendBinding, OperationClass } from './target.js';
import type { ToolRate } from './quota.js';
import type { CredentialSlot } from './rest-binding.js';
import type { TenantSlug } from './tenant.js';

/** What conversion can say of an operation. `exact` is a claim about the wire: every request the document allows can be sent, byte for byte. */
export type Verdict = 'exact' | 'degraded' | 'refused';

/** Why an operation is not exact, or what a reader of the ledger should know. */
export interface VerdictReason {
  /** Stable, lower-case with hyphens, for counting: `unresolvable-ref`, `parameter-without-schema`, … */
  readonly code: string;
  readonly message: string;
  /** JSON Pointer (RFC 6901) into the document. */
  readonly pointer: string;
}

export interface OperationVerdict {
  /** What is done: an HTTP method in upper case, `QUERY`, `MUTATION`, `UNARY`, `PUBLISH`, `TOOL`, …; with `path` it names the operation. */
  readonly method: string;
  readonly path: string;
  readonly operationId: string | undefined;
  /** Undefined where refused or not selected. */
  readonly tool: string | undefined;
  readonly verdict: Verdict;
  /** Empty exactly when the verdict is `exact`. */
  readonly reasons: readonly VerdictReason[];
  /** Said, but no loss on the wire: an alternative media type not offered, a renamed argument, a shortened name. */
  readonly notes: readonly VerdictReason[];
}

export interface ConvertedTool {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string;
  readonly method: string;
  readonly path: string;
  readonly operationId: string | undefined;
  readonly tags: readonly string[];
  readonly deprecated: boolean;
  readonly operationClass: OperationClass;
  /** `$ref`s are `#/$defs/{name}` into the document's `definitions`. */
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema | undefined;
  readonly backend: BackendBinding;
  /** See `Target.listed`. */
  readonly listed: string;
  readonly hash: string;
}

/** A prompt, a resource or a resource template that an API has beside its tools. */
export interface ConvertedContent {
  readonly kind: 'prompt' | 'resource';
  /** See `Target.name`. */
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string;
  /** Without `$ref`s. */
  readonly inputSchema: JsonSchema;
  readonly backend: BackendBinding;
  readonly listed: string;
  readonly hash: string;
}

export interface ConvertedDocument {
  readonly format: ApiFormat;
  readonly title: string;
  readonly version: string;
  readonly description: string;
  /** SHA-256 (hex) of the bytes. */
  readonly specHash: string;
  readonly definitions: Definitions;
  readonly slots: Readonly<Record<string, CredentialSlot>>;
  readonly tools: readonly ConvertedTool[];
  /** Undefined: the kind has tools only. */
  readonly contents?: readonly ConvertedContent[];
  /**
   * What each operation says of itself, as SHA-256 (hex) by `{method} {path}`, for kinds whose backends may change what was approved; see
   * `ConversionOptions.approved`.
   */
  readonly pins?: Readonly<Record<string, string>>;
  /** One entry for every operation of the document, in document order. */
  readonly ledger: readonly OperationVerdict[];
}

/** Which operations become tools; all given filters must hold (STOA ToolSet `selector`). */
export interface OperationSelector {
  /** Any of. */
  readonly tags?: readonly string[];
  /** None of. */
  readonly excludeTags?: readonly string[];
  readonly methods?: readonly string[];
  readonly pathPrefix?: string;
  readonly operationIds?: readonly string[];
}
/** STOA ToolSet `naming`. */
export interface NamingOptions {
  /** `^[a-z][a-z0-9_]*$` */
  readonly prefix?: string;
  readonly suffix?: string;
  /** Default true; false takes `{method}_{path}` for every operation. */
  readonly useOperationId?: boolean;
}
/** STOA ToolSet `toolDefaults`, the part that conversion needs. */
export interface ToolDefaults { readonly tags?: readonly string[]; readonly timeoutMs?: number; readonly rateLimit?: ToolRate }

export interface ConversionOptions {
  /** How the backend was reached that described itself; see `Admission`. */
  readonly connection?: Connection;
  readonly selector?: OperationSelector;
  readonly naming?: NamingOptions;
  readonly toolDefaults?: ToolDefaults;
  /** Where relative `servers` resolve: the URL that the document came from, or the API's base URL. */
  readonly documentUrl?: string;
  readonly baseUrl?: string;
  /** The `pins` that somebody approved: an operation that says something else of itself is refused until it is approved. Undefined: all are. */
  readonly approved?: Readonly<Record<string, string>>;
  /** Whose API it will be. */
  readonly tenant?: TenantSlug;
  /** Names already taken in the tenant: a collision is resolved and noted. */
  readonly takenNames?: readonly string[];
}
