import { z } from 'zod';

/** Text that every store can hold: no NUL. */
export const text = (max: number): z.ZodString => z.string().max(max).regex(/^[^\0]*$/, 'must not contain NUL');

export const TenantSlugField = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 lower-case letters, digits and inner hyphens');
export const ApiNameField = z.string().regex(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 lower-case letters, digits and inner dots, hyphens or underscores');
/** Tools and prompts: MCP 2026-07-28 names, at most 64. */
export const McpNameField = z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 letters, digits, underscores, dots or hyphens');
export const SlotField = z.string().regex(/^[^\0]{1,200}$/);
export const ResourceIdField = z.string().regex(/^[0-9a-f]{32}$/);
export const TagsField = z.array(text(64).min(1)).max(64);
export const ToolRateField = z.strictObject({ perMinute: z.int().min(1).max(1_000_000_000), burst: z.int().min(1).max(1_000_000_000) })
  .refine(({ perMinute, burst }) => burst <= perMinute, { path: ['burst'], message: 'must not be above perMinute' })
  .meta({ id: 'ToolRate', description: 'Of a tool, whoever of its tenant calls: 60 with a burst of 10 is ten calls in ten seconds.' });
export const TimeoutField = z.int().min(1).max(300_000).meta({ description: 'Whole call, in milliseconds.' });
