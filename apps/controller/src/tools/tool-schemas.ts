import { z } from 'zod';
import type { ToolRecord } from '#libs/core/control-store.js';
import type { Definitions } from '#libs/core/json-schema.js';
import { McpNameField, TagsField, text, TimeoutField, ToolRateField } from '../http/fields.js';
import { reachable } from './reachable.js';

export const ToolEditBody = z.strictObject({
  enabled: z.boolean().optional(),
  description: text(8000).min(1).nullable().optional(),
  tags: TagsField.nullable().optional(),
  timeoutMs: TimeoutField.nullable().optional(),
  rateLimit: ToolRateField.nullable().optional(),
}).meta({ id: 'ToolEdit', description: 'Edits outlive a re-import; null returns a field to what the document says.' });
export type ToolEditBody = z.infer<typeof ToolEditBody>;

export const ToolQuery = z.strictObject({
  api: text(63).optional().meta({ description: 'Of this API only.' }),
  tag: text(64).optional(),
  search: text(200).optional().meta({ description: 'Part of the name or the description, in any case.' }),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: McpNameField.optional().meta({ description: '`nextCursor` of the page before.' }),
});
export type ToolQuery = z.infer<typeof ToolQuery>;

const summary = {
  name: z.string(),
  api: z.string(),
  title: z.string().nullable(),
  description: z.string(),
  method: z.string().nullable(),
  path: z.string().nullable(),
  operationClass: z.enum(['read', 'write', 'destructive']),
  tags: z.array(z.string()),
  deprecated: z.boolean(),
  enabled: z.boolean(),
  timeoutMs: z.int(),
  rateLimit: ToolRateField.nullable().meta({ description: 'Null: as the gateway is configured.' }),
  edited: z.boolean().meta({ description: 'An operator changed what the document says.' }),
  hash: z.string(),
};
const Schema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);
export const ToolSummary = z.object(summary).meta({ id: 'ToolSummary' });
export type ToolSummary = z.infer<typeof ToolSummary>;
export const ToolDetail = z.object({
  ...summary,
  inputSchema: Schema.meta({ description: 'The full schema that arguments are checked against; `#/$defs/…` lead into `definitions`.' }),
  outputSchema: Schema.nullable(),
  definitions: z.record(z.string(), Schema).meta({ description: 'Of the API\'s shared definitions, those that the two schemas lead to.' }),
}).meta({ id: 'Tool' });
export type ToolDetail = z.infer<typeof ToolDetail>;
export const ToolList = z.object({ tools: z.array(ToolSummary), nextCursor: z.string().nullable(), totalCount: z.int() }).meta({ id: 'ToolList' });
export type ToolList = z.infer<typeof ToolList>;

export function toolSummary(tool: ToolRecord): ToolSummary {
  const rest = tool.backend.kind === 'rest' ? tool.backend : undefined;
  return {
    name: tool.name, api: tool.apiName, title: tool.title ?? null, description: tool.description, method: rest?.method ?? null, path: rest?.path ?? null,
    operationClass: tool.operationClass, tags: [...tool.tags], deprecated: tool.deprecated, enabled: tool.enabled, timeoutMs: tool.timeoutMs, rateLimit: tool.rateLimit ?? null, edited: tool.edited, hash: tool.hash,
  };
}

/** `shared` are all definitions of the tool's API. */
export function toolDetail(tool: ToolRecord, shared: Definitions): ToolDetail {
  return { ...toolSummary(tool), inputSchema: tool.inputSchema, outputSchema: tool.outputSchema ?? null, definitions: reachable([tool.inputSchema, tool.outputSchema], shared) };
}
