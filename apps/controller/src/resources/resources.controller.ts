import { Body, Delete, Get, HttpCode, Inject, Param, Post, Put, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { ControlStore, ResourceRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { ResourceIdField, TenantSlugField } from '../http/fields.js';
import { invalid, notFound, Problem } from '../http/problem.js';
import { ProblemAnswer } from '../http/problem-schema.js';
import { TenantLock } from '../http/tenant-lock.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { ResourceAnswer, resourceAnswer, ResourceBody, ResourceList, resourceRecord, resourceSummary } from './resource-schemas.js';
import { isPlatformUri, resourceId } from './resource-uri.js';

const TENANT = { schema: TenantSlugField };
const RESOURCE = { schema: ResourceIdField };

@AdminController('tenants/:tenant/resources', 'resources')
export class ResourcesController {
  readonly #store: ControlStore;

  constructor(@Inject(PARTS) parts: ControllerParts, @Inject(TenantLock) private readonly locks: TenantLock) {
    this.#store = parts.store;
  }

  @Get()
  @Describe('List the resources, without their contents', { 200: ResourceList })
  async listResources(@Param('tenant', TENANT) tenant: TenantSlug): Promise<ResourceList> {
    return { resources: (await this.#store.listResources(tenant)).map(resourceSummary) };
  }

  @Post()
  @Describe('Create a resource', { 201: ResourceAnswer, 409: ProblemAnswer })
  async createResource(@Param('tenant', TENANT) tenant: TenantSlug, @Body({ schema: ResourceBody }) body: ResourceBody): Promise<ResourceAnswer> {
    const resource = resourceRecord(body);
    await this.locks.run(tenant, async () => {
      if ((await this.#store.listResources(tenant)).some(({ uri }) => uri === resource.uri)) throw new Problem(409, `resource ${resource.uri} already exists`);
      await this.#store.putResource(tenant, resource);
    });
    return resourceAnswer(resource);
  }

  @Get(':resource')
  @Describe('Show a resource', { 200: ResourceAnswer })
  async getResource(@Param('tenant', TENANT) tenant: TenantSlug, @Param('resource', RESOURCE) id: string): Promise<ResourceAnswer> {
    return resourceAnswer(await this.#known(tenant, id));
  }

  @Put(':resource')
  @Describe('Create a resource, or replace it whole', { 200: ResourceAnswer, 201: ResourceAnswer, 409: ProblemAnswer })
  async putResource(
    @Param('tenant', TENANT) tenant: TenantSlug, @Param('resource', RESOURCE) id: string, @Body({ schema: ResourceBody }) body: ResourceBody, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ResourceAnswer> {
    if (resourceId(body.uri) !== id) throw invalid(['body', 'uri'], `is not the URI of ${id}: a resource's URI does not change; delete it and create another`);
    const resource = resourceRecord(body);
    const { created } = await this.locks.run(tenant, () => this.#store.putResource(tenant, resource));
    void reply.status(created ? 201 : 200);
    return resourceAnswer(resource);
  }

  @Delete(':resource')
  @HttpCode(204)
  @Describe('Delete a resource', { 204: undefined, 409: ProblemAnswer })
  async deleteResource(@Param('tenant', TENANT) tenant: TenantSlug, @Param('resource', RESOURCE) id: string): Promise<void> {
    await this.locks.run(tenant, async () => {
      const { uri } = await this.#known(tenant, id);
      if (isPlatformUri(uri)) throw new Problem(409, `${uri} comes with its API: delete the API`);
      await this.#store.deleteResource(tenant, uri);
    });
  }

  async #known(tenant: TenantSlug, id: string): Promise<ResourceRecord> {
    const resource = (await this.#store.listResources(tenant)).find(({ uri }) => resourceId(uri) === id);
    if (resource === undefined) throw notFound('Resource', id);
    return resource;
  }
}
