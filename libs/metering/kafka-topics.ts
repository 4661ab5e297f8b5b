import type { Admin } from 'kafkajs';

export interface TopicNames {
  /** Usage events, one per call. */
  readonly events: string;
  /** Call records, one per call, for the audit chain. */
  readonly audit: string;
  /** Events that a consumer could not take, as they were. */
  readonly deadLetter: string;
  /** What people should hear of: spent budgets, quarantined events. */
  readonly alerts: string;
}

export interface TopicSettings {
  /** Of the events' topic; the audit topic has half as many, the others three at most. */
  readonly partitions: number;
  /** -1: the broker's own default. */
  readonly replicas: number;
  /** `min.insync.replicas`; undefined: the broker's own. */
  readonly minInSync: number | undefined;
}

const DAY = 86_400_000;

/** Creates those topics that are missing, and leaves the others as they are. Rejects when one is missing and may not be created. */
export async function ensureTopics(admin: Admin, names: TopicNames, { partitions, replicas, minInSync }: TopicSettings): Promise<void> {
  const existing = new Set(await admin.listTopics());
  const wanted = [
    // Longer than a consumer deduplicates (40 days), so that a whole window can be read again.
    { topic: names.events, numPartitions: partitions, days: 45 },
    { topic: names.audit, numPartitions: Math.max(1, Math.ceil(partitions / 2)), days: 90 },
    { topic: names.deadLetter, numPartitions: Math.min(3, partitions), days: 90 },
    { topic: names.alerts, numPartitions: Math.min(3, partitions), days: 7 },
  ].filter(({ topic }) => !existing.has(topic));
  if (wanted.length === 0) return;
  await admin.createTopics({
    waitForLeaders: true, timeout: 10_000,
    topics: wanted.map(({ topic, numPartitions, days }) => ({
      topic, numPartitions, replicationFactor: replicas,
      configEntries: [
        { name: 'cleanup.policy', value: 'delete' }, { name: 'retention.ms', value: String(days * DAY) }, { name: 'unclean.leader.election.enable', value: 'false' },
        ...(minInSync === undefined ? [] : [{ name: 'min.insync.replicas', value: String(minInSync) }]),
      ],
    })),
  });
}
