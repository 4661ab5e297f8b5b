import { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import type { PolicyDecisionPoint } from '#libs/core/ports.js';
import type { Ending } from '#libs/core/call.js';
import type { Tracing } from '#libs/core/tracing.js';

const METHODS = { tool: 'tools/call', resource: 'resources/read', prompt: 'prompts/get' } as const;
type Traced = Ending['reached'] & { traceparent: string | undefined };

/** A server span around the whole call, with the MCP attributes of OpenTelemetry's semantic conventions. */
export const tracedCalls = (runCall: RunCall, tracing: Tracing): RunCall => async (call) => {
  const method = METHODS[call.kind];
  const span = tracing.start(`${method} ${call.kind === 'resource' ? '' : call.name}`.trim(), {
    kind: 'server', traceparent: call.traceparent, tracestate: call.tracestate,
    attributes: {
      'mcp.method.name': method, 'stoa.door': call.door, 'stoa.request_id': call.requestId,
      ...(call.kind === 'tool' ? { 'gen_ai.tool.name': call.name, 'gen_ai.operation.name': 'execute_tool' } : call.kind === 'prompt' ? { 'gen_ai.prompt.name': call.name } : { 'mcp.resource.uri': call.name.split('?', 1)[0] ?? '' }),
      ...(call.principal.tenant === undefined ? {} : { 'stoa.tenant': call.principal.tenant }),
    },
  });
  const reached = call as Traced;
  reached.traceparent = span.traceparent;
  const result = await runCall(call);
  if (reached.decision) span.set({ 'stoa.policy.rule': reached.decision.ruleId });
  if (result instanceof Denial) { span.set({ 'error.type': result.code }); span.end(result.code); }
  else if (result.type === 'tool' && result.isError) { span.set({ 'error.type': 'tool_error' }); span.end('tool_error'); }
  else span.end();
  return result;
};

export const tracedPolicy = (policy: PolicyDecisionPoint, tracing: Tracing): PolicyDecisionPoint => ({
  ...policy,
  decide: async (call) => {
    const span = tracing.start('policy', { kind: 'internal', traceparent: call.traceparent, tracestate: call.tracestate, attributes: { 'gen_ai.tool.name': call.target.name } });
    const decision = await policy.decide(call);
    span.set({ 'stoa.policy.decision': decision instanceof Denial ? 'deny' : 'allow', ...(decision instanceof Denial ? {} : { 'stoa.policy.rule': decision.ruleId }) });
    span.end();
    return decision;
  },
});
