import type { ApiFormat, Connection } from './api-kind.js';
import type { ImportedDocument } from './catalogue.js';
import type { ConversionOptions, ConvertedDocument, OperationVerdict } from './conversion.js';
import type { CredentialReference, CredentialSlot } from './rest-binding.js';
import type { BackendBinding, OperationClass, PromptMessageTemplate } from './target.js';
import type { Definitions, JsonSchema } from './json-schema.js';
import type { TenantQuotas, ToolRate } from './quota.js';
import type { TenantSlug } from './tenant.js';

/**
 * The control plane's state. Every mutation is one transaction: rows, the tenant's next revision, and the notification to
 * data planes; a crash in its middle leaves the previous catalogue in force. Methods that take a tenant reject with
 * `NoSuchRecord` when it does not exist and never see another tenant's rows.
 */
export interface ControlStore {
  listTenants(): Promise<readonly TenantRecord[]>;
  getTenant(tenant: TenantSlug): Promise<TenantRecord | undefined>;
  /** Rejects with `AlreadyExists`. */
  createTenant(tenant: Pick<TenantRecord, 'slug' | 'displayName' | 'description'>): Promise<TenantRecord>;
  updateTenant(tenant: TenantSlug, edit: TenantEdit): Promise<TenantRecord>;
  deleteTenant(tenant: TenantSlug): Promise<void>;

  listApis(tenant: TenantSlug): Promise<readonly ApiRecord[]>;
  getApi(tenant: TenantSlug, name: string): Promise<ApiRecord | undefined>;
  /** Creates the API, or replaces it with its tools whole; operators' edits of tools that stay are kept. */
  putApi(tenant: TenantSlug, api: ApiDraft): Promise<ApiPublication>;
  deleteApi(tenant: TenantSlug, name: string): Promise<{ readonly revision: number }>;
  getDocument(tenant: TenantSlug, name: string): Promise<ImportedDocument | undefined>;
  getLedger(tenant: TenantSlug, name: string): Promise<readonly OperationVerdict[]>;
  /** What `#/$defs/…` of the API's tools leads to. */
  getDefinitions(tenant: TenantSlug, name: string): Promise<Definitions>;
  setCredential(tenant: TenantSlug, api: string, slot: string, reference: CredentialReference | undefined): Promise<{ readonly revision: number }>;
  /** APIs whose source is a URL or a living backend and whose refresh is due at `now`, of every tenant. */
  dueForRefresh(now: Date): Promise<readonly { readonly tenant: TenantSlug; readonly api: ApiRecord }[]>;
  /** After a refresh that changed nothing, or failed: no new revision. */
  markRefreshed(tenant: TenantSlug, api: string, outcome: { readonly at: Date; readonly error: string | undefined }): Promise<void>;

  listTools(tenant: TenantSlug): Promise<readonly ToolRecord[]>;
  getTool(tenant: TenantSlug, name: string): Promise<ToolRecord | undefined>;
  /** A field set to null returns to what the document says. */
  editTool(tenant: TenantSlug, name: string, edit: ToolEdit): Promise<{ readonly tool: ToolRecord; readonly revision: number }>;

  listPrompts(tenant: TenantSlug): Promise<readonly PromptRecord[]>;
  putPrompt(tenant: TenantSlug, prompt: PromptRecord): Promise<{ readonly revision: number; readonly created: boolean }>;
  deletePrompt(tenant: TenantSlug, name: string): Promise<{ readonly revision: number }>;

  listResources(tenant: TenantSlug): Promise<readonly ResourceRecord[]>;
  putResource(tenant: TenantSlug, resource: ResourceRecord): Promise<{ readonly revision: number; readonly created: boolean }>;
  deleteResource(tenant: TenantSlug, uri: string): Promise<{ readonly revision: number }>;
}

export interface TenantRecord {
  readonly slug: TenantSlug;
  readonly displayName: string;
  readonly description: string;
  readonly enabled: boolean;
  /** Undefined: those of the data plane's configuration. */
  readonly quotas?: TenantQuotas | undefined;
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
/** `quotas` replaces them whole; null gives them up. */
export type TenantEdit = Partial<Pick<TenantRecord, 'displayName' | 'description' | 'enabled'>> & { readonly quotas?: TenantQuotas | null };

/** `connection`: a living backend described itself; see `ConversionOptions.connection`. */
export type ApiSource = { readonly url: string } | { readonly inline: true } | { readonly connection: Connection };

export interface ApiRecord {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly title: string;
  readonly description: string;
  readonly status: 'active' | 'deprecated' | 'draft';
  readonly category: string | undefined;
  readonly tags: readonly string[];
  readonly source: ApiSource;
  readonly specHash: string;
  readonly format: ApiFormat;
  readonly baseUrl: string | undefined;
  readonly conversion: ConversionOptions;
  readonly slots: Readonly<Record<string, CredentialSlot>>;
  readonly credentials: Readonly<Record<string, CredentialReference>>;
  /** Seconds between refreshes of a URL source; undefined: never. At least 10. */
  readonly refreshSeconds: number | undefined;
  readonly refreshedAt: Date | undefined;
  readonly lastError: string | undefined;
  readonly toolCount: number;
  readonly counts: { readonly operations: number; readonly exact: number; readonly degraded: number; readonly refused: number };
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface ApiDraft {
  readonly name: string;
  readonly source: ApiSource;
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly document: ConvertedDocument;
  readonly conversion: ConversionOptions;
  readonly baseUrl: string | undefined;
  readonly refreshSeconds: number | undefined;
  readonly category: string | undefined;
  readonly tags: readonly string[];
  readonly status: ApiRecord['status'];
}

export interface ApiPublication {
  readonly api: ApiRecord;
  readonly created: boolean;
  readonly revision: number;
  readonly diff: { readonly added: readonly string[]; readonly changed: readonly string[]; readonly removed: readonly string[] };
}

export interface ToolRecord {
  readonly name: string;
  readonly apiName: string;
  readonly title: string | undefined;
  readonly description: string;
  readonly tags: readonly string[];
  readonly operationClass: OperationClass;
  readonly deprecated: boolean;
  readonly enabled: boolean;
  readonly timeoutMs: number;
  /** Undefined: as the data plane is configured. */
  readonly rateLimit?: ToolRate | undefined;
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema | undefined;
  readonly backend: BackendBinding;
  readonly hash: string;
  readonly edited: boolean;
}
export interface ToolEdit {
  readonly enabled?: boolean;
  readonly description?: string | null;
  readonly tags?: readonly string[] | null;
  readonly timeoutMs?: number | null;
  readonly rateLimit?: ToolRate | null;
}

export interface PromptArgument { readonly name: string; readonly description?: string; readonly required: boolean; /** Offered by completion. */ readonly values?: readonly string[] }
export interface PromptRecord {
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  readonly arguments: readonly PromptArgument[];
  readonly messages: readonly PromptMessageTemplate[];
  readonly tags: readonly string[];
}
export interface ResourceRecord {
  /** Absolute URI; for a document of an API `stoa://apis/{api}/document`, made at import and not editable. */
  readonly uri: string;
  readonly name: string;
  readonly description: string;
  readonly mimeType: string;
  readonly tags: readonly string[];
  readonly content: { readonly text: string } | { readonly blob: string } | { readonly url: string };
}

export class AlreadyExists extends Error {
  readonly code = 'ALREADY_EXISTS';
  constructor(readonly noun: string, readonly id: string) { super(`${noun} ${id} already exists`); }
}
export class NoSuchRecord extends Error {
  readonly code = 'NO_SUCH_RECORD';
  constructor(readonly noun: string, readonly id: string) { super(`${noun} ${id} does not exist`); }
}
