import type { BackendAnswer, Ending, RecordedCall } from '#libs/core/call.js';
import type { Denial } from '#libs/core/errors.js';
import type { Log } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import { tenantSlug } from '#libs/core/tenant.js';

export const silent: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const acme = tenantSlug('acme');
const principal: Principal = {
  tenant: acme, issuer: 'https://id.test', subject: 'ada', clientId: 'agent', roles: new Set(['viewer']), scopes: new Set(['stoa:tools:read', 'stoa:tools:execute']), expiresAt: 2_000_000_000,
};
export const target: Target = {
  kind: 'tool', name: 'weather_forecast', tenant: acme, apiId: 'a1', description: '', operationClass: 'read', tags: ['weather'], category: undefined, version: '1.0.0',
  inputSchema: true, definitions: {}, backend: { kind: 'builtin', handler: 'none' }, timeoutMs: 1000, hash: 'h', listed: '{}',
};
const ALLOW = { ruleId: 'roles.read', policyRevision: 'p1' };
const api = { id: 'a1', name: 'weather' } as RecordedCall['api'];

/** A call as the record stage takes it; `callId` is to be put in. */
export function aCall(over: Partial<RecordedCall> = {}): RecordedCall {
  return {
    requestId: 'r-1', door: 'mcp', principal, kind: 'tool', name: target.name, arguments: { city: 'Paris' }, input: { city: 'Paris' }, traceparent: undefined, tracestate: undefined,
    exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false }, consumer: 'claude-desktop', startedAt: performance.now(),
    target, api, revision: 7, decision: ALLOW, quota: undefined, callId: '', ...over,
  };
}

export const ANSWER: BackendAnswer = { result: { type: 'tool', content: [{ type: 'text', text: 'sunny' }], isError: false }, outcome: 'success', latencyMs: 12.4, bytes: 345 };

export function endingOf(call: Partial<RecordedCall>, answer: BackendAnswer | undefined = ANSWER, denial?: Denial, durationMs = 15.6): Ending {
  return { reached: { ...call, ...(answer && !denial ? { answer, result: answer.result } : {}) } as Ending['reached'], denial, durationMs };
}
