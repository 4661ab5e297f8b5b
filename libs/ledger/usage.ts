import type { CallOutcome } from '#libs/core/call-record.js';
import type { UsageEvent } from '#libs/core/usage-events.js';

/** What is known of a call that its price may depend on, and what it is counted by. Made of the usage event alone. */
export interface Usage {
  readonly tenant: string;
  readonly id: string;
  readonly source: string;
  readonly seq: number;
  /** Milliseconds since the epoch; price and period go by it. */
  readonly at: number;
  readonly tool: string;
  readonly kind: string;
  readonly toolClass: string | null;
  readonly tags: readonly string[];
  readonly project: string | null;
  readonly consumer: string;
  readonly client: string;
  readonly subject: string;
  readonly credential: string | null;
  readonly door: string;
  readonly outcome: CallOutcome;
  readonly invoked: boolean;
  readonly requestId: string | null;
  readonly traceId: string | null;
  /** Whole numbers ≥ 0 by name. */
  readonly units: Readonly<Record<string, number>>;
}

/** Those of `Usage` that are a column of their own in the ledger; the others are its `usage` document. */
const COLUMNS = new Set(['tenant', 'id', 'source', 'seq', 'at', 'tool', 'outcome', 'consumer', 'requestId']);
export const usageDocument = (usage: Usage): object => Object.fromEntries(Object.entries(usage).filter(([name]) => !COLUMNS.has(name)));

export function usageOf({ source, id, sequence, time, data }: UsageEvent): Usage {
  return {
    tenant: data.tenant, id, source, seq: Number(sequence), at: Date.parse(time), tool: data.tool, kind: data.kind, toolClass: data.tool_class, tags: data.tool_tags,
    project: data.project, consumer: data.consumer, client: data.client_id, subject: data.user_id, credential: data.credential_id, door: data.door, outcome: data.outcome,
    invoked: data.invoked, requestId: data.request_id, traceId: data.trace_id, units: data.units,
  };
}

const DAY_MS = 86_400_000;
/** `YYYY-MM-DD` in UTC. */
export const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
/** First day of the month, `YYYY-MM-01`, in UTC. */
export const monthOf = (at: number): string => `${new Date(at).toISOString().slice(0, 7)}-01`;
export const hourOf = (at: number): string => `${new Date(at).toISOString().slice(0, 13)}:00:00Z`;
/** `count` days from that day on. */
export const daysFrom = (at: number, count: number): string[] => Array.from({ length: count }, (_, day) => dayOf(at + day * DAY_MS));
