import { z } from 'zod';
import type { TenantRecord } from '#libs/core/control-store.js';
import { TenantSlugField, text } from '../http/fields.js';

export const TenantBody = z.strictObject({
  slug: TenantSlugField.meta({ description: 'The tenant\'s identity in tokens, keys and addresses; never changes.' }),
  displayName: text(200).min(1).optional().meta({ description: 'Default: the slug.' }),
  description: text(4000).default(''),
}).meta({ id: 'TenantBody' });
export type TenantBody = z.infer<typeof TenantBody>;

const count = z.int().min(1).max(1_000_000_000);
const Quotas = z.strictObject({
  perSecond: count.optional().meta({ description: 'Calls of the whole tenant in a second.' }),
  perMinute: count.optional(),
  perDay: count.optional().meta({ description: 'In a day of UTC; more are answered QUOTA_EXCEEDED.' }),
  concurrent: count.optional().meta({ description: 'Calls at the same time, on one gateway.' }),
  streams: count.optional().meta({ description: 'Open event streams, on one gateway.' }),
}).meta({ id: 'TenantQuotas' });

export const TenantEdit = z.strictObject({
  displayName: text(200).min(1).optional(),
  description: text(4000).optional(),
  enabled: z.boolean().optional().meta({ description: 'False: nothing of the tenant can be called. Only `cpi-admin` may change it.' }),
  quotas: Quotas.nullable().optional().meta({ description: 'Replaces them whole; null returns to the gateway\'s configuration. Only `cpi-admin` may change them.' }),
}).meta({ id: 'TenantEdit' });
export type TenantEdit = z.infer<typeof TenantEdit>;

export const TenantAnswer = z.object({
  slug: z.string(),
  displayName: z.string(),
  description: z.string(),
  enabled: z.boolean(),
  quotas: Quotas.nullable().meta({ description: 'Null: as the gateway is configured.' }),
  revision: z.int().meta({ description: 'Of the tenant\'s catalogue; rises with each publication.' }),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
}).meta({ id: 'Tenant' });
export type TenantAnswer = z.infer<typeof TenantAnswer>;

export const TenantList = z.object({ tenants: z.array(TenantAnswer) }).meta({ id: 'TenantList' });

export function tenantAnswer({ slug, displayName, description, enabled, quotas, revision, createdAt, updatedAt }: TenantRecord): TenantAnswer {
  return { slug, displayName, description, enabled, quotas: quotas ?? null, revision, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}
