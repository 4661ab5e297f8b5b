import { Body, Delete, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { newApiKeySecret } from '#libs/api-keys/api-key-secret.js';
import type { ApiKeyRecord, ApiKeyStore } from '#libs/core/api-key.js';
import type { Principal } from '#libs/core/principal.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { invalid, notFound, Problem } from '../http/problem.js';
import { principalOf } from '../http/request.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { beyond, cannotManage } from './key-rights.js';
import { KeyAnswer, keyAnswer, KeyBody, KeyIdField, KeyList, RevealedKey, RotationBody } from './key-schemas.js';

const TENANT = { schema: TenantSlugField };
const KEY = { schema: KeyIdField };

/** API keys. A secret is shown when it is made and never again; what is stored is its digest. */
@AdminController('tenants/:tenant/keys', 'keys')
export class KeysController {
  constructor(@Inject(PARTS) private readonly parts: ControllerParts) {}

  @Get()
  @Describe('List the API keys, revoked and expired ones included', { 200: KeyList })
  async listKeys(@Param('tenant', TENANT) tenant: TenantSlug): Promise<KeyList> {
    return { keys: (await this.#keys.list(tenant)).map((key) => this.#shown(key)) };
  }

  @Post()
  @Describe('Make an API key and show its secret, this once', { 201: RevealedKey })
  async createKey(@Param('tenant', TENANT) tenant: TenantSlug, @Body({ schema: KeyBody }) body: KeyBody, @Req() request: FastifyRequest): Promise<RevealedKey> {
    const principal = this.#manager(request);
    const { name, scopes, tools, ttlSeconds, stepUp } = body;
    const roles = body.roles ?? (scopes.length > 0 ? [] : ['stoa.agent']);
    if (roles.length === 0 && scopes.length === 0) throw invalid(['body', 'roles'], 'name a role or a scope: a key without either could do nothing');
    const excess = beyond(principal, { roles, scopes });
    if (excess) throw invalid(['body', excess.field, excess.index], excess.reason);
    if (tools !== undefined) await this.#allThere(tenant, tools);
    const { secret, digest, prefix } = newApiKeySecret();
    const key = await this.#keys.create(tenant, {
      name, roles, scopes, tools, stepUp, digest, prefix,
      owner: { issuer: principal.issuer, subject: principal.subject }, expiresAt: new Date(this.parts.now().getTime() + ttlSeconds * 1000),
    });
    return { key: this.#shown(key), secret };
  }

  @Get(':key')
  @Describe('Show an API key, without its secret', { 200: KeyAnswer })
  async getKey(@Param('tenant', TENANT) tenant: TenantSlug, @Param('key', KEY) id: string): Promise<KeyAnswer> {
    return this.#shown(await this.#keys.get(tenant, id));
  }

  @Post(':key/rotate')
  @HttpCode(200)
  @Describe('Put a new secret in force and show it, this once; the one before works until the end of the grace', { 200: RevealedKey })
  async rotateKey(
    @Param('tenant', TENANT) tenant: TenantSlug, @Param('key', KEY) id: string, @Body({ schema: RotationBody }) { graceSeconds }: RotationBody,
    @Req() request: FastifyRequest,
  ): Promise<RevealedKey> {
    const principal = this.#manager(request);
    const before = await this.#keys.get(tenant, id);
    if (before.revokedAt !== undefined || before.expiresAt <= this.parts.now()) throw new Problem(409, 'This key has ended: make another');
    if (before.stepUp) this.#steppedUp(principal);
    // Whoever learns the secret gets what the key may do.
    const excess = beyond(principal, before);
    if (excess) throw new Problem(403, `Access denied: ${excess.reason}`);
    const { secret, digest, prefix } = newApiKeySecret();
    const key = await this.#keys.rotate(tenant, id, { digest, prefix }, new Date(this.parts.now().getTime() + graceSeconds * 1000));
    return { key: this.#shown(key), secret };
  }

  @Delete(':key')
  @HttpCode(204)
  @Describe('Revoke an API key for good, in every gateway within two seconds', { 204: undefined })
  async revokeKey(@Param('tenant', TENANT) tenant: TenantSlug, @Param('key', KEY) id: string, @Req() request: FastifyRequest): Promise<void> {
    this.#manager(request);
    await this.#keys.revoke(tenant, id);
  }

  get #keys(): ApiKeyStore {
    if (this.parts.apiKeys === undefined) throw new Problem(404, 'API keys are switched off here');
    return this.parts.apiKeys;
  }

  #shown(key: ApiKeyRecord): KeyAnswer { return keyAnswer(key, this.parts.now()); }

  #manager(request: FastifyRequest): Principal {
    const principal = principalOf(request);
    if (principal === undefined) throw new Problem(401, 'Not authenticated');
    const no = cannotManage(principal);
    if (no !== undefined) throw new Problem(403, no);
    return principal;
  }

  /** RFC 9470 names the class that is wanted; the header of its own is what STOA's console reads. */
  #steppedUp({ acr }: Principal): void {
    const { stepUpAcr = DEFAULT_STEP_UP } = this.parts;
    if (acr !== undefined && stepUpAcr.includes(acr)) return;
    throw new Problem(403, 'Access denied: sign in with a second factor', undefined, {
      'x-step-up-auth': 'totp', 'www-authenticate': `Bearer error="insufficient_user_authentication", acr_values="${stepUpAcr.join(' ')}"`,
    });
  }

  /** A key for a tool that is not there is most likely a slip. Tools of the platform are no tenant's. */
  async #allThere(tenant: TenantSlug, tools: readonly string[]): Promise<void> {
    const known = await Promise.all(tools.map(async (tool) => tool.startsWith('stoa_') || await this.parts.store.getTool(tenant, tool) !== undefined));
    const missing = known.indexOf(false);
    if (missing !== -1) {
      if (await this.parts.store.getTenant(tenant) === undefined) throw notFound('Tenant', tenant);
      throw invalid(['body', 'tools', missing], `the tenant has no tool ${tools[missing] ?? ''}`);
    }
  }
}
const DEFAULT_STEP_UP: readonly string[] = ['totp', 'mfa'];
