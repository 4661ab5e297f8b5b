import { createServer, type Server, type ServerResponse } from 'node:http';
import { type DynamicModule, Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { CompressionTypes, Kafka, logLevel, type Producer, type SASLOptions } from 'kafkajs';
import { sendCheckpoints } from '#libs/audit/checkpoint-outbox.js';
import { auditCalls } from '#libs/audit/record-calls.js';
import type { Log, ReadinessCheck } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { LOG, READINESS, SQL_DATABASE } from '#libs/core/tokens.js';
import { sendAlerts } from '#libs/ledger/alert-outbox.js';
import type { LedgerConsumer } from '#libs/ledger/consumer.js';
import { takeMessage, takeRecordMessage } from '#libs/ledger/intake.js';
import { LEDGER_CONSUMER, LedgerModule } from '#libs/ledger/ledger.module.js';
import { ensureTopics } from '#libs/metering/kafka-topics.js';
import { kafkaOf } from '#libs/metering/metering-fields.js';
import { ObservabilityModule } from '#libs/observability/observability.module.js';
import { StateModule } from '#libs/state/state.module.js';
import type { BillingConfig } from './config.js';
import { TopicReader } from './topic-reader.js';

const CONFIG = Symbol('BillingConfig');
const ALERT_POLL_MS = 2000;

/** The readers of both topics, the relay of alerts, and the probes. */
@Module({})
export class BillingModule implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #readers: TopicReader[] = [];
  readonly #probes: Server;
  #producer: Producer | undefined;
  #relay: NodeJS.Timeout | undefined;
  #relaying = false;
  #topicMade = false;
  @Inject(LOG) private readonly log!: Log;
  @Inject(SQL_DATABASE) private readonly database!: SqlDatabase;
  @Inject(LEDGER_CONSUMER.events) private readonly events!: LedgerConsumer;
  @Inject(LEDGER_CONSUMER.records) private readonly records!: LedgerConsumer;
  @Inject(READINESS.database) private readonly databaseReady!: ReadinessCheck;
  constructor(@Inject(CONFIG) private readonly config: BillingConfig) {
    this.#probes = createServer((request, response) => { void this.#answer(request.url ?? '', response); });
  }

  static with(config: BillingConfig): DynamicModule {
    return {
      module: BillingModule,
      imports: [
        ObservabilityModule.with({ log: { level: config.logLevel, format: config.logFormat, service: 'stoa-billing' } }),
        StateModule.with({ location: { url: config.databaseUrl, connections: config.databaseConnections }, migrates: false }),
        LedgerModule.with({ takes: false, guards: false, keeps: true, consumes: true, steps: [auditCalls], callRecordDays: config.callRecordDays, ...(config.ledgerDays === undefined ? {} : { entryDays: config.ledgerDays }) }),
      ],
      providers: [{ provide: CONFIG, useValue: config }],
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    const { config, log } = this;
    const { brokers, clientId, ssl, sasl, topics, settings } = kafkaOf(config, 'stoa-billing');
    const kafka = new Kafka({
      brokers: [...brokers], clientId, ...(ssl ? { ssl } : {}), ...(sasl ? { sasl: sasl as SASLOptions } : {}), logLevel: logLevel.WARN,
      logCreator: () => ({ namespace, log: { message, error } }) => { log.debug({ kafka: namespace, reason: typeof error === 'string' ? error : undefined }, message); },
    });
    const refused = async (messages: readonly { message: { key: Buffer | null; value: Buffer | null; headers?: object }; reason: string }[]): Promise<void> => {
      const producer = await this.#producing(kafka);
      await producer.send({ topic: topics.deadLetter, compression: CompressionTypes.GZIP, acks: -1, messages: messages.map(({ message: { key, value, headers = {} }, reason }) => ({ key, value, headers: { ...headers, stoa_reason: reason } })) });
    };
    const shared = { kafka, groupId: config.groupId, refused, log };
    this.#readers.push(
      new TopicReader({ ...shared, topic: topics.events, consumer: this.events, read: takeMessage }),
      new TopicReader({ ...shared, topic: topics.audit, consumer: this.records, read: takeRecordMessage }),
    );
    await new Promise<void>((resolve, reject) => { this.#probes.once('error', reject).listen(config.port, config.host, resolve); });
    // A new installation has no call and so no topic yet: whoever comes first makes them.
    const prepare = async (): Promise<void> => {
      const admin = kafka.admin();
      try { await admin.connect(); await ensureTopics(admin, topics, settings); } finally { await admin.disconnect().catch(() => undefined); }
    };
    for (const reader of this.#readers) void this.#begin(reader, prepare);
    this.#relay = setInterval(() => { void this.#relayAlerts(kafka, topics.alerts); void this.#relayCheckpoints(kafka); }, ALERT_POLL_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#relay);
    await Promise.all(this.#readers.map((reader) => reader.close()));
    await this.#producer?.disconnect().catch(() => undefined);
    await new Promise<void>((resolve) => { this.#probes.close(() => { resolve(); }); });
  }

  get address(): ReturnType<Server['address']> { return this.#probes.address(); }

  /** A broker that is away at the start, or topics that nobody may make, are waited for. */
  async #begin(reader: TopicReader, prepare: () => Promise<void>): Promise<void> {
    try { await prepare(); await reader.start(); } catch (failure) {
      this.log.warn({ err: failure }, 'a topic cannot be read yet: tried again');
      if (this.#relay !== undefined) setTimeout(() => { void this.#begin(reader, prepare); }, ALERT_POLL_MS).unref();
    }
  }
  async #producing(kafka: Kafka): Promise<Producer> {
    if (this.#producer) return this.#producer;
    const producer = kafka.producer({ idempotent: true, allowAutoTopicCreation: false });
    await producer.connect();
    return this.#producer = producer;
  }
  async #relayAlerts(kafka: Kafka, topic: string): Promise<void> {
    try {
      await sendAlerts(this.database, async (alerts) => {
        const producer = await this.#producing(kafka);
        await producer.send({ topic, acks: -1, messages: alerts.map((alert) => ({ key: alert.tenant, value: JSON.stringify(alert), headers: { 'content-type': 'application/json', ce_type: 'dev.gostoa.alert.budget.v1' } })) });
      });
    } catch (failure) { this.log.debug({ err: failure }, 'alerts could not be sent: tried again'); }
  }
  async #answer(url: string, response: ServerResponse): Promise<void> {
    const [status, body] = await this.#probe(url);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }
  /** A second place for signed checkpoints, out of reach of whoever administers the database. */
  async #relayCheckpoints(kafka: Kafka): Promise<void> {
    if (this.#relaying) return;
    this.#relaying = true;
    const topic = this.config.auditCheckpointTopic;
    try {
      await sendCheckpoints(this.database, async (checkpoints) => {
        await this.#checkpointTopic(kafka, topic);
        const producer = await this.#producing(kafka);
        await producer.send({ topic, acks: -1, messages: checkpoints.map((checkpoint) => ({ key: checkpoint.chain, value: JSON.stringify(checkpoint), headers: { 'content-type': 'application/json', ce_type: 'dev.gostoa.audit.checkpoint.v1' } })) });
      });
    } catch (failure) { this.log.debug({ err: failure }, 'checkpoints could not be sent: tried again'); } finally { this.#relaying = false; }
  }
  /** Of one partition, in order, and for ever; made where it is missing. */
  async #checkpointTopic(kafka: Kafka, topic: string): Promise<void> {
    if (this.#topicMade) return;
    const admin = kafka.admin();
    await admin.connect();
    try {
      if (!(await admin.listTopics()).includes(topic)) await admin.createTopics({ waitForLeaders: true, timeout: 10_000, topics: [{ topic, numPartitions: 1, replicationFactor: this.config.kafkaReplicationFactor, configEntries: [{ name: 'retention.ms', value: '-1' }, { name: 'retention.bytes', value: '-1' }] }] });
      this.#topicMade = true;
    } finally { await admin.disconnect(); }
  }
  async #probe(url: string): Promise<readonly [number, object]> {
    if (/^\/(health(\/live|\/startup)?|live)$/.test(url)) return [200, { status: 'healthy', service: 'stoa-billing' }];
    if (!/^\/(ready|health\/ready)$/.test(url)) return [404, { detail: 'Not Found' }];
    const database = await this.databaseReady.check();
    const reading = this.#readers.every(({ running }) => running);
    const ok = database.ok && reading;
    return [ok ? 200 : 503, { status: ok ? 'ready' : 'not_ready', database: database.ok, kafka: reading, ...(database.reason === undefined ? {} : { reason: database.reason }) }];
  }
}
