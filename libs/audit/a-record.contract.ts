import type { CallRecord } from '#libs/core/call-record.js';
import { tenantSlug, type TenantSlug } from '#libs/core/tenant.js';

export const slug = (name: string): TenantSlug => {
  const found = tenantSlug(name);
  if (found === undefined) throw new Error(name);
  return found;
};
const BOOT = '0123456789abcde';

/** The record of a call by `ada`, as a gateway writes it. */
export function aRecord(seq: number, over: Partial<CallRecord> = {}): CallRecord {
  return {
    v: 1, id: `${BOOT}-${seq}`, seq, at: 1_780_000_000_000 + seq * 1000, requestId: `r-${seq}`, door: 'mcp', consumer: 'claude', tenant: slug('acme'),
    principal: { issuer: 'https://id.test', subject: 'ada', clientId: 'agent', credentialId: 'key-1', roles: ['viewer'], scopes: ['stoa:tools:execute'] },
    kind: 'tool', name: 'get_pet', target: { name: 'get_pet', class: 'read', tags: [], api: 'pets', backend: 'rest' }, catalogue: 7,
    decision: { effect: 'allow', ruleId: 'roles.read', revision: 'p1' }, outcome: 'success', invoked: true,
    units: { requestBytes: 10, responseBytes: 20, backendMs: 5, totalMs: 7, attempts: 1 }, arguments: { id: seq }, argumentsDigest: 'a'.repeat(64), ...over,
  };
}
