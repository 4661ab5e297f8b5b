import { Body, Delete, Get, HttpCode, Inject, Optional, Param, Post, Put, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { newApiKeySecret } from '#libs/api-keys/api-key-secret.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { PRICE_OFFICE } from '#libs/core/tokens.js';
import type { PlanRecord, PriceOffice, SubscriptionRecord } from '#libs/core/usage-ledger.js';
import { isPlatformAdmin } from '../http/access.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import { principalOf } from '../http/request.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { BudgetBody, BudgetList, NewSubscription, PlanAnswer, PlanBody, PlanList, SubscriptionAnswer, SubscriptionBody, SubscriptionList } from './plan-schemas.js';

const TENANT = { schema: TenantSlugField };
const ID = { schema: z.uuid() };
const AccountQuery = z.strictObject({ account: z.uuid().optional().meta({ description: 'A subscription; without it the tenant as a whole.' }) });

/** Plans, who subscribed to them, and how much may be spent. */
@AdminController('tenants/:tenant', 'billing')
export class PlansController {
  constructor(@Inject(PARTS) private readonly parts: Pick<ControllerParts, 'apiKeys' | 'now'>, @Optional() @Inject(PRICE_OFFICE) private readonly given?: PriceOffice) {}

  @Get('plans')
  @Describe('List the plans', { 200: PlanList })
  async listPlans(@Param('tenant', TENANT) tenant: TenantSlug): Promise<object> {
    return { plans: (await this.#office.listPlans(tenant)).map(plan) };
  }
  @Post('plans')
  @Describe('Make or change a plan; its subscriptions follow', { 201: PlanAnswer })
  async putPlan(@Param('tenant', TENANT) tenant: TenantSlug, @Body({ schema: PlanBody }) { name, title = name, fee, quota, cap, priceBook }: PlanBody, @Req() request: FastifyRequest): Promise<object> {
    const principal = principalOf(request);
    // What the tenant itself pays goes by the book.
    if (priceBook !== undefined && (principal === undefined || !isPlatformAdmin(principal))) throw new Problem(403, 'Access denied: only cpi-admin may choose `priceBook`');
    return plan(await this.#office.putPlan(tenant, { name, title, fee, quota, cap, book: priceBook }));
  }

  @Get('subscriptions')
  @Describe('List the subscriptions, ended ones included', { 200: SubscriptionList })
  async listSubscriptions(@Param('tenant', TENANT) tenant: TenantSlug): Promise<object> {
    return { subscriptions: (await this.#office.listSubscriptions(tenant)).map(subscription) };
  }
  @Post('subscriptions')
  @Describe('Subscribe to a plan: an API key whose calls are counted on it, shown this once', { 201: NewSubscription })
  async subscribe(@Param('tenant', TENANT) tenant: TenantSlug, @Body({ schema: SubscriptionBody }) { plan: name, subscriber, tools, ttlSeconds }: SubscriptionBody, @Req() request: FastifyRequest): Promise<object> {
    const [office, keys, principal] = [this.#office, this.#keys, principalOf(request)];
    if (principal === undefined) throw new Problem(401, 'Not authenticated');
    if (!(await office.listPlans(tenant)).some((one) => one.name === name)) throw new Problem(404, `Plan not found: ${name}`);
    const { secret, digest, prefix } = newApiKeySecret();
    const key = await keys.create(tenant, {
      name: `subscription to ${name}: ${subscriber}`.slice(0, 200), roles: ['stoa.agent'], scopes: [], tools, stepUp: false, digest, prefix,
      owner: { issuer: principal.issuer, subject: principal.subject }, expiresAt: new Date(this.parts.now().getTime() + ttlSeconds * 1000),
    });
    try {
      return { subscription: subscription(await office.subscribe(tenant, { plan: name, subscriber, keyId: key.id })), secret };
    } catch (failure) {
      // A key without its subscription would call on the tenant's own account.
      await keys.revoke(tenant, key.id);
      throw failure;
    }
  }
  @Delete('subscriptions/:subscription')
  @HttpCode(200)
  @Describe('Cancel a subscription: its key ends', { 200: SubscriptionAnswer })
  async cancelSubscription(@Param('tenant', TENANT) tenant: TenantSlug, @Param('subscription', ID) id: string): Promise<object> {
    const ended = await this.#office.unsubscribe(tenant, id);
    await this.#keys.revoke(tenant, ended.keyId);
    return subscription(ended);
  }

  @Get('budgets')
  @Describe('What may be spent this month, what was, and the alerts raised', { 200: BudgetList })
  async listBudgets(@Param('tenant', TENANT) tenant: TenantSlug): Promise<object> {
    return { budgets: (await this.#office.listBudgets(tenant)).map((budget) => ({ ...budget, cap: budget.cap ?? null, quota: budget.quota ?? null })) };
  }
  @Put('budgets')
  @HttpCode(204)
  @Describe('Set the budget of the tenant or of a subscription', { 204: undefined })
  async setBudget(@Param('tenant', TENANT) tenant: TenantSlug, @Query({ schema: AccountQuery }) { account = '' }: { account?: string }, @Body({ schema: BudgetBody }) { cap, quota }: BudgetBody): Promise<void> {
    await this.#office.setBudget(tenant, account, { cap, quota });
  }

  get #office(): PriceOffice {
    if (!this.given) throw new Problem(404, 'Billing is not enabled here');
    return this.given;
  }
  get #keys(): NonNullable<ControllerParts['apiKeys']> {
    if (!this.parts.apiKeys) throw new Problem(409, 'Subscriptions need API keys, which are switched off here');
    return this.parts.apiKeys;
  }
}

const plan = ({ name, title, fee, quota, cap, book }: PlanRecord): object => ({ name, title, fee, quota: quota ?? null, cap: cap ?? null, priceBook: book ?? null });
const subscription = (one: SubscriptionRecord): object => ({ ...one, endedAt: one.endedAt ?? null });
