import type { TenantSlug } from './tenant.js';

/** What the product keeps of an API key: never the secret, only its SHA-256. */
export interface ApiKeyRecord {
  readonly tenant: TenantSlug;
  /** UUID; shown in lists, logs and audit, and of no use as a credential. */
  readonly id: string;
  /** For people; need not be unique. */
  readonly name: string;
  /** The first characters of the secret, by which its holder finds it in a list. */
  readonly prefix: string;
  /** The principal that the key stands for. */
  readonly owner: { readonly issuer: string; readonly subject: string };
  readonly roles: readonly string[];
  /** Beside those that the roles map to. */
  readonly scopes: readonly string[];
  /** Names of the only tools that it may call; undefined: no such limit. */
  readonly tools: readonly string[] | undefined;
  /** Rotation, which reveals a new secret, needs a sign-in with a second factor. */
  readonly stepUp: boolean;
  readonly expiresAt: Date;
  readonly createdAt: Date;
  readonly rotatedAt: Date | undefined;
  /** Until then the secret before the last rotation works as well. */
  readonly graceUntil: Date | undefined;
  readonly revokedAt: Date | undefined;
}

/** A secret as it is stored. */
export interface ApiKeySecret {
  /** SHA-256 of the whole secret, in lower-case hex. */
  readonly digest: string;
  readonly prefix: string;
}

export type ApiKeyDraft = Pick<ApiKeyRecord, 'name' | 'owner' | 'roles' | 'scopes' | 'tools' | 'stepUp' | 'expiresAt'> & ApiKeySecret;

/** The control plane's view. Every method rejects with `NoSuchRecord` for a tenant or key that is not there; a key of another tenant is not there. */
export interface ApiKeyStore {
  create(tenant: TenantSlug, draft: ApiKeyDraft): Promise<ApiKeyRecord>;
  /** Newest first, revoked and expired ones included. */
  list(tenant: TenantSlug): Promise<readonly ApiKeyRecord[]>;
  get(tenant: TenantSlug, id: string): Promise<ApiKeyRecord>;
  /** Puts a new secret in force; the one before works until `graceUntil`, an older one ends now. Rejects with `NoSuchRecord` also for a key that is revoked. */
  rotate(tenant: TenantSlug, id: string, secret: ApiKeySecret, graceUntil: Date): Promise<ApiKeyRecord>;
  /** Ends the key for good, in every data plane within 2 s. Revoking twice changes nothing. */
  revoke(tenant: TenantSlug, id: string): Promise<ApiKeyRecord>;
}

/** A key that one of the asked digests opens now, or would, were its time not over. */
export interface FoundApiKey {
  readonly digest: string;
  readonly key: ApiKeyRecord;
  /** When this very secret ends: the end of the key, or of the grace after a rotation. */
  readonly until: Date;
}

/** The data plane's view, over all tenants: nothing is seen but what a digest is known of. */
export interface ApiKeyDirectory {
  /** Those that exist and are not revoked. Rejects with `Unavailable` when the store cannot be reached. */
  find(digests: readonly string[]): Promise<readonly FoundApiKey[]>;
  /** Calls back with the id of each key that changed, as soon as may be; a lost connection is mended inside. Answers the way to stop. */
  watch(changed: (id: string) => void): Promise<() => Promise<void>>;
}
