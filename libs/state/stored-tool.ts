import { createHash } from 'node:crypto';
import type { ApiRecord, ToolEdit, ToolRecord } from '#libs/core/control-store.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import type { ToolRate } from '#libs/core/quota.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';

/** When neither the operator nor the API's defaults say anything. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** What operators changed of a tool; null: as the document says. */
export interface ToolEdits {
  readonly enabled: boolean;
  readonly description: string | null;
  readonly tags: readonly string[] | null;
  readonly timeoutMs: number | null;
  readonly rateLimit: ToolRate | null;
}
export const UNEDITED: ToolEdits = { enabled: true, description: null, tags: null, timeoutMs: null, rateLimit: null };

/** A field that the edit does not name stays as it is. */
export const withEdit = (edits: ToolEdits, edit: ToolEdit): ToolEdits => ({
  enabled: edit.enabled ?? edits.enabled,
  description: edit.description === undefined ? edits.description : edit.description,
  tags: edit.tags === undefined ? edits.tags : edit.tags,
  timeoutMs: edit.timeoutMs === undefined ? edits.timeoutMs : edit.timeoutMs,
  rateLimit: edit.rateLimit === undefined ? edits.rateLimit : edit.rateLimit,
});

const isEdited = (edits: ToolEdits): boolean => !edits.enabled || edits.description !== null || edits.tags !== null || edits.timeoutMs !== null || edits.rateLimit !== null;

type OwningApi = Pick<ApiRecord, 'id' | 'name' | 'version' | 'category' | 'conversion'>;

const timeoutOf = (edits: ToolEdits, api: OwningApi): number => edits.timeoutMs ?? api.conversion.toolDefaults?.timeoutMs ?? DEFAULT_TIMEOUT_MS;

const rateOf = (edits: ToolEdits, api: OwningApi): { readonly rateLimit?: ToolRate } => {
  const rateLimit = edits.rateLimit ?? api.conversion.toolDefaults?.rateLimit;
  return rateLimit === undefined ? {} : { rateLimit };
};

export function toolRecord(api: OwningApi, tool: Omit<ConvertedTool, 'listed'>, edits: ToolEdits): ToolRecord {
  return {
    name: tool.name, apiName: api.name, title: tool.title,
    description: edits.description ?? tool.description, tags: edits.tags ?? tool.tags,
    operationClass: tool.operationClass, deprecated: tool.deprecated,
    enabled: edits.enabled, timeoutMs: timeoutOf(edits, api), ...rateOf(edits, api),
    inputSchema: tool.inputSchema, outputSchema: tool.outputSchema, backend: tool.backend,
    hash: hashOf(tool, edits), edited: isEdited(edits),
  };
}

/** The tool as data planes call it. */
export function toolTarget(tenant: TenantSlug, api: OwningApi, tool: ConvertedTool, edits: ToolEdits): Omit<Target, 'definitions'> {
  return {
    kind: 'tool', name: tool.name, tenant, apiId: api.id,
    ...(tool.title === undefined ? {} : { title: tool.title }),
    description: edits.description ?? tool.description, operationClass: tool.operationClass, tags: edits.tags ?? tool.tags,
    category: api.category, version: api.version,
    inputSchema: tool.inputSchema, ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }),
    backend: tool.backend, timeoutMs: timeoutOf(edits, api), ...rateOf(edits, api),
    hash: hashOf(tool, edits),
    listed: edits.description === null ? tool.listed : describedAs(tool.listed, edits.description),
  };
}

/** The MCP Tool object with another description; an object without one gets it after its name. */
function describedAs(listed: string, description: string): string {
  const { name, title, description: _replaced, ...rest } = JSON.parse(listed) as Record<string, unknown>;
  return JSON.stringify({ name, ...(title === undefined ? {} : { title }), description, ...rest });
}

/** The definition's hash takes in the operator's words, since a client reads those. */
function hashOf(tool: Omit<ConvertedTool, 'listed'>, edits: ToolEdits): string {
  return edits.description === null ? tool.hash : createHash('sha256').update(JSON.stringify([tool.hash, edits.description])).digest('hex');
}
