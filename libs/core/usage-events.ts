import type { CallOutcome, CallRecord } from './call-record.js';
import type { TenantSlug } from './tenant.js';

/**
 * What a gateway's journal hands on. Delivery is at least once and in no order between batches; identity (`CallRecord.id`) is minted once, so
 * that taking a record twice has no effect. Of one source every `seq` from 1 to the last comes, none is left out.
 */
export interface RecordBatch {
  /** `/gw/{cluster}/{instance}/{bootId}`: one life of one gateway. */
  readonly source: string;
  /** Lowest and highest `seq` among `records`; both 0 where there are none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Once this batch is taken, every record of the source with a `seq` up to this one was taken. */
  readonly complete: number;
  /** Whether the source has ended and `complete` is its last `seq`: no record of it is outstanding. */
  readonly ended: boolean;
  /** In the order in which they ended; at most 500. */
  readonly records: readonly CallRecord[];
}

/** Where records go: a broker, or the ledger and the audit chain themselves. */
export interface RecordSink {
  readonly name: string;
  /**
   * Resolves when the batch is durable with the receiver, and only then: the journal may forget it. A rejection has the batch offered
   * again after a while, whole, without end; so what can never be taken must be put aside by the receiver, not refused.
   * Batches of one source come one after the other, or up to `inFlight` at a time.
   */
  accept(batch: RecordBatch): Promise<void>;
  /** Default 1. */
  readonly inFlight?: number;
  /** Gives back connections, when no `accept` is under way. */
  close?(): Promise<void>;
}

/** How far each life of this gateway has come, for whoever proves completeness. */
export interface RecordSource {
  /** Those whose records are still in the journal, the present one always. */
  progress(): readonly { readonly source: string; /** Highest `seq` minted. */ readonly minted: number; /** Every record up to this one is with the sink. */ readonly complete: number }[];
}

/** The five words that STOA's consumers know. */
export type UsageStatus = 'success' | 'error' | 'timeout' | 'rate_limited' | 'unauthorized';

export const USAGE_EVENT_TYPE = 'dev.gostoa.meter.call.v1';
export const USAGE_EVENT_SCHEMA = 'urn:stoa:meter:call:1';
/** How many partition keys one tenant's events are spread over, so that a busy tenant fills no partition alone. */
export const TENANT_SHARDS = 8;

/**
 * One call as the metering topic tells it (CloudEvents 1.0). On Kafka in binary content mode: the attributes are headers `ce_…`, and `data` alone
 * is the message's value. `source` and `id` identify it.
 */
export interface UsageEvent {
  readonly specversion: '1.0';
  readonly type: typeof USAGE_EVENT_TYPE;
  /** `/gw/{cluster}/{instance}/{bootId}` */
  readonly source: string;
  /** The call's id, `{bootId}-{seq}`. */
  readonly id: string;
  /** When the door took the call: RFC 3339, UTC, milliseconds. Price and period go by it. */
  readonly time: string;
  /** The tenant; `default` for a principal without one. */
  readonly subject: string;
  readonly datacontenttype: 'application/json';
  readonly dataschema: typeof USAGE_EVENT_SCHEMA;
  /** `{tenant}:{shard}`, shard = seq mod 8. */
  readonly partitionkey: string;
  /** `seq` in decimal: of one source gapless from 1. */
  readonly sequence: string;
  readonly data: UsageData;
}

/** The first twelve fields are STOA's own, with its names, types and meaning; what follows is added, and more may be. */
export interface UsageData {
  /** UUID (version 8) made of the call's id: always the same for the same call. */
  readonly event_id: string;
  /** ISO 8601, UTC, microseconds, `Z`. */
  readonly timestamp: string;
  readonly tenant: string;
  /** The API that the tool was imported from; null for the platform's own, and for what was not found. */
  readonly project: string | null;
  readonly consumer: string;
  /** The token's subject. */
  readonly user_id: string;
  /** Tool or prompt name, or resource URI; cut at 128 characters. */
  readonly tool: string;
  /** Time in the backend in whole milliseconds; 0 when it was not asked. */
  readonly latency_ms: number;
  readonly status: UsageStatus;
  /** STOA's own formula, as an estimate: what a call costs is the ledger's to say. 0 for what nobody pays by default. */
  readonly cost_units: number;
  readonly request_id: string | null;
  /** `error`: the code of what stopped the call. */
  readonly metadata: Readonly<Record<string, unknown>>;

  readonly call_id: string;
  readonly kind: CallRecord['kind'];
  readonly door: string;
  readonly outcome: CallOutcome;
  /** Whether the backend was asked. */
  readonly invoked: boolean;
  readonly tool_class: string | null;
  readonly tool_tags: readonly string[];
  /** `rest`, `builtin`, … */
  readonly backend: string | null;
  readonly client_id: string;
  /** Names the credential (API key, token id) without being one. */
  readonly credential_id: string | null;
  readonly idempotency_key: string | null;
  readonly trace_id: string | null;
  /** Whole numbers: `calls`, `request_bytes`, `response_bytes`, `backend_ms`, `total_ms`, `attempts`, and what the backend reported under its own names. */
  readonly units: Readonly<Record<string, number>>;
}

const STATUS: Readonly<Record<CallOutcome, UsageStatus>> = {
  success: 'success', input_required: 'success', error: 'error', timeout: 'timeout', denied: 'unauthorized', rate_limited: 'rate_limited',
  rejected: 'error', cancelled: 'error', unavailable: 'error', unknown: 'error',
};
/** STOA's premium tools cost twice the base. */
const PREMIUM = new Set(['stoa_delete_api', 'stoa_delete_tool', 'stoa_deploy_api']);

/** The event of a record. Pure: the same record gives the same event, whoever asks and whenever. */
export function usageEvent(record: CallRecord, source: string): UsageEvent {
  const { id, seq, at, principal, target, units, outcome, kind, door, invoked } = record;
  const tenant: TenantSlug | 'default' = record.tenant ?? 'default';
  const time = new Date(at).toISOString();
  return {
    specversion: '1.0', type: USAGE_EVENT_TYPE, source, id, time, subject: tenant, datacontenttype: 'application/json', dataschema: USAGE_EVENT_SCHEMA,
    partitionkey: `${tenant}:${seq % TENANT_SHARDS}`, sequence: String(seq),
    data: {
      event_id: eventId(id), timestamp: `${time.slice(0, -1)}000Z`, tenant, project: target?.api ?? null, consumer: record.consumer, user_id: principal.subject,
      tool: (target?.name ?? record.name).slice(0, 128), latency_ms: units.backendMs, status: STATUS[outcome], cost_units: costEstimate(record), request_id: record.requestId,
      metadata: record.code === undefined ? {} : { error: record.code },
      call_id: id, kind, door, outcome, invoked, tool_class: target?.class ?? null, tool_tags: target?.tags ?? [], backend: target?.backend ?? null,
      client_id: principal.clientId, credential_id: principal.credentialId ?? null, idempotency_key: record.idempotencyKey ?? null, trace_id: record.traceId ?? null,
      units: {
        ...units.reported, calls: 1, request_bytes: units.requestBytes, response_bytes: units.responseBytes, backend_ms: units.backendMs, total_ms: units.totalMs, attempts: units.attempts,
      },
    },
  };
}

/** 0.001 (premium 0.002) and 0.0001 per 100 ms in the backend, to six decimals; reckoned in millionths, so that no sum of doubles shows. */
function costEstimate({ outcome, kind, target, units }: CallRecord): number {
  if (outcome !== 'success' || kind !== 'tool') return 0;
  return ((PREMIUM.has(target?.name ?? '') ? 2000 : 1000) + units.backendMs) / 1_000_000;
}

/**
 * A call's id as a UUID of version 8 (RFC 9562 §5.8): the boot's 60 bits around the version, then the sequence. Throws `TypeError` for what is
 * not a call id.
 */
export function eventId(callId: string): string {
  const [, boot, seq] = /^([0-9a-f]{15})-([1-9]\d{0,15})$/.exec(callId) ?? [];
  if (boot === undefined || seq === undefined) throw new TypeError(`Not a call id: ${callId.slice(0, 64)}`);
  const tail = Number(seq).toString(16).padStart(15, '0');
  return `${boot.slice(0, 8)}-${boot.slice(8, 12)}-8${boot.slice(12)}-8${tail.slice(0, 3)}-${tail.slice(3)}`;
}
