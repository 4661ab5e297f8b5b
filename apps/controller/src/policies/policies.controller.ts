import { Body, Delete, Get, HttpCode, Inject, Param, Post, Put, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { principalOf } from '../http/request.js';
import { PolicyDesk } from './policy-desk.js';
import { AppliedAnswer, CheckAnswer, CheckBody, DigestField, listed, PolicyDetail, PolicyFilesBody, PolicyList, Remarks, WithdrawnAnswer } from './policy-schemas.js';

type Applied = z.infer<typeof AppliedAnswer>;

/** A tenant's policy, which narrows what the operator's allows. */
@AdminController('tenants/:tenant/policies', 'policies')
export class PoliciesController {
  constructor(@Inject(PolicyDesk) private readonly desk: PolicyDesk) {}

  @Get()
  @Describe('List what the tenant has and had in force, newest first', { 200: PolicyList })
  async listPolicies(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug): Promise<z.infer<typeof PolicyList>> { return list(this.desk, tenant); }

  @Get(':digest')
  @Describe('Show a policy with its files', { 200: PolicyDetail })
  async getPolicy(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Param('digest', { schema: DigestField }) digest: string): Promise<z.infer<typeof PolicyDetail>> { return detail(this.desk, tenant, digest); }

  @Put()
  @Describe('Check a policy and put it in force everywhere; a bad one changes nothing', { 200: AppliedAnswer })
  async applyPolicy(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Body({ schema: PolicyFilesBody }) body: PolicyFilesBody, @Req() request: FastifyRequest): Promise<Applied> { return apply(this.desk, tenant, body, request); }

  @Delete()
  @Describe('Take the tenant\'s policy out of force', { 200: WithdrawnAnswer })
  async withdrawPolicy(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug): Promise<z.infer<typeof WithdrawnAnswer>> { return this.desk.office.withdraw({ tenant }); }

  @Post('check')
  @HttpCode(200)
  @Describe('What would be decided about a call, and how; nothing is called', { 200: CheckAnswer })
  async checkPolicy(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Body({ schema: CheckBody }) body: CheckBody): Promise<CheckAnswer> { return this.desk.check(tenant, body); }

  @Post('lint')
  @HttpCode(200)
  @Describe('What is odd about a policy that is not yet in force', { 200: Remarks })
  async lintPolicy(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Body({ schema: PolicyFilesBody }) { files }: PolicyFilesBody): Promise<z.infer<typeof Remarks>> { return { remarks: [...await this.desk.office.validate(await this.desk.scope(tenant), files)] }; }
}

/** The operator's policy, which holds for everybody. */
@AdminController('policies', 'policies')
export class OperatorPoliciesController {
  constructor(@Inject(PolicyDesk) private readonly desk: PolicyDesk) {}

  @Get()
  @Describe('List what the operator has and had in force, newest first', { 200: PolicyList })
  async listOperatorPolicies(): Promise<z.infer<typeof PolicyList>> { return list(this.desk, undefined); }

  @Get(':digest')
  @Describe('Show a policy of the operator with its files', { 200: PolicyDetail })
  async getOperatorPolicy(@Param('digest', { schema: DigestField }) digest: string): Promise<z.infer<typeof PolicyDetail>> { return detail(this.desk, undefined, digest); }

  @Put()
  @Describe('Check the operator\'s policy and put it in force everywhere; a bad one changes nothing', { 200: AppliedAnswer })
  async applyOperatorPolicy(@Body({ schema: PolicyFilesBody }) body: PolicyFilesBody, @Req() request: FastifyRequest): Promise<Applied> { return apply(this.desk, undefined, body, request); }

  @Delete()
  @Describe('Take the operator\'s policy out of force', { 200: WithdrawnAnswer })
  async withdrawOperatorPolicy(): Promise<z.infer<typeof WithdrawnAnswer>> { return this.desk.office.withdraw({ tenant: undefined }); }

  @Post('lint')
  @HttpCode(200)
  @Describe('What is odd about a policy of the operator that is not yet in force', { 200: Remarks })
  async lintOperatorPolicy(@Body({ schema: PolicyFilesBody }) { files }: PolicyFilesBody): Promise<z.infer<typeof Remarks>> { return { remarks: [...await this.desk.office.validate({ tenant: undefined }, files)] }; }
}

async function list({ office }: PolicyDesk, tenant: TenantSlug | undefined): Promise<z.infer<typeof PolicyList>> {
  return { inForce: office.revision() ?? null, policies: (await office.history({ tenant })).map(listed) };
}

async function detail({ office }: PolicyDesk, tenant: TenantSlug | undefined, digest: string): Promise<z.infer<typeof PolicyDetail>> {
  const found = (await office.history({ tenant })).find((one) => one.digest === digest);
  if (!found) throw notFound('Policy', digest);
  return { ...listed(found), files: { ...found.files } };
}

async function apply(desk: PolicyDesk, tenant: TenantSlug | undefined, { files, dryRun }: PolicyFilesBody, request: FastifyRequest): Promise<Applied> {
  const scope = await desk.scope(tenant);
  if (dryRun) return { digest: '', revision: 0, inForce: desk.office.revision() ?? '', remarks: [...await desk.office.validate(scope, files)] };
  const { remarks, ...applied } = await desk.office.apply(scope, files, principalOf(request)?.subject ?? '');
  return { ...applied, remarks: [...remarks] };
}
