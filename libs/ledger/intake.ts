import type { CallRecord } from '#libs/core/call-record.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { type UsageEvent, USAGE_EVENT_SCHEMA, USAGE_EVENT_TYPE, usageEvent } from '#libs/core/usage-events.js';
import { type Usage, usageOf } from './usage.js';

/** What is taken in: an event, or what cannot be one and is put aside. */
export type Intake = Taken | Refused;
export interface Taken { readonly usage: Usage; /** Where the whole record came along. */ readonly record?: CallRecord }
export interface Refused {
  /** Makes a redelivery the same row. */
  readonly key: string;
  readonly reason: 'malformed' | 'schema' | 'late' | 'future' | 'tenant';
  readonly detail: string;
  /** Whose it says it is; where that is not believed, undefined. */
  readonly tenant: string | undefined;
  /** As it came, cut at 16 KiB. */
  readonly event: string;
  /** Counted as seen, so that completeness can be told: it came, and was put aside. */
  readonly seen?: { readonly source: string; readonly seq: number };
}
export const isTaken = (intake: Intake): intake is Taken => 'usage' in intake;

/** Older events may have been counted before what would tell: longer than Stripe's 35 days and OpenMeter's 32. */
export const LATE_DAYS = 40;
/** Clocks of gateways may be ahead by so much. */
const FUTURE_MS = 5 * 60_000;
const DAY_MS = 86_400_000;
const MAX_KEPT = 16_384;

/** Takes an event that this build's own journal made. */
export const takeEvent = (event: UsageEvent, now: number, record?: CallRecord): Intake => dated({ usage: usageOf(event), ...(record ? { record } : {}) }, now, () => JSON.stringify(event));

/** The attributes as CloudEvents' Kafka binding has them: headers `ce_…`, and the message's key and value. */
export interface MessageParts {
  readonly header: (name: string) => string | undefined;
  readonly key: string | undefined;
  readonly value: string;
  /** Names the message where nothing in it does, such as `topic/partition/offset`. */
  readonly place: string;
}

/** Reads a message of the metering topic; whatever is wrong with it is an answer, never an exception. */
export function takeMessage(message: MessageParts, now: number): Intake {
  const { header, key, value, place } = message;
  const refuse = (reason: Refused['reason'], detail: string, facts: Partial<Pick<Refused, 'tenant' | 'key' | 'seen'>> = {}): Refused =>
    ({ key: place, tenant: undefined, ...facts, reason, detail, event: kept(value) });
  const type = header('ce_type');
  if (type !== USAGE_EVENT_TYPE || header('ce_specversion') !== '1.0' || header('ce_dataschema') !== USAGE_EVENT_SCHEMA) {
    return refuse('schema', `type ${type ?? 'none'}, schema ${header('ce_dataschema') ?? 'none'}: this build takes ${USAGE_EVENT_TYPE}, ${USAGE_EVENT_SCHEMA}`);
  }
  let data: unknown;
  try { data = JSON.parse(value); } catch { return refuse('malformed', 'the value is not JSON'); }
  const event = { source: header('ce_source'), id: header('ce_id'), sequence: header('ce_sequence'), time: header('ce_time'), data } as unknown as UsageEvent;
  const fault = faultOf(event);
  if (fault !== undefined) return refuse('malformed', fault);
  const usage = usageOf(event);
  const named = { key: `${usage.source}#${usage.id}`, seen: { source: usage.source, seq: usage.seq } };
  if (key !== undefined && key.slice(0, key.lastIndexOf(':')) !== usage.tenant) return refuse('tenant', `the key is ${kept(key).slice(0, 100)}, the event says tenant ${usage.tenant}`, named);
  if (header('ce_subject') !== usage.tenant) return refuse('tenant', `the subject is ${header('ce_subject') ?? 'none'}, the event says tenant ${usage.tenant}`, named);
  return dated({ usage }, now, () => value);
}

/** Reads a message of the audit topic: a whole record. */
export function takeRecordMessage({ header, value, place }: MessageParts, now: number): Intake {
  const refuse = (reason: Refused['reason'], detail: string): Refused => ({ key: place, tenant: undefined, reason, detail, event: kept(value) });
  let record: CallRecord;
  try { record = JSON.parse(value) as CallRecord; } catch { return refuse('malformed', 'the value is not JSON'); }
  const source = header('ce_source');
  if (header('ce_type') !== 'dev.gostoa.call.v1' || (record as Partial<CallRecord> | null)?.v !== 1) return refuse('schema', `type ${header('ce_type') ?? 'none'}: this build takes dev.gostoa.call.v1`);
  let event: UsageEvent;
  try { event = usageEvent(record, source ?? ''); } catch { return refuse('malformed', 'the value is not a call record'); }
  const fault = faultOf(event);
  return fault === undefined ? dated({ usage: usageOf(event), record }, now, () => value) : refuse('malformed', fault);
}

/** Undefined when everything that the ledger reads is there and of its type. */
function faultOf({ source, id, sequence, time, data }: UsageEvent): string | undefined {
  if (typeof source !== 'string' || !/^\/[\x21-\x7e]{1,255}$/.test(source)) return 'ce_source is not a path';
  if (typeof sequence !== 'string' || !/^[1-9]\d{0,15}$/.test(sequence) || !Number.isSafeInteger(Number(sequence))) return 'ce_sequence is not a whole number of 1 or more';
  if (typeof id !== 'string' || id !== `${source.slice(source.lastIndexOf('/') + 1)}-${sequence}`) return 'ce_id is not {bootId}-{sequence} of the source';
  if (typeof time !== 'string' || !/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/.test(time) || Number.isNaN(Date.parse(time))) return 'ce_time is not a time in UTC';
  if (typeof data !== 'object' || data === null) return 'the value is not an object';
  const fields = data as unknown as Readonly<Record<string, unknown>>;
  const texts = ['tenant', 'tool', 'kind', 'consumer', 'client_id', 'user_id', 'door', 'outcome'].find((name) => typeof fields[name] !== 'string' || !isStorable(fields[name], 1024));
  if (texts !== undefined) return `${texts} is not a text`;
  const nullable = ['project', 'tool_class', 'credential_id', 'request_id', 'trace_id'].find((name) => fields[name] !== null && !(typeof fields[name] === 'string' && isStorable(fields[name], 1024)));
  if (nullable !== undefined) return `${nullable} is neither a text nor null`;
  if (tenantSlug(fields['tenant']) === undefined) return 'tenant is not a slug';
  if (!OUTCOMES.has(String(fields['outcome']))) return `outcome ${String(fields['outcome']).slice(0, 40)} is not known`;
  if (typeof fields['invoked'] !== 'boolean') return 'invoked is not true or false';
  if (!Array.isArray(fields['tool_tags']) || fields['tool_tags'].some((tag) => typeof tag !== 'string' || !isStorable(tag, 256))) return 'tool_tags is not a list of texts';
  const { units } = fields;
  if (typeof units !== 'object' || units === null || Object.values(units).some((unit) => typeof unit !== 'number' || !Number.isSafeInteger(unit) || unit < 0)) return 'units are not whole numbers of 0 or more';
  return undefined;
}
const OUTCOMES: ReadonlySet<string> = new Set(['success', 'error', 'timeout', 'denied', 'rate_limited', 'rejected', 'cancelled', 'unavailable', 'input_required', 'unknown']);
const isStorable = (text: string, most: number): boolean => text.length <= most && !text.includes('\0') && text.isWellFormed();
const kept = (text: string): string => text.slice(0, MAX_KEPT).replaceAll('\0', '\uFFFD').toWellFormed();

/** Those that are too old or of tomorrow are put aside: they may have been counted, or be wrong. */
function dated(taken: Taken, now: number, text: () => string): Intake {
  const { at, tenant, id, source, seq } = taken.usage;
  const age = now - at;
  const reason = age > LATE_DAYS * DAY_MS ? 'late' : age < -FUTURE_MS ? 'future' : undefined;
  if (reason === undefined) return taken;
  return { key: `${source}#${id}`, seen: { source, seq }, reason, tenant, detail: `of ${new Date(at).toISOString()}, come ${new Date(now).toISOString()}`, event: kept(text()) };
}
