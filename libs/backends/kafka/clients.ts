import { createHash } from 'node:crypto';
import { type Admin, Kafka, type KafkaConfig, logLevel, Partitioners, type Producer, type ProducerRecord, type RecordMetadata, type SASLOptions } from 'kafkajs';
import type { KafkaCluster as ClusterAddress } from '#libs/core/kafka-binding.js';
import type { OutboundGuard } from '#libs/core/outbound.js';
import { type KafkaCluster, openCluster } from '#libs/backends/kafka/cluster.js';
import { boundCompression } from '#libs/backends/kafka/compression.js';
import { guardedSockets } from '#libs/backends/kafka/sockets.js';

export interface KafkaClientsOptions {
  readonly guard: OutboundGuard;
  readonly clientId: string;
  /** Clients kept at the same time; beyond it the one that was used longest ago is closed. Default 256. */
  readonly max?: number;
}
export interface ClientCredentials {
  /** As slot `sasl` has it: `user:password`, or a token. */
  readonly secret?: string | undefined;
  /** PEM of a certificate chain and its private key, for mutual TLS. */
  readonly certificate?: string | undefined;
}
/** Milliseconds without a call, after which a client is closed at the next look. */
const IDLE_MS = 600_000;
const REQUEST_MS = 30_000;

/** One client for each backend and credential, kept alive. */
export class KafkaClients {
  readonly #open = new Map<string, KafkaClient>();
  constructor(private readonly options: KafkaClientsOptions) { boundCompression(); }

  /** `owner` keeps tenants apart. */
  to(owner: string, cluster: ClusterAddress, credentials: ClientCredentials = {}): KafkaClient {
    const { brokers, tls, ca = '', sasl = '' } = cluster;
    const key = createHash('sha256').update(JSON.stringify([owner, brokers, tls, ca, sasl, credentials.secret ?? '', credentials.certificate ?? ''])).digest('hex');
    const known = this.#open.get(key);
    const now = performance.now();
    if (known !== undefined) this.#open.delete(key);
    const client = known ?? new KafkaClient({ ...this.options, cluster, ...credentials });
    client.usedAt = now;
    this.#open.set(key, client);
    for (const [other, one] of this.#open) {
      if (this.#open.size <= (this.options.max ?? 256) && now - one.usedAt < IDLE_MS) break;
      this.#open.delete(other);
      void one.close();
    }
    return client;
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map((client) => client.close()));
  }
}

interface Slot<T> { readonly ready: Promise<T>; readonly close: () => Promise<void> }

/** Connections of one backend: each part is opened when it is first wanted, and given up when it fails. */
export class KafkaClient {
  usedAt = 0;
  /** Producers that were given up. */
  replaced = 0;
  readonly #kafka: Kafka;
  readonly #config: Omit<KafkaConfig, 'brokers'> & { readonly brokers: string[]; readonly socketFactory: NonNullable<KafkaConfig['socketFactory']> };
  #producer: Slot<Producer> | undefined;
  #admin: Slot<Admin> | undefined;
  #cluster: Slot<KafkaCluster> | undefined;

  constructor({ guard, clientId, cluster: { brokers, tls, ca, sasl }, secret, certificate }: KafkaClientsOptions & ClientCredentials & { readonly cluster: ClusterAddress }) {
    this.#config = {
      brokers: [...brokers], clientId, connectionTimeout: 5000, authenticationTimeout: 10_000, requestTimeout: REQUEST_MS, enforceRequestTimeout: true,
      // What a moved leader needs; a call has its own deadline.
      retry: { retries: 3, initialRetryTime: 50, maxRetryTime: 1000 },
      ...(tls ? { ssl: { ...(ca === undefined ? {} : { ca: [ca] }), ...(certificate === undefined ? {} : { cert: certificate, key: certificate }) } } : {}), ...(sasl === undefined || secret === undefined ? {} : { sasl: saslOf(sasl, secret) }),
      socketFactory: guardedSockets(guard), logLevel: logLevel.NOTHING,
    };
    this.#kafka = new Kafka(this.#config);
  }

  /**
   * Acks of all in-sync replicas, idempotent. After a failure the producer is not to be trusted (kafkajs keeps a broken sequence, and a topic that is gone
   * fails it for all others), so the next call has a new one.
   */
  async send(record: Omit<ProducerRecord, 'acks'>): Promise<RecordMetadata> {
    const slot = this.#producer ??= opened(this.#kafka.producer({ idempotent: true, maxInFlightRequests: 5, allowAutoTopicCreation: false, metadataMaxAge: 60_000, createPartitioner: Partitioners.DefaultPartitioner }));
    try {
      const [sent] = await (await slot.ready).send({ ...record, acks: -1 });
      if (sent === undefined) throw new Error('the broker confirmed nothing');
      return sent;
    } catch (failure) {
      if (this.#producer === slot) { this.#producer = undefined; this.replaced += 1; void slot.close(); }
      throw failure;
    }
  }

  async admin<T>(ask: (admin: Admin) => Promise<T>): Promise<T> {
    const slot = this.#admin ??= opened(this.#kafka.admin());
    try { return await ask(await slot.ready); } catch (failure) {
      if (this.#admin === slot) { this.#admin = undefined; void slot.close(); }
      throw failure;
    }
  }

  /** For reading; it knows the topic's partitions and leaders then. */
  async reading<T>(topic: string, read: (cluster: KafkaCluster) => Promise<T>): Promise<T> {
    const slot = this.#cluster ??= opened(openCluster(this.#config));
    try {
      const cluster = await slot.ready;
      await cluster.refreshMetadataIfNecessary();
      await cluster.addTargetTopic(topic);
      return await read(cluster);
    } catch (failure) {
      if (this.#cluster === slot) { this.#cluster = undefined; void slot.close(); }
      throw failure;
    }
  }

  async close(): Promise<void> {
    const slots = [this.#producer, this.#admin, this.#cluster];
    this.#producer = this.#admin = this.#cluster = undefined;
    await Promise.all(slots.flatMap((slot) => (slot === undefined ? [] : [slot.close()])));
  }
}

function opened<T extends { connect(): Promise<void>; disconnect(): Promise<void> }>(one: T): Slot<T> {
  const ready = one.connect().then(() => one);
  return { ready, close: async () => { await ready.catch(() => undefined); await one.disconnect().catch(() => undefined); } };
}

function saslOf(mechanism: NonNullable<ClusterAddress['sasl']>, secret: string): SASLOptions {
  if (mechanism === 'oauthbearer') return { mechanism, oauthBearerProvider: async () => ({ value: secret }) };
  const colon = secret.indexOf(':');
  return { mechanism, username: secret.slice(0, colon), password: secret.slice(colon + 1) };
}
