import type { RecordedCall } from '#libs/core/call.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import type { Definitions } from '#libs/core/json-schema.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';

/** A call of a converted tool as a backend gets it, its arguments taken for valid. */
export function callOf(tool: ConvertedTool | undefined, definitions: Definitions, args: Readonly<Record<string, unknown>>, signal = new AbortController().signal): RecordedCall {
  if (tool === undefined) throw new Error('there is no such tool');
  const tenant = 'acme' as TenantSlug;
  const { inputSchema, outputSchema, name, backend, listed, hash, operationClass } = tool;
  const target: Target = {
    kind: 'tool', name, tenant, apiId: 'api', description: '', operationClass, tags: [], category: undefined, version: '1', inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }), definitions, backend, timeoutMs: 10_000, hash, listed,
  };
  return {
    requestId: 'request-1', callId: 'boot-1', door: 'mcp', principal: { tenant, issuer: 'i', subject: 's', clientId: 'c', roles: new Set(), scopes: new Set(), expiresAt: 0 }, kind: 'tool', name, arguments: args, consumer: 'unknown',
    exchange: { signal, clientCapabilities: {}, supportsInputRequired: false }, traceparent: undefined, tracestate: undefined, startedAt: 0, target, api: undefined, input: args, decision: { ruleId: '', policyRevision: '' }, quota: undefined,
  };
}
