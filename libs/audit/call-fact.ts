import type { AuditFact } from '#libs/audit/chain.js';
import { PLATFORM_CHAIN } from '#libs/audit/entry.js';
import type { CallRecord } from '#libs/core/call-record.js';
import type { AdminChange } from '#libs/core/ports.js';

/** Something to be recorded, and in whose chain. */
export interface ChainFact { readonly chain: string; readonly fact: AuditFact }

/** Where the doors are. A door whose name is a path is that path. */
const DOOR_PATHS: Readonly<Record<string, string>> = { mcp: '/mcp', 'mcp-legacy': '/mcp', rest: '/mcp/v1' };
const endpointOf = ({ door, kind, name }: CallRecord): string =>
  (door === 'rest' && kind === 'tool' ? `/mcp/v1/tools/${name}/invoke` : DOOR_PATHS[door] ?? door);

/**
 * What the trail keeps of a call. Facts tell what was asked, decided and done, and what was in force; who it was and what they said is
 * personal, and so are digests of it, which a guess could be compared with. Pure: the same record gives the same fact.
 */
export function auditFactOf(record: CallRecord, { priceBook }: { /** Hash of the book that priced it, where that is known. */ readonly priceBook?: string | undefined } = {}): ChainFact {
  const { principal, target, decision, units } = record;
  return {
    chain: record.tenant ?? PLATFORM_CHAIN,
    fact: {
      at: new Date(record.at), kind: 'call', id: record.id,
      facts: defined({
        requestId: record.requestId, traceId: record.traceId, door: record.door, endpoint: endpointOf(record), what: record.kind, tool: record.name,
        target: target === undefined ? undefined : defined({ name: target.name, class: target.class, api: target.api, backend: target.backend }),
        decision: decision === undefined ? undefined : defined({ effect: decision.effect, rule: decision.ruleId, reason: decision.reason, obligations: decision.obligations }),
        outcome: record.outcome, code: record.code, reason: record.reason, invoked: record.invoked,
        ms: units.totalMs, backendMs: units.backendMs, requestBytes: units.requestBytes, responseBytes: units.responseBytes, attempts: units.attempts, redactions: record.redactions,
        client: principal.clientId, credential: principal.credentialId, issuer: principal.issuer, roles: principal.roles, scopes: principal.scopes,
        inForce: defined({ catalogue: record.catalogue, policy: decision?.revision, priceBook: priceBook === '' ? undefined : priceBook }),
      }),
      personal: {
        subject: principal.subject,
        ...(record.arguments === undefined ? {} : { arguments: record.arguments }),
        details: defined({ consumer: record.consumer, actors: principal.actors, argumentsDigest: record.argumentsDigest, idempotencyKey: record.idempotencyKey }),
      },
    },
  };
}

/** What the trail keeps of an administrator's change. */
export function auditFactOfChange({ requestId, tenant, principal, action, object, effect, reason, status, contentDigest, at }: AdminChange): ChainFact {
  return {
    chain: tenant ?? PLATFORM_CHAIN,
    fact: {
      at: new Date(at), kind: 'admin', id: requestId,
      facts: defined({
        requestId, action, object, decision: defined({ effect, reason }), outcome: effect === 'deny' ? 'denied' : status === undefined || status < 400 ? 'success' : 'error', status,
        client: principal.clientId, credential: principal.credentialId, issuer: principal.issuer, roles: principal.roles,
      }),
      personal: { subject: principal.subject, details: defined({ actors: principal.actors, contentDigest }) },
    },
  };
}

/** Without members that are undefined. */
const defined = (members: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
