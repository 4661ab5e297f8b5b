import { setTimeout as wait } from 'node:timers/promises';
import type { Batch, Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import type { Log } from '#libs/core/ports.js';
import type { Delivery, LedgerConsumer } from '#libs/ledger/consumer.js';
import { type Intake, isTaken, type MessageParts } from '#libs/ledger/intake.js';

export interface TopicReaderOptions {
  readonly kafka: Kafka;
  readonly topic: string;
  readonly groupId: string;
  readonly consumer: Pick<LedgerConsumer, 'take' | 'position'>;
  readonly read: (message: MessageParts, now: number) => Intake;
  /** Told of messages that were put aside, after they are in the database. */
  readonly refused: (messages: readonly { readonly message: KafkaMessage; readonly reason: string }[]) => Promise<void>;
  readonly log: Pick<Log, 'info' | 'warn' | 'error'>;
  readonly now?: () => number;
}

const STOPPED = Symbol('stopped');
/** Of one transaction. */
const AT_ONCE = 500;
const BACKOFF_MS = [100, 300, 1000, 3000, 5000];

/**
 * Reads a topic into the ledger. Partitions are shared through the group; positions are in the database, in the transaction of what was read,
 * so that a rebalance, a crash or a group that forgot costs work and never a call. A database that is away is waited for.
 */
export class TopicReader {
  readonly #consumer: Consumer;
  /** Where a seek was tried, by partition: a broker that has nothing there any more must not be asked for ever. */
  readonly #sought = new Map<number, string>();
  #running = false;
  #closing = false;
  lastError: string | undefined;
  constructor(private readonly options: TopicReaderOptions) {
    this.#consumer = options.kafka.consumer({ groupId: `${options.groupId}-${options.topic}`, maxWaitTimeInMs: 250, sessionTimeout: 30_000, heartbeatInterval: 3000, retry: { retries: Number.MAX_SAFE_INTEGER, initialRetryTime: 100, maxRetryTime: 5000 } });
  }
  get running(): boolean { return this.#running; }

  async start(): Promise<void> {
    const consumer = this.#consumer;
    consumer.on(consumer.events.GROUP_JOIN, () => { this.#running = true; });
    consumer.on(consumer.events.CRASH, ({ payload: { error, restart } }) => {
      this.#running = false;
      this.options.log.warn({ topic: this.options.topic, err: error }, 'the reader of a topic lost the broker');
      // What kafkajs takes for final is a broker away for longer: begin anew.
      if (!restart && !this.#closing) void this.#again();
    });
    await consumer.connect();
    await consumer.subscribe({ topic: this.options.topic, fromBeginning: true });
    await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: 3, eachBatch: (payload) => this.#batch(payload) });
  }
  async close(): Promise<void> {
    this.#closing = true;
    await this.#consumer.disconnect().catch(() => undefined);
  }

  async #again(): Promise<void> {
    for (let attempt = 0; !this.#closing; attempt += 1) {
      await wait(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)]);
      try { await this.#consumer.stop(); await this.start(); return; } catch (failure) { this.lastError = String(failure); }
    }
  }

  async #batch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const goesOn = (): boolean => payload.isRunning() && !payload.isStale() && !this.#closing;
    const stream = `${batch.topic}/${batch.partition}`;
    for (let from = 0; from < batch.messages.length && goesOn(); from += AT_ONCE) {
      const messages = batch.messages.slice(from, from + AT_ONCE);
      const last = messages.at(-1);
      if (!last) return;
      const seek = await this.#deliver(stream, batch, { messages, goesOn, heartbeat: () => payload.heartbeat() });
      if (seek === STOPPED) return;
      if (seek !== undefined) { this.#consumer.seek({ topic: batch.topic, partition: batch.partition, offset: seek }); return; }
      payload.resolveOffset(last.offset);
      await payload.heartbeat();
    }
  }

  async #deliver(stream: string, batch: Batch, { messages, goesOn, heartbeat }: { messages: readonly KafkaMessage[]; goesOn: () => boolean; heartbeat: () => Promise<void> }): Promise<string | typeof STOPPED | undefined> {
    const { read, consumer, log, now = Date.now, topic } = this.options;
    const positions = messages.map(({ offset }) => BigInt(offset));
    const [first = 0n, last = 0n] = [positions[0], positions.at(-1)];
    const items = messages.map((message) => read(partsOf(message, `${stream}/${message.offset}`), now()));
    for (let attempt = 0; goesOn(); attempt += 1) {
      try {
        const known = await consumer.position(stream);
        if (known !== undefined && last < known) return String(known);
        const hole = known !== undefined && first > known && this.#sought.get(batch.partition) === String(known);
        if (hole) log.error({ topic, partition: batch.partition, from: String(known), to: String(first) }, 'the broker no longer has these messages: which calls are missing is told by the reconciliation');
        const delivery: Delivery = { stream, next: last + 1n, positions, items, ...(hole ? {} : { first }) };
        const elsewhere = await consumer.take(delivery);
        if (elsewhere) { this.#sought.set(batch.partition, String(elsewhere.seek)); return String(elsewhere.seek); }
        this.#sought.delete(batch.partition);
        this.lastError = undefined;
        const refused = items.flatMap((item, at) => (isTaken(item) || !messages[at] ? [] : [{ message: messages[at], reason: item.reason }]));
        if (refused.length > 0) await this.options.refused(refused).catch((failure: unknown) => { log.warn({ err: failure }, 'the dead-letter topic could not be written: the events are in the quarantine table'); });
        return undefined;
      } catch (failure) {
        this.lastError = failure instanceof Error ? failure.message : String(failure);
        log.warn({ topic, partition: batch.partition, err: failure }, 'a batch could not be taken: tried again');
        await wait(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)]);
        await heartbeat().catch(() => undefined);
      }
    }
    return STOPPED;
  }
}

const partsOf = ({ headers = {}, key, value }: KafkaMessage, place: string): MessageParts => ({
  header: (name) => { const found = headers[name]; return found === undefined ? undefined : String(Array.isArray(found) ? found[0] : found); },
  key: key === null ? undefined : key.toString(), value: value === null ? '' : value.toString(), place,
});
