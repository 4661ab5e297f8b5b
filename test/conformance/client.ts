import { McpAdmission } from '#libs/backends/mcp/mcp-admission.js';
import { McpBackend } from '#libs/backends/mcp/mcp-backend.js';
import { convertMcp } from '#libs/backends/mcp/convert-mcp.js';
import { NOTHING_ALLOWED } from '#libs/backends/mcp/operator-list.js';
import { Upstreams } from '#libs/backends/mcp/upstreams.js';
import type { ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { ANONYMOUS } from './fixture-world.js';
import { upstreamCatalogue } from './upstream-catalogue.js';

/**
 * The gateway's way to MCP servers as the suite's client: `node dist/test/conformance/client.js URL` imports the server and calls each of its tools once, answering what it is
 * asked as somebody would who accepts.
 */
const url = process.argv.at(-1) ?? '';
const egress = createEgress({ allow: ['127.0.0.1', 'localhost', '::1'] });
const upstreams = new Upstreams({ streams: egress, list: NOTHING_ALLOWED, version: '0.0.0-conformance' });
const tenant = ANONYMOUS.tenant as TenantSlug;
const connection = { url };
const { bytes } = await new McpAdmission({ upstreams }).describe(connection, { tenant, credentials: {} });
const snapshot = await upstreamCatalogue(tenant, convertMcp(bytes, { connection })).snapshot(tenant);
const backend = new McpBackend({ upstreams, credentials: { resolve: () => { throw new Error('no credential was asked for'); } } });

const sample = (schema: unknown): unknown => {
  const { type, properties, enum: values, default: preset } = (typeof schema === 'object' && schema !== null ? schema : {}) as { type?: string; properties?: Record<string, unknown>; enum?: unknown[]; default?: unknown };
  if (preset !== undefined) return preset;
  if (values) return values[0];
  if (type === 'object') return Object.fromEntries(Object.entries(properties ?? {}).map(([name, one]) => [name, sample(one)]));
  return type === 'integer' || type === 'number' ? 5 : type === 'boolean' ? true : type === 'array' ? [] : type === 'null' ? null : 'text';
};
const answerTo = (request: unknown): unknown => {
  const { method, params } = request as { method: string; params?: { requestedSchema?: unknown } };
  if (method === 'elicitation/create') return { action: 'accept', content: sample(params?.requestedSchema) };
  return method === 'roots/list' ? { roots: [] } : { role: 'assistant', model: 'none', content: { type: 'text', text: 'text' } };
};

for (const target of snapshot?.tools.values() ?? []) {
  let more: Partial<ValidatedCall['exchange']> = {};
  for (let round = 0; round < 5; round += 1) {
    const input = sample(target.inputSchema) as Record<string, unknown>;
    const call = {
      requestId: 'conformance', door: 'mcp', principal: ANONYMOUS, kind: 'tool', name: target.name, arguments: input, input, target, api: snapshot?.apis.get('upstream'), consumer: 'unknown', startedAt: performance.now(), traceparent: undefined, tracestate: undefined,
      exchange: { signal: new AbortController().signal, clientCapabilities: { elicitation: {}, sampling: {}, roots: {} }, supportsInputRequired: true, ...more },
      decision: { ruleId: 'open', policyRevision: '0' }, quota: undefined,
    } satisfies ValidatedCall;
    const answer = await backend.invoke(call);
    if (answer instanceof Denial || answer.result.type !== 'input_required') { console.log(target.name, answer instanceof Denial ? answer.message : JSON.stringify(answer.result).slice(0, 200)); break; }
    const { inputRequests = {}, requestState } = answer.result;
    more = { inputResponses: Object.fromEntries(Object.entries(inputRequests).map(([name, request]) => [name, answerTo(request)])), ...(requestState === undefined ? {} : { requestState }) };
  }
}
await upstreams.close();
await egress.close();
