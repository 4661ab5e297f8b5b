import { randomUUID } from 'node:crypto';
import type { ApiKeyDirectory, ApiKeyDraft, ApiKeyRecord, ApiKeySecret, ApiKeyStore, FoundApiKey } from '#libs/core/api-key.js';
import { NoSuchRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';

interface Row extends ApiKeyRecord { readonly digest: string; readonly previousDigest: string | undefined }

/** API keys in memory, for tests; it sits the same contract as the database. */
export class FakeApiKeyStore implements ApiKeyStore, ApiKeyDirectory {
  readonly tenants = new Set<TenantSlug>();
  /** Of `find`. */
  asked = 0;
  /** Thrown by `find`, when set. */
  trouble: Error | undefined;
  readonly #rows = new Map<string, Row>();
  readonly #listeners = new Set<(id: string) => void>();
  constructor(private readonly now: () => Date = () => new Date()) {}

  async create(tenant: TenantSlug, { name, prefix, digest, owner, roles, scopes, tools, stepUp, expiresAt }: ApiKeyDraft): Promise<ApiKeyRecord> {
    this.#existing(tenant);
    return this.#put({ name, prefix, digest, owner, roles, scopes, tools, stepUp, expiresAt, tenant, id: randomUUID(), createdAt: this.now(), rotatedAt: undefined, graceUntil: undefined, revokedAt: undefined, previousDigest: undefined });
  }
  async list(tenant: TenantSlug): Promise<readonly ApiKeyRecord[]> {
    this.#existing(tenant);
    return [...this.#rows.values()].filter((row) => row.tenant === tenant).toReversed().map(recordOf);
  }
  async get(tenant: TenantSlug, id: string): Promise<ApiKeyRecord> { return recordOf(this.#row(tenant, id)); }
  async rotate(tenant: TenantSlug, id: string, { digest, prefix }: ApiKeySecret, graceUntil: Date): Promise<ApiKeyRecord> {
    const row = this.#row(tenant, id);
    if (row.revokedAt !== undefined) throw new NoSuchRecord('API key', id);
    return this.#put({ ...row, digest, prefix, previousDigest: row.digest, graceUntil, rotatedAt: this.now() });
  }
  async revoke(tenant: TenantSlug, id: string): Promise<ApiKeyRecord> {
    const row = this.#row(tenant, id);
    return row.revokedAt === undefined ? this.#put({ ...row, revokedAt: this.now() }) : recordOf(row);
  }

  async find(digests: readonly string[]): Promise<readonly FoundApiKey[]> {
    this.asked += 1;
    if (this.trouble) throw this.trouble;
    return [...this.#rows.values()].filter(({ revokedAt }) => revokedAt === undefined).flatMap((row) => {
      const [key, { graceUntil = new Date(0), expiresAt }] = [recordOf(row), row];
      const previous = row.previousDigest === undefined ? [] : [{ digest: row.previousDigest, key, until: graceUntil < expiresAt ? graceUntil : expiresAt }];
      return [{ digest: row.digest, key, until: expiresAt }, ...previous].filter(({ digest }) => digests.includes(digest));
    });
  }
  async watch(changed: (id: string) => void): Promise<() => Promise<void>> {
    this.#listeners.add(changed);
    return async () => { this.#listeners.delete(changed); };
  }
  /** As a tenant's deletion does. */
  drop(tenant: TenantSlug): void {
    this.tenants.delete(tenant);
    for (const [id, row] of this.#rows) if (row.tenant === tenant) this.#rows.delete(id);
  }

  #existing(tenant: TenantSlug): void { if (!this.tenants.has(tenant)) throw new NoSuchRecord('Tenant', tenant); }
  #row(tenant: TenantSlug, id: string): Row {
    this.#existing(tenant);
    const row = this.#rows.get(id);
    if (row?.tenant !== tenant) throw new NoSuchRecord('API key', id);
    return row;
  }
  #put(row: Row): ApiKeyRecord {
    this.#rows.set(row.id, row);
    for (const listener of this.#listeners) listener(row.id);
    return recordOf(row);
  }
}

const recordOf = ({ digest: _digest, previousDigest: _previous, ...key }: Row): ApiKeyRecord => key;
