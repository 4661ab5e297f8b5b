import { Body, Delete, Get, HttpCode, Inject, Param, Patch, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ControlStore } from '#libs/core/control-store.js';
import type { TenantQuotas } from '#libs/core/quota.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { isPlatformAdmin } from '../http/access.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { notFound, Problem } from '../http/problem.js';
import { ProblemAnswer } from '../http/problem-schema.js';
import { principalOf } from '../http/request.js';
import { TenantLock } from '../http/tenant-lock.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { TenantAnswer, tenantAnswer, TenantBody, TenantEdit, TenantList } from './tenant-schemas.js';

@AdminController('tenants', 'tenants')
export class TenantsController {
  readonly #store: ControlStore;

  constructor(@Inject(PARTS) parts: ControllerParts, @Inject(TenantLock) private readonly locks: TenantLock) {
    this.#store = parts.store;
  }

  @Get()
  @Describe('List the tenants that the caller may see', { 200: TenantList })
  async listTenants(@Req() request: FastifyRequest): Promise<{ tenants: TenantAnswer[] }> {
    const principal = principalOf(request);
    if (principal !== undefined && isPlatformAdmin(principal)) return { tenants: (await this.#store.listTenants()).map(tenantAnswer) };
    const own = principal?.tenant === undefined ? undefined : await this.#store.getTenant(principal.tenant);
    return { tenants: own === undefined ? [] : [tenantAnswer(own)] };
  }

  @Post()
  @Describe('Create a tenant', { 201: TenantAnswer, 409: ProblemAnswer })
  async createTenant(@Body({ schema: TenantBody }) body: TenantBody): Promise<TenantAnswer> {
    const slug = body.slug as TenantSlug;
    return tenantAnswer(await this.#store.createTenant({ slug, displayName: body.displayName ?? slug, description: body.description }));
  }

  @Get(':tenant')
  @Describe('Show a tenant', { 200: TenantAnswer })
  async getTenant(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug): Promise<TenantAnswer> {
    const found = await this.#store.getTenant(tenant);
    if (found === undefined) throw notFound('Tenant', tenant);
    return tenantAnswer(found);
  }

  @Patch(':tenant')
  @Describe('Edit a tenant', { 200: TenantAnswer })
  async updateTenant(
    @Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Body({ schema: TenantEdit }) { displayName, description, enabled, quotas }: TenantEdit, @Req() request: FastifyRequest,
  ): Promise<TenantAnswer> {
    const principal = principalOf(request);
    // A tenant that the platform suspended must not be able to lift its own suspension.
    if (enabled !== undefined && (principal === undefined || !isPlatformAdmin(principal))) throw new Problem(403, 'Access denied: only cpi-admin may change `enabled`');
    if (quotas !== undefined && (principal === undefined || !isPlatformAdmin(principal))) throw new Problem(403, 'Access denied: only cpi-admin may change `quotas`');
    return tenantAnswer(await this.#store.updateTenant(tenant, {
      ...(displayName === undefined ? {} : { displayName }), ...(description === undefined ? {} : { description }), ...(enabled === undefined ? {} : { enabled }),
      ...(quotas === undefined ? {} : { quotas: quotas && given(quotas) }),
    }));
  }

  @Delete(':tenant')
  @HttpCode(204)
  @Describe('Delete a tenant with everything that it owns', { 204: undefined })
  async deleteTenant(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug): Promise<void> {
    await this.locks.run(tenant, () => this.#store.deleteTenant(tenant));
  }
}

/** Without what was left out. */
const given = (quotas: NonNullable<TenantEdit['quotas']>): TenantQuotas => Object.fromEntries(Object.entries(quotas).filter(([, value]) => value !== undefined));
