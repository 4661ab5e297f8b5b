import { createRequire } from 'node:module';
import type { IHeaders, ISocketFactory, KafkaConfig } from 'kafkajs';

/** A message as it lies in a partition. */
export interface StoredMessage { readonly offset: string; readonly timestamp: string; readonly key: Buffer | null; readonly value: Buffer | null; readonly headers?: IHeaders }
interface PartitionMetadata { readonly partitionId: number; readonly leader: number }
interface FetchedPartition { readonly partition: number; readonly highWatermark: string }
interface FetchBroker {
  fetch(request: { replicaId: number; isolationLevel: number; maxWaitTime: number; minBytes: number; maxBytes: number; topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[] }): Promise<{ readonly responses: readonly { readonly topicName: string; readonly partitions: readonly FetchedPartition[] }[] }>;
}
export interface KafkaCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  findTopicPartitionMetadata(topic: string): readonly PartitionMetadata[];
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  findBroker(node: { readonly nodeId: string }): Promise<FetchBroker>;
  fetchTopicsOffset(topics: readonly { topic: string; partitions: readonly { partition: number }[]; fromBeginning?: boolean; fromTimestamp?: number }[]): Promise<readonly { readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[]>;
}
interface BatchOfMessages { readonly messages: readonly StoredMessage[]; readonly rawMessages: readonly unknown[]; lastOffset(): string; isEmptyIncludingFiltered(): boolean }
/** kafkajs's own logger shape, saying nothing: what goes wrong is told by the failure itself. */
interface Silent { readonly namespace: () => Silent; info(): void; warn(): void; error(): void; debug(): void }

// kafkajs reads only as a member of a consumer group, which joins, rebalances and commits. These two parts of it read a partition from an offset and do none of that; they are not
// in its public face, so its version is pinned and the suite against a broker holds them.
const internal = createRequire(import.meta.url);
const Cluster = internal('kafkajs/src/cluster') as new (options: object) => KafkaCluster;
const Batch = internal('kafkajs/src/consumer/batch') as new (topic: string, fetchedOffset: string, data: FetchedPartition) => BatchOfMessages;

const silent: Silent = { namespace: () => silent, info: () => undefined, warn: () => undefined, error: () => undefined, debug: () => undefined };
/** Messages of transactions that were not committed are not shown (`isolation.level`). */
const READ_COMMITTED = 1;
/** The broker answers at once: one connection serves all readers in turn, and none may hold it. */
const BROKER_WAIT_MS = 5;

export function openCluster(config: Omit<KafkaConfig, 'brokers'> & { readonly brokers: readonly string[]; readonly socketFactory: ISocketFactory }): KafkaCluster {
  return new Cluster({ ...config, logger: silent, metadataMaxAge: 60_000, allowAutoTopicCreation: false, maxInFlightRequests: null, isolationLevel: READ_COMMITTED });
}

export interface Portion {
  readonly partition: number;
  readonly messages: readonly StoredMessage[];
  /** Where to go on. */
  readonly next: bigint;
  /** The partition's end as it is now. */
  readonly end: bigint;
}

/** What lies at these offsets now, at most about `maxBytes` but one message at least; nothing is committed. */
export async function fetchFrom(cluster: KafkaCluster, topic: string, offsets: ReadonlyMap<number, bigint>, maxBytes: number): Promise<readonly Portion[]> {
  const byLeader = cluster.findLeaderForPartitions(topic, [...offsets.keys()]);
  const led = Object.entries(byLeader).filter(([, partitions]) => partitions.length > 0);
  const portions = await Promise.all(led.map(async ([nodeId, partitions]) => {
    const broker = await cluster.findBroker({ nodeId });
    const { responses } = await broker.fetch({
      replicaId: -1, isolationLevel: READ_COMMITTED, maxWaitTime: BROKER_WAIT_MS, minBytes: 1, maxBytes,
      topics: [{ topic, partitions: partitions.map((partition) => ({ partition, fetchOffset: String(offsets.get(partition) ?? 0n), maxBytes })) }],
    });
    return responses.filter(({ topicName }) => topicName === topic).flatMap((answer) => answer.partitions.map((data): Portion => {
      const from = offsets.get(data.partition) ?? 0n;
      const batch = new Batch(topic, String(from), data);
      const last = BigInt(batch.lastOffset());
      // An answer that holds nothing new moves nothing: not even a high watermark may skip what a later fetch would give.
      const next = batch.isEmptyIncludingFiltered() ? (batch.rawMessages.length > 0 ? from + 1n : from) : last + 1n;
      return { partition: data.partition, messages: batch.messages, next, end: BigInt(data.highWatermark) };
    }));
  }));
  return portions.flat();
}

/** Partition numbers of a topic; empty where it is not known. */
export const partitionsOf = (cluster: KafkaCluster, topic: string): readonly number[] => cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId).toSorted((a, b) => a - b);

export type Position = 'earliest' | 'latest' | { readonly timestamp: number };
/** Where reading begins in each partition. A timestamp that nothing is later than gives the end. */
export async function offsetsAt(cluster: KafkaCluster, topic: string, partitions: readonly number[], position: Position): Promise<ReadonlyMap<number, bigint>> {
  const asked = { topic, partitions: partitions.map((partition) => ({ partition })) };
  const ask = async (how: { readonly fromBeginning: boolean } | { readonly fromTimestamp: number }): Promise<ReadonlyMap<number, bigint>> =>
    new Map((await cluster.fetchTopicsOffset([{ ...asked, ...how }])).flatMap(({ partitions: found }) => found.map(({ partition, offset }) => [partition, BigInt(offset)] as const)));
  if (typeof position === 'string') return ask({ fromBeginning: position === 'earliest' });
  const found = await ask({ fromTimestamp: position.timestamp });
  if ([...found.values()].every((offset) => offset >= 0n)) return found;
  const ends = await ask({ fromBeginning: false });
  return new Map([...found].map(([partition, offset]) => [partition, offset >= 0n ? offset : ends.get(partition) ?? 0n]));
}
