import type { CallRecord } from '#libs/core/call-record.js';
import { type UsageEvent, usageEvent } from '#libs/core/usage-events.js';

export interface KafkaMessage { readonly key: string; readonly value: string; readonly timestamp: string; readonly headers: Record<string, string> }

export const AUDIT_EVENT_TYPE = 'dev.gostoa.call.v1';

/** CloudEvents 1.0, Kafka protocol binding §3.2: binary content mode, the attributes as headers, the data alone as the value. */
export function usageMessage(record: CallRecord, source: string): KafkaMessage {
  const { data, ...attributes } = usageEvent(record, source);
  return { key: attributes.partitionkey, value: JSON.stringify(data), timestamp: String(record.at), headers: headersOf(attributes) };
}

/** One tenant's records stand in one partition, so that the writer of its chain meets them in one order. */
export function auditMessage(record: CallRecord, source: string): KafkaMessage {
  const tenant = record.tenant ?? 'default';
  return {
    key: tenant, value: JSON.stringify(record), timestamp: String(record.at),
    headers: headersOf({
      specversion: '1.0', type: AUDIT_EVENT_TYPE, source, id: record.id, time: new Date(record.at).toISOString(), subject: tenant, datacontenttype: 'application/json',
      dataschema: 'urn:stoa:call:1', partitionkey: tenant, sequence: String(record.seq),
    }),
  };
}

function headersOf({ datacontenttype, ...attributes }: Omit<UsageEvent, 'data' | 'type' | 'dataschema'> & { readonly type: string; readonly dataschema: string }): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': datacontenttype };
  for (const [name, value] of Object.entries(attributes)) headers[`ce_${name}`] = value;
  return headers;
}
