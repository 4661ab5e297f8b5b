import { AlreadyExists, NoSuchRecord } from '#libs/core/control-store.js';
import type { ControlStore, TenantRecord } from '#libs/core/control-store.js';
import type { TenantQuotas } from '#libs/core/quota.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { Database } from './database.js';
import { isUniqueViolation } from './database-errors.js';
import { Prisma, type Tenant } from './generated/client.js';
import { CATALOGUE_CHANNEL, clean, publication } from './publication.js';

export const tenantRecord = (row: Tenant): TenantRecord => ({
  slug: row.slug as TenantSlug, displayName: row.displayName, description: row.description, enabled: row.enabled,
  ...(row.quotas === null ? {} : { quotas: row.quotas as TenantQuotas }),
  revision: Number(row.revision), createdAt: row.createdAt, updatedAt: row.updatedAt,
});

type TenantStore = Pick<ControlStore, 'listTenants' | 'getTenant' | 'createTenant' | 'updateTenant' | 'deleteTenant'>;

export const tenantStore = (database: Database): TenantStore => ({
  listTenants: async () => (await database.control((transaction) => transaction.tenant.findMany({ orderBy: { slug: 'asc' } }))).map(tenantRecord),

  getTenant: async (slug) => {
    const row = await database.tenant(slug, (transaction) => transaction.tenant.findUnique({ where: { slug } }));
    return row === null ? undefined : tenantRecord(row);
  },

  createTenant: async ({ slug, displayName, description }) => {
    try {
      return tenantRecord(await database.control(async (transaction) => {
        const row = await transaction.tenant.create({ data: { slug, displayName: clean(displayName), description: clean(description) } });
        await transaction.$queryRaw`SELECT pg_notify(${CATALOGUE_CHANNEL}, ${`${slug}:${row.revision}`})::text AS notified`;
        return row;
      }));
    } catch (failure) {
      throw isUniqueViolation(failure) ? new AlreadyExists('Tenant', slug) : failure;
    }
  },

  updateTenant: async (slug, { displayName, description, enabled, quotas }) => {
    const { value, revision } = await publication(database, slug, (transaction) => transaction.tenant.update({
      where: { slug },
      data: {
        ...(displayName === undefined ? {} : { displayName: clean(displayName) }),
        ...(description === undefined ? {} : { description: clean(description) }),
        ...(enabled === undefined ? {} : { enabled }),
        ...(quotas === undefined ? {} : { quotas: quotas === null ? Prisma.DbNull : { ...quotas } }),
        updatedAt: new Date(),
      },
    }));
    return { ...tenantRecord(value), revision };
  },

  deleteTenant: (slug) => database.control(async (transaction) => {
    const { count } = await transaction.tenant.deleteMany({ where: { slug } });
    if (count === 0) throw new NoSuchRecord('Tenant', slug);
    await transaction.$queryRaw`SELECT pg_notify(${CATALOGUE_CHANNEL}, ${slug} || ':' || nextval('catalogue_revision') || ':gone')::text AS notified`;
  }),
});
