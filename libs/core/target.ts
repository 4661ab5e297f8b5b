import type { ApiKind } from './api-kind.js';
import type { GraphqlBinding } from './graphql-binding.js';
import type { GrpcBinding } from './grpc-binding.js';
import type { Definitions, JsonSchema } from './json-schema.js';
import type { KafkaBinding } from './kafka-binding.js';
import type { McpBinding } from './mcp-binding.js';
import type { CredentialReference, CredentialSlot, RestBinding } from './rest-binding.js';
import type { ToolRate } from './quota.js';
import type { TenantSlug } from './tenant.js';

/** What an operation may do to the world; drives MCP annotations and, later, policy. */
export type OperationClass = 'read' | 'write' | 'destructive';

export type BackendBinding =
  | RestBinding
  | GraphqlBinding
  | GrpcBinding
  | KafkaBinding
  | McpBinding
  /** Answered by the gateway itself; `handler` names it. */
  | { readonly kind: 'builtin'; readonly handler: string }
  | { readonly kind: 'prompt'; readonly messages: readonly PromptMessageTemplate[] }
  | { readonly kind: 'inline'; readonly mimeType: string; readonly text?: string; readonly blob?: string }
  /** The imported document of the API with this id, as long as it has this hash; `size` in bytes. It stays in the control plane's store until it is read. */
  | { readonly kind: 'document'; readonly api: string; readonly specHash: string; readonly mimeType: string; readonly size: number }
  /** Fetched through egress when read; no credential is sent. */
  | { readonly kind: 'fetch'; readonly url: string; readonly mimeType: string };

/** A message with `{{argument}}` placeholders. */
export interface PromptMessageTemplate { readonly role: 'user' | 'assistant'; readonly text: string }

/** Something that a principal may call, read or get, with all that one call needs. Immutable. */
export interface Target {
  readonly kind: 'tool' | 'resource' | 'prompt';
  /** Tool name, resource URI (or RFC 6570 template), or prompt name. Unique per tenant and kind. */
  readonly name: string;
  /** Undefined for what the platform offers to every tenant. */
  readonly tenant: TenantSlug | undefined;
  readonly apiId: string | undefined;
  readonly title?: string;
  readonly description: string;
  readonly operationClass: OperationClass;
  readonly tags: readonly string[];
  readonly category: string | undefined;
  readonly version: string;
  /** Arguments are checked against this, with `#/$defs/…` resolved in `definitions`. */
  readonly inputSchema: JsonSchema;
  readonly outputSchema?: JsonSchema;
  readonly definitions: Definitions;
  readonly backend: BackendBinding;
  /** Whole call, connect to last byte, in milliseconds; 1 to 300,000. */
  readonly timeoutMs: number;
  /** Of a tool, whoever of its tenant calls; undefined: the settings of the process. */
  readonly rateLimit?: ToolRate;
  /** SHA-256 (hex) of the definition: name, description, schemas, binding. */
  readonly hash: string;
  /**
   * The object of `tools/list`, `resources/list` or `prompts/list`, as JSON text, made once at import. Self-contained:
   * its `$ref`s resolve inside it. Its schemas may be wider than `inputSchema`, never narrower.
   */
  readonly listed: string;
}

/** An imported document as the data plane knows it. */
export interface Api {
  readonly id: string;
  readonly tenant: TenantSlug;
  readonly name: string;
  readonly version: string;
  readonly title: string;
  readonly description: string;
  readonly kind: ApiKind;
  readonly status: 'active' | 'deprecated' | 'draft';
  readonly category: string | undefined;
  readonly tags: readonly string[];
  /** SHA-256 (hex) of the document's bytes. */
  readonly specHash: string;
  /** Replaces each operation's own server when set. */
  readonly baseUrl: string | undefined;
  readonly definitions: Definitions;
  readonly slots: Readonly<Record<string, CredentialSlot>>;
  readonly credentials: Readonly<Record<string, CredentialReference>>;
}
