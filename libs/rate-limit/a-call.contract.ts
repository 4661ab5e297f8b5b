import type { AuthorizedCall, RecordedCall } from '#libs/core/call.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';

export const principal = (facts: { readonly subject?: string; readonly tenant?: string | undefined; readonly roles?: readonly string[]; readonly issuer?: string; readonly credentialId?: string } = {}): Principal => ({
  tenant: ('tenant' in facts ? facts.tenant : 'acme') as TenantSlug | undefined, issuer: facts.issuer ?? 'https://issuer.example', subject: facts.subject ?? 'ann', clientId: 'cli',
  ...(facts.credentialId === undefined ? {} : { credentialId: facts.credentialId }),
  roles: new Set(facts.roles ?? ['viewer']), scopes: new Set(), expiresAt: 0,
});

/** An authorized, validated and recorded call, for the tests of limits. */
export function aCall(who: Principal = principal(), name = 'get_pet', apiId = 'petshop'): AuthorizedCall & RecordedCall {
  const target: Target = {
    kind: 'tool', name, tenant: who.tenant, apiId, description: '', operationClass: 'read', tags: [], category: undefined, version: '1', inputSchema: {}, definitions: {},
    backend: { kind: 'builtin', handler: 'none' }, timeoutMs: 1000, hash: '', listed: '{}',
  };
  return {
    requestId: 'r', door: 'rest', principal: who, kind: 'tool', name, arguments: {}, exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false },
    traceparent: undefined, tracestate: undefined, consumer: 'unknown', startedAt: 0, target, api: undefined, decision: { ruleId: 'r', policyRevision: '1' }, quota: undefined, input: {}, callId: 'b-1',
  };
}
