import { Body, Get, Inject, Param, Patch, Query } from '@nestjs/common';
import type { ControlStore, ToolRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { McpNameField, TenantSlugField } from '../http/fields.js';
import { notFound } from '../http/problem.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { ToolDetail, toolDetail, ToolEditBody, ToolList, ToolQuery, toolSummary } from './tool-schemas.js';

@AdminController('tenants/:tenant/tools', 'tools')
export class ToolsController {
  readonly #store: ControlStore;

  constructor(@Inject(PARTS) parts: ControllerParts) {
    this.#store = parts.store;
  }

  @Get()
  @Describe('List the tools, by name', { 200: ToolList })
  async listTools(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Query({ schema: ToolQuery }) query: ToolQuery): Promise<ToolList> {
    const found = (await this.#store.listTools(tenant)).filter((tool) => matches(tool, query)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { cursor, limit } = query;
    const rest = cursor === undefined ? found : found.filter(({ name }) => name > cursor);
    const page = rest.slice(0, limit);
    return { tools: page.map(toolSummary), nextCursor: rest.length > limit ? page.at(-1)?.name ?? null : null, totalCount: found.length };
  }

  @Get(':tool')
  @Describe('Show a tool with its schemas', { 200: ToolDetail })
  async getTool(@Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Param('tool', { schema: McpNameField }) name: string): Promise<ToolDetail> {
    const tool = await this.#store.getTool(tenant, name);
    if (tool === undefined) throw notFound('Tool', name);
    return toolDetail(tool, await this.#store.getDefinitions(tenant, tool.apiName));
  }

  @Patch(':tool')
  @Describe('Enable, disable or edit a tool', { 200: ToolDetail })
  async editTool(
    @Param('tenant', { schema: TenantSlugField }) tenant: TenantSlug, @Param('tool', { schema: McpNameField }) name: string, @Body({ schema: ToolEditBody }) edit: ToolEditBody,
  ): Promise<ToolDetail> {
    const given = Object.fromEntries(Object.entries(edit).filter(([, value]) => value !== undefined));
    const { tool } = await this.#store.editTool(tenant, name, given);
    return toolDetail(tool, await this.#store.getDefinitions(tenant, tool.apiName));
  }
}

function matches(tool: ToolRecord, { api, tag, search }: ToolQuery): boolean {
  if (api !== undefined && tool.apiName !== api) return false;
  if (tag !== undefined && !tool.tags.includes(tag)) return false;
  const wanted = search?.toLowerCase();
  return wanted === undefined || tool.name.toLowerCase().includes(wanted) || tool.description.toLowerCase().includes(wanted);
}
