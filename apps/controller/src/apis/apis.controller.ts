import { Body, Delete, Get, HttpCode, Inject, Param, Post, Put, Query, Req, Res, StreamableFile } from '@nestjs/common';
import { ApiOkResponse, ApiProduces } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiRecord, ControlStore } from '#libs/core/control-store.js';
import { STANDING_SLOTS } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { ApiNameField, SlotField, TenantSlugField } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { ProblemAnswer } from '../http/problem-schema.js';
import { mediaTypeOf } from '../http/request.js';
import { TenantLock } from '../http/tenant-lock.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { ApiAnswer, apiAnswer, ApiList, CredentialBody, ImportAnswer, LedgerAnswer, RevisionAnswer, UploadQuery } from './api-schemas.js';
import { importAnswer, ledgerAnswer } from './import-answer.js';
import { DOCUMENT_TYPES, readImport } from './import-request.js';
import { Importer } from './importer.js';

const TENANT = { schema: TenantSlugField };
const API = { schema: ApiNameField };

@AdminController('tenants/:tenant/apis', 'apis')
export class ApisController {
  readonly #store: ControlStore;

  constructor(
    @Inject(PARTS) parts: ControllerParts, @Inject(Importer) private readonly importer: Importer, @Inject(TenantLock) private readonly locks: TenantLock,
  ) {
    this.#store = parts.store;
  }

  @Get()
  @Describe('List the imported APIs', { 200: ApiList })
  async listApis(@Param('tenant', TENANT) tenant: TenantSlug): Promise<{ apis: ApiAnswer[] }> {
    return { apis: (await this.#store.listApis(tenant)).map(apiAnswer) };
  }

  @Post()
  @Describe('Import an API document, or import it again', { 200: ImportAnswer, 201: ImportAnswer, 413: ProblemAnswer, 415: ProblemAnswer, 502: ProblemAnswer, 503: ProblemAnswer })
  async importApi(
    @Param('tenant', TENANT) tenant: TenantSlug, @Query({ schema: UploadQuery }) options: UploadQuery,
    @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ImportAnswer> {
    const outcome = await this.importer.import(tenant, await readImport(mediaTypeOf(request), request.body, options));
    void reply.status(outcome.created ? 201 : 200);
    return importAnswer(outcome);
  }

  @Get(':api')
  @Describe('Show an imported API', { 200: ApiAnswer })
  async getApi(@Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string): Promise<ApiAnswer> {
    return apiAnswer(await this.#known(tenant, name));
  }

  @Delete(':api')
  @HttpCode(204)
  @Describe('Delete an API with its tools', { 204: undefined })
  async deleteApi(@Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string): Promise<void> {
    await this.locks.run(tenant, () => this.#store.deleteApi(tenant, name));
  }

  @Post(':api/refresh')
  @HttpCode(200)
  @Describe('Fetch the document again from its URL; publish it when it changed', { 200: ImportAnswer, 409: ProblemAnswer, 502: ProblemAnswer, 503: ProblemAnswer })
  async refreshApi(@Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string): Promise<ImportAnswer> {
    return importAnswer(await this.importer.refresh(tenant, name));
  }

  @Get(':api/document')
  @Describe('The document as it was imported, byte for byte', {})
  @ApiProduces(...DOCUMENT_TYPES)
  @ApiOkResponse({ schema: { type: 'string' }, description: 'The document.' })
  async getDocument(
    @Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StreamableFile> {
    const document = await this.#store.getDocument(tenant, name);
    if (document === undefined) throw notFound('API', name);
    // A tenant's own bytes must never run as a page of this origin.
    void reply.header('x-content-type-options', 'nosniff').header('content-security-policy', 'sandbox');
    return new StreamableFile(document.bytes, { type: document.mediaType, disposition: 'attachment' });
  }

  @Get(':api/ledger')
  @Describe('The verdict on every operation of the document', { 200: LedgerAnswer })
  async getLedger(@Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string): Promise<LedgerAnswer> {
    await this.#known(tenant, name);
    return ledgerAnswer(await this.#store.getLedger(tenant, name));
  }

  @Put(':api/credentials/:slot')
  @Describe('Say where the gateway finds a credential that the document asks for, or one that every API may have: `gateway`, `client-certificate`', { 200: RevisionAnswer })
  async setCredential(
    @Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string, @Param('slot', { schema: SlotField }) slot: string, @Body({ schema: CredentialBody }) body: CredentialBody,
  ): Promise<{ revision: number }> {
    await this.#slot(tenant, name, slot);
    const { revision } = await this.#store.setCredential(tenant, name, slot, body);
    return { revision };
  }

  @Delete(':api/credentials/:slot')
  @HttpCode(204)
  @Describe('Forget where a credential is found', { 204: undefined })
  async deleteCredential(@Param('tenant', TENANT) tenant: TenantSlug, @Param('api', API) name: string, @Param('slot', { schema: SlotField }) slot: string): Promise<void> {
    const { credentials } = await this.#slot(tenant, name, slot);
    if (!Object.hasOwn(credentials, slot)) throw notFound('Credential', slot);
    await this.#store.setCredential(tenant, name, slot, undefined);
  }

  async #known(tenant: TenantSlug, name: string): Promise<ApiRecord> {
    const api = await this.#store.getApi(tenant, name);
    if (api === undefined) throw notFound('API', name);
    return api;
  }

  async #slot(tenant: TenantSlug, name: string, slot: string): Promise<ApiRecord> {
    const api = await this.#known(tenant, name);
    const slots = [...new Set([...Object.keys(api.slots), ...Object.keys(STANDING_SLOTS)])];
    if (!slots.includes(slot)) throw notFound('Credential slot', `${slot}; ${name} has ${slots.join(', ')}`);
    return api;
  }
}
