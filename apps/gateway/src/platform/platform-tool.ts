import { createHash } from 'node:crypto';
import type { ValidatedCall } from '#libs/core/call.js';
import type { JsonSchemaObject } from '#libs/core/json-schema.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';

export type ToolInput = Readonly<Record<string, unknown>>;
export interface PlatformAnswer {
  /** Serialized as the answer's text and, unless it is an error, as its structured content. */
  readonly value: unknown;
  readonly isError: boolean;
  readonly meta?: Readonly<Record<string, unknown>>;
}
export interface PlatformTool {
  readonly target: Target;
  visibleTo(principal: Principal): boolean;
  run(input: ToolInput, call: ValidatedCall): PlatformAnswer | Promise<PlatformAnswer>;
}

export const everyone = (): boolean => true;
export const isPlatformAdmin = (principal: Principal): boolean => principal.roles.has('cpi-admin');

export const answer = (value: unknown): PlatformAnswer => ({ value, isError: false });

/** STOA's error object inside a tool result: the model reads what to do instead. */
export const fault = (code: string, message: string, suggestion: string, details: object = {}): PlatformAnswer =>
  ({ value: { error: { code, message, details, suggestion } }, isError: true });

/** A parameter that an action needs and the flat schema cannot require. */
export const missing = (action: string, parameter: string): PlatformAnswer =>
  fault('INVALID_PARAMS', `${parameter} is required for action ${action}`, `Call again with ${parameter}.`, { parameter });

export interface PlatformToolDefinition {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly category: string;
  readonly properties: Readonly<Record<string, JsonSchemaObject>>;
  readonly required?: readonly string[];
}

/** A built-in tool's target: of no tenant, read-only, answered by the gateway. */
export function platformTarget(definition: PlatformToolDefinition): Target {
  const { name, title, description, category } = definition;
  const inputSchema = { type: 'object', properties: definition.properties, required: definition.required ?? [], additionalProperties: false };
  const listed = JSON.stringify({
    name, title, description, inputSchema,
    annotations: { title, readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  });
  return {
    kind: 'tool', name, tenant: undefined, apiId: undefined, title, description, operationClass: 'read', tags: ['platform'], category, version: '1.0.0',
    inputSchema, definitions: {}, backend: { kind: 'builtin', handler: name }, timeoutMs: 10_000,
    hash: createHash('sha256').update(listed).digest('hex'), listed,
  };
}
