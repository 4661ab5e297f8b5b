import { CompressionTypes, Kafka, logLevel, type Producer, type SASLOptions } from 'kafkajs';
import type { Log } from '#libs/core/ports.js';
import type { RecordBatch, RecordSink } from '#libs/core/usage-events.js';
import { auditMessage, usageMessage } from './kafka-messages.js';
import { ensureTopics, type TopicNames, type TopicSettings } from './kafka-topics.js';

export interface KafkaOptions {
  /** `host:port`, one or more. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl?: boolean;
  readonly sasl?: SASLOptions;
  readonly topics: TopicNames;
  readonly settings: TopicSettings;
  readonly log: Log;
}

/** Of one request to the broker, in milliseconds. What waits longer is in the journal, so nothing is gained by waiting here. */
const REQUEST_MS = 10_000;

/**
 * Hands batches to Kafka: acks of all in-sync replicas, idempotent within one producer, gzip. A batch goes to both topics in one request per
 * broker. Every failure ends the producer and the next batch begins with a new one, since a producer is not to be trusted after a fatal
 * error (kafkajs keeps a broken sequence); what was appended before the failure is appended again, and consumers know it by its id.
 */
export class KafkaSink implements RecordSink {
  readonly name = 'kafka';
  private readonly kafka: Kafka;
  private producer: Producer | undefined;
  /** Producers that were given up. */
  replaced = 0;

  constructor(private readonly options: KafkaOptions) {
    const { brokers, clientId, ssl, sasl, log } = options;
    this.kafka = new Kafka({
      brokers: [...brokers], clientId, ...(ssl === true ? { ssl: true } : {}), ...(sasl ? { sasl } : {}),
      connectionTimeout: 3000, requestTimeout: REQUEST_MS, enforceRequestTimeout: true,
      // The shipper tries again for ever; here only what a moved leader needs.
      retry: { retries: 3, initialRetryTime: 50, maxRetryTime: 1000 },
      logLevel: logLevel.WARN,
      logCreator: () => ({ namespace, log: { message, error } }) => { log.debug({ kafka: namespace, reason: typeof error === 'string' ? error : undefined }, message); },
    });
  }

  async accept({ records, source }: RecordBatch): Promise<void> {
    if (records.length === 0) return;
    const { topics } = this.options;
    const producer = await this.connected();
    try {
      await producer.sendBatch({
        acks: -1, timeout: REQUEST_MS, compression: CompressionTypes.GZIP,
        topicMessages: [
          { topic: topics.events, messages: records.map((record) => usageMessage(record, source)) },
          { topic: topics.audit, messages: records.map((record) => auditMessage(record, source)) },
        ],
      });
    } catch (failure) {
      await this.giveUp();
      throw failure;
    }
  }

  async close(): Promise<void> {
    const { producer } = this;
    this.producer = undefined;
    await producer?.disconnect().catch(() => undefined);
  }

  private async connected(): Promise<Producer> {
    if (this.producer) return this.producer;
    const admin = this.kafka.admin();
    try {
      await admin.connect();
      await ensureTopics(admin, this.options.topics, this.options.settings);
    } finally { await admin.disconnect().catch(() => undefined); }
    const producer = this.kafka.producer({ idempotent: true, maxInFlightRequests: 5, allowAutoTopicCreation: false, metadataMaxAge: 60_000 });
    try { await producer.connect(); } catch (failure) { await producer.disconnect().catch(() => undefined); throw failure; }
    return this.producer = producer;
  }

  private async giveUp(): Promise<void> {
    this.replaced += 1;
    await this.close();
  }
}
