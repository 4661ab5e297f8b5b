import { NoSuchRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { Database, Transaction } from './database.js';

/** Notifications of publications; the payload is `{tenant}:{revision}`, or `{tenant}:{revision}:gone` for a tenant that was deleted. */
export const CATALOGUE_CHANNEL = 'stoa_catalogue';

/**
 * One publication: the work, the tenant's next revision and the notification in one transaction, which Postgres delivers at
 * its commit. Publications of one tenant wait for one another. Rejects with `NoSuchRecord` when there is no such tenant.
 */
export function publication<T>(database: Database, tenant: TenantSlug, work: (transaction: Transaction) => Promise<T>): Promise<{ readonly value: T; readonly revision: number }> {
  return database.tenant(tenant, async (transaction) => {
    const locked = await transaction.$queryRaw<unknown[]>`SELECT 1 AS found FROM tenants WHERE slug = ${tenant} FOR UPDATE`;
    if (locked.length === 0) throw new NoSuchRecord('Tenant', tenant);
    const value = await work(transaction);
    const [published] = await transaction.$queryRaw<{ revision: bigint }[]>`
      WITH next AS (
        UPDATE tenants SET revision = nextval('catalogue_revision'), updated_at = clock_timestamp() WHERE slug = ${tenant} RETURNING revision
      ) SELECT revision, pg_notify(${CATALOGUE_CHANNEL}, ${tenant} || ':' || revision)::text AS notified FROM next`;
    if (!published) throw new NoSuchRecord('Tenant', tenant);
    return { value, revision: Number(published.revision) };
  });
}

/** Reads of one tenant, all of the same moment. Rejects with `NoSuchRecord` when there is no such tenant. */
export function reading<T>(database: Database, tenant: TenantSlug, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  return database.tenant(tenant, existing(tenant, work), { consistent: true });
}

/** A change that data planes need not hear of. Rejects with `NoSuchRecord` when there is no such tenant. */
export function unpublished<T>(database: Database, tenant: TenantSlug, work: (transaction: Transaction) => Promise<T>): Promise<T> {
  return database.tenant(tenant, existing(tenant, work));
}

const existing = <T>(tenant: TenantSlug, work: (transaction: Transaction) => Promise<T>) => async (transaction: Transaction): Promise<T> => {
  if (await transaction.tenant.findUnique({ where: { slug: tenant }, select: { slug: true } }) === null) throw new NoSuchRecord('Tenant', tenant);
  return work(transaction);
};

/** What a Postgres text can hold: no U+0000, no lone surrogates. For people's words only, never for identities. */
export const clean = (text: string): string => text.replaceAll('\0', '\uFFFD').toWellFormed();
