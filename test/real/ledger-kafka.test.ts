import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NestApplicationContextOptions } from '@nestjs/common/interfaces/nest-application-context-options.interface.js';
import { NestFactory } from '@nestjs/core';
import { BillingModule } from '#apps/billing/src/billing.module.js';
import { BillingConfig } from '#apps/billing/src/config.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { aRecord, type Facts, sourceOf } from '#libs/ledger/a-usage.contract.js';
import { shuffled, totals } from '#libs/ledger/consumer.contract.js';
import { KafkaSink } from '#libs/metering/kafka-sink.js';
import { type Database, openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { type KafkaBroker, startKafka } from './services/kafka.js';
import { type PostgresServer, startPostgres } from './services/postgres.js';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const TOPICS = { events: 'stoa.metering.events', audit: 'stoa.audit.events', deadLetter: 'stoa.metering.dead-letter', alerts: 'stoa.metering.alerts' };
const BOOT = 'aaaaaaaaaaaaaa1';

describe('the billing process on Kafka and Postgres', () => {
  let broker: KafkaBroker;
  let postgres: PostgresServer;
  let database: Database;
  let url: string;
  let sink: KafkaSink;
  beforeAll(async () => {
    [broker, postgres] = await Promise.all([startKafka(), startPostgres()]);
    url = await postgres.database();
    database = await openDatabase({ url });
    await migrate(database);
    sink = new KafkaSink({ brokers: [broker.address], clientId: 'gateway', topics: TOPICS, settings: { partitions: 4, replicas: 1, minInSync: 1 }, log: silent });
  });
  afterAll(async () => {
    await sink.close();
    await database.close();
    await Promise.all([broker.dispose(), postgres.stop()]);
  });

  const quiet: NestApplicationContextOptions = { logger: false, abortOnError: false };
  const open = () => NestFactory.createApplicationContext(BillingModule.with(readConfig(BillingConfig, { DATABASE_URL: url, KAFKA_BOOTSTRAP_SERVERS: broker.address, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'silent' })), quiet);
  const produce = async (facts: readonly Facts[]): Promise<void> => {
    for (let at = 0; at < facts.length; at += 100) {
      const records = facts.slice(at, at + 100).map((one) => aRecord({ at: Date.now() - 1000, boot: BOOT, ...one }));
      await sink.accept({ source: sourceOf(BOOT), firstSeq: 1, lastSeq: 1, complete: 0, ended: false, records });
    }
  };
  const until = async (entries: bigint, records: bigint): Promise<Awaited<ReturnType<typeof totals>>> => {
    const sql = sqlDatabase(database);
    for (const end = Date.now() + 45_000; ;) {
      const found = await totals(sql, BOOT);
      if ((found.entries >= entries && found.records >= records) || Date.now() > end) return found;
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
  };

  it('takes each call once from the topic, with its record, though it is there up to five times, readers come and go, and bad messages lie between', async () => {
    const facts = Array.from({ length: 400 }, (_, at): Facts => ({ seq: at + 1, tool: `tool_${at % 3}`, tenant: at % 3 === 0 ? 'globex' : 'acme', backendMs: at }));
    await produce(shuffled(facts.flatMap((one, at) => Array.from({ length: 1 + at % 5 }, () => one)), 11).slice(0, 700));
    const bad = new Kafka({ brokers: [broker.address], clientId: 'stranger', logLevel: logLevel.NOTHING });
    const producer = bad.producer();
    await producer.connect();
    await producer.send({ topic: TOPICS.events, messages: [{ key: 'acme:1', value: 'not json' }, { key: null, value: null }, { key: 'acme:2', value: '{}', headers: { ce_type: 'dev.gostoa.meter.call.v9' } }] });
    await producer.disconnect();

    const first = await open();
    await until(100n, 100n);
    const second = await open();
    await produce(facts);
    await first.close();
    const found = await until(400n, 400n);
    expect(found.entries).toBe(400n);
    expect(found.records).toBe(400n);
    const cost = facts.reduce((sum, { backendMs = 0 }) => sum + 1_000_000n + BigInt(backendMs) * 1000n, 0n);
    expect([found.amount, found.hours, found.meters, found.months].map(BigInt)).toEqual([cost, cost, cost, cost]);
    const sql = sqlDatabase(database);
    expect(await sql.control((on) => on.query(`SELECT seen::text AS seen FROM ledger.sources WHERE source = $1`, sourceOf(BOOT)))).toEqual([{ seen: '{[1,401)}' }]);
    expect(await sql.control((on) => on.query(`SELECT count(*)::int AS n FROM ledger.quarantine`))).toEqual([{ n: 3 }]);
    await second.close();

    // A third begins where the database says, not where the group does.
    const third = await open();
    await produce([{ seq: 401, backendMs: 0 }]);
    expect((await until(401n, 401n)).entries).toBe(401n);
    await third.close();
  }, 180_000);
});
