import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaSink } from '#libs/metering/kafka-sink.js';
import { type Metering, openMetering } from '#libs/metering/metering.js';
import { aCall, endingOf, silent } from '#libs/metering/a-call.contract.js';
import { type KafkaBroker, startKafka } from './services/kafka.js';

let broker: KafkaBroker;
beforeAll(async () => { broker = await startKafka(); });
afterAll(async () => { await broker.dispose(); });

const client = (): Kafka => new Kafka({ brokers: [broker.address], clientId: 'witness', logLevel: logLevel.NOTHING, retry: { retries: 20, initialRetryTime: 50, maxRetryTime: 500 } });

interface Read { readonly key: string; readonly value: Record<string, unknown>; readonly headers: Record<string, string> }

/** Everything on a topic, from its beginning to where it ends now. */
async function readAll(topic: string): Promise<readonly Read[]> {
  const kafka = client();
  const admin = kafka.admin();
  await admin.connect();
  const total = (await admin.fetchTopicOffsets(topic)).reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
  await admin.disconnect();
  const consumer = kafka.consumer({ groupId: `witness-${Math.random()}`, maxWaitTimeInMs: 100 });
  const read: Read[] = [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const all = Promise.withResolvers<void>();
  if (total === 0) all.resolve();
  await consumer.run({ eachMessage: ({ message }) => {
    read.push({
      key: message.key?.toString() ?? '', value: JSON.parse(message.value?.toString() ?? '{}') as Record<string, unknown>,
      headers: Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)])),
    });
    if (read.length >= total) all.resolve();
    return Promise.resolve();
  } });
  await all.promise;
  await consumer.disconnect();
  return read;
}

const idsOf = (read: readonly Read[], field: string): readonly string[] => read.map(({ value }) => String(value[field])).toSorted();
const topicsFor = (name: string) => ({ events: `${name}.events`, audit: `${name}.audit`, deadLetter: `${name}.dead`, alerts: `${name}.alerts` });

async function open(directory: string, name: string, mode: 'journal' | 'journal+ack' = 'journal'): Promise<{ metering: Metering; sink: KafkaSink }> {
  const sink = new KafkaSink({ brokers: [broker.address], clientId: 'stoa-test', topics: topicsFor(name), settings: { partitions: 4, replicas: 1, minInSync: 1 }, log: silent });
  const metering = await openMetering({ directory, cluster: 'test', instance: 'one', mode, maxBytes: 1e9, sink, own: () => Promise.resolve(() => Promise.resolve()), log: silent });
  metering.start();
  return { metering, sink };
}

/** One call from intent to ending; answers its id. */
async function run(metering: Metering): Promise<string> {
  const call = aCall();
  const callId = await metering.meter.intent(call);
  if (typeof callId !== 'string') throw new Error(`refused: ${callId.reason}`);
  await metering.meter.settle(endingOf({ ...call, callId }));
  return callId;
}

const reading = (metering: Metering, name: string): number => metering.readings.find((one) => one.name === name)?.read() ?? NaN;
async function drained(metering: Metering): Promise<void> {
  for (let turn = 0; reading(metering, 'journal_unshipped_records') > 0; turn += 1) {
    if (turn > 600) throw new Error('not drained within a minute');
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}
const inFolder = async (work: (directory: string) => Promise<void>): Promise<void> => {
  const directory = await mkdtemp(join(tmpdir(), 'stoa-metering-'));
  try { await work(directory); } finally { await rm(directory, { recursive: true, force: true }); }
};

describe('usage events on a real broker', () => {
  it('has one event per call, flat and in an envelope, and one call record, and makes the topics with their partitions', () => inFolder(async (directory) => {
    const { metering } = await open(directory, 'first');
    const ids = await Promise.all(Array.from({ length: 200 }, () => run(metering)));
    await metering.close(20_000);
    const events = await readAll('first.events');
    expect(idsOf(events, 'call_id')).toEqual(ids.toSorted());
    const [event] = events;
    expect(Object.keys(event?.value ?? {}).slice(0, 12)).toEqual(['event_id', 'timestamp', 'tenant', 'project', 'consumer', 'user_id', 'tool', 'latency_ms', 'status', 'cost_units', 'request_id', 'metadata']);
    expect(event?.key).toMatch(/^acme:[0-7]$/);
    expect(new Set(events.map(({ key }) => key)).size).toBe(8);
    expect(event?.headers).toMatchObject({ ce_specversion: '1.0', ce_type: 'dev.gostoa.meter.call.v1', ce_subject: 'acme', ce_partitionkey: event?.key, 'content-type': 'application/json' });
    expect(event?.headers['ce_source']).toMatch(/^\/gw\/test\/one\/[0-9a-f]{15}$/);
    const records = await readAll('first.audit');
    expect(idsOf(records, 'id')).toEqual(ids.toSorted());
    expect(new Set(records.map(({ key }) => key))).toEqual(new Set(['acme']));
    const admin = client().admin();
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: Object.values(topicsFor('first')) });
    expect(Object.fromEntries(topics.map(({ name, partitions }) => [name, partitions.length]))).toEqual({ 'first.events': 4, 'first.audit': 2, 'first.dead': 3, 'first.alerts': 3 });
    await admin.disconnect();
  }));

  it('loses nothing while the broker is killed twice under load: calls go on, the journal grows, and drains afterwards', () => inFolder(async (directory) => {
    const { metering, sink } = await open(directory, 'outage');
    const ids = new Set<string>();
    const going = new AbortController();
    const load = Promise.all(Array.from({ length: 16 }, async () => { while (!going.signal.aborted) { ids.add(await run(metering)); await new Promise((resolve) => { setTimeout(resolve, 5); }); } }));
    const until = async (count: number): Promise<void> => { while (ids.size < count) await new Promise((resolve) => { setTimeout(resolve, 20); }); };
    await until(1000);
    for (let kill = 0; kill < 2; kill += 1) {
      await broker.kill();
      const before = ids.size;
      await until(before + 3000);
      expect(reading(metering, 'journal_unshipped_records')).toBeGreaterThan(1000);
      expect((await metering.ready.check()).ok).toBe(true);
      await broker.start();
      await until(ids.size + 1000);
    }
    going.abort();
    await load;
    await drained(metering);
    expect(sink.replaced).toBeGreaterThan(0);
    await metering.close(20_000);
    expect(ids.size).toBeGreaterThan(8000);
    // At least once: the same id may stand twice, and counts once.
    expect(new Set((await readAll('outage.events')).map(({ value }) => String(value['call_id'])))).toEqual(ids);
    expect(new Set((await readAll('outage.audit')).map(({ value }) => String(value['id'])))).toEqual(ids);
  }), 120_000);

  it('answers only what the broker has, in the mode journal+ack, and is not ready while it is away', () => inFolder(async (directory) => {
    const { metering } = await open(directory, 'acked', 'journal+ack');
    const ids = await Promise.all(Array.from({ length: 50 }, () => run(metering)));
    expect(idsOf(await readAll('acked.events'), 'call_id')).toEqual(ids.toSorted());
    await broker.kill();
    await expect(run(metering)).rejects.toThrow(/kafka is unavailable/);
    expect(await metering.ready.check()).toMatchObject({ ok: false });
    await broker.start();
    for (let turn = 0; turn < 300 && !(await metering.ready.check()).ok; turn += 1) await new Promise((resolve) => { setTimeout(resolve, 100); });
    await run(metering);
    await metering.close(20_000);
  }), 120_000);
});

