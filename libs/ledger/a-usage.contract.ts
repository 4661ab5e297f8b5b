import type { CallOutcome, CallRecord } from '#libs/core/call-record.js';
import { tenantSlug, type TenantSlug } from '#libs/core/tenant.js';
import { usageEvent } from '#libs/core/usage-events.js';
import type { MessageParts } from './intake.js';
import { type Usage, usageOf } from './usage.js';

export const slug = (text: string): TenantSlug => {
  const found = tenantSlug(text);
  if (found === undefined) throw new Error(`${text} is no slug`);
  return found;
};

export interface Facts {
  readonly boot?: string; readonly seq?: number; readonly tenant?: string; readonly at?: number; readonly tool?: string; readonly outcome?: CallOutcome; readonly invoked?: boolean;
  readonly backendMs?: number; readonly responseBytes?: number; readonly credentialId?: string; readonly kind?: CallRecord['kind']; readonly class?: 'read' | 'write' | 'destructive';
  readonly tags?: readonly string[]; readonly reported?: Record<string, number>; readonly consumer?: string;
}
export const BOOT = '0123456789abcde';
export const NOW = Date.parse('2026-11-20T12:00:00Z');

export function aRecord(facts: Facts = {}): CallRecord {
  const { boot = BOOT, seq = 1, tenant = 'acme', at = NOW, tool = 'list_pets', outcome = 'success', invoked = true, backendMs = 100, responseBytes = 20, kind = 'tool' } = facts;
  return {
    v: 1, id: `${boot}-${seq}`, seq, at, requestId: `req-${boot}-${seq}`, door: 'mcp', consumer: facts.consumer ?? 'claude-desktop', tenant: slug(tenant),
    principal: { issuer: 'https://issuer.test', subject: 'ada', clientId: 'cli', roles: ['viewer'], scopes: [], ...(facts.credentialId === undefined ? {} : { credentialId: facts.credentialId }) },
    kind, name: tool, target: { name: tool, class: facts.class ?? 'read', tags: facts.tags ?? [], api: 'pets', backend: 'rest' }, outcome, invoked,
    units: { requestBytes: 10, responseBytes, backendMs, totalMs: backendMs + 1, attempts: invoked ? 1 : 0, ...(facts.reported ? { reported: facts.reported } : {}) },
  };
}
export const sourceOf = (boot: string = BOOT): string => `/gw/test/one/${boot}`;
export const aUsage = (facts: Facts = {}): Usage => usageOf(usageEvent(aRecord(facts), sourceOf(facts.boot)));

/** As the metering topic carries it. */
export function aMessage(facts: Facts = {}, changes: { readonly headers?: Readonly<Record<string, string | undefined>>; readonly key?: string; readonly value?: string; readonly data?: object } = {}): MessageParts {
  const { data, specversion, type, source, id, time, subject, dataschema, partitionkey, sequence } = usageEvent(aRecord(facts), sourceOf(facts.boot));
  const headers: Record<string, string | undefined> = { ce_specversion: specversion, ce_type: type, ce_source: source, ce_id: id, ce_time: time, ce_subject: subject, ce_dataschema: dataschema, ce_partitionkey: partitionkey, ce_sequence: sequence, ...changes.headers };
  return { header: (name) => headers[name], key: changes.key ?? partitionkey, value: changes.value ?? JSON.stringify({ ...data, ...changes.data }), place: `stoa.metering.events/0/${facts.seq ?? 1}` };
}
