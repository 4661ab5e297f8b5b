import { NestFactory } from '@nestjs/core';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BillingModule } from '#apps/billing/src/billing.module.js';
import { BillingConfig } from '#apps/billing/src/config.js';
import { aRecord, slug } from '#libs/audit/a-record.contract.js';
import { type Checkpoint, CheckpointSigner, newSigningKey, readKeys } from '#libs/audit/checkpoint.js';
import { Checkpointer } from '#libs/audit/checkpointer.js';
import { storedTrail } from '#libs/audit/trail.js';
import { AuditVerifier } from '#libs/audit/verify.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { KafkaSink } from '#libs/metering/kafka-sink.js';
import { type Database, openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { type KafkaBroker, startKafka } from './services/kafka.js';
import { type PostgresServer, startPostgres } from './services/postgres.js';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const TOPICS = { events: 'stoa.metering.events', audit: 'stoa.audit.events', deadLetter: 'stoa.metering.dead-letter', alerts: 'stoa.metering.alerts' };

describe('the audit trail on Kafka and Postgres', () => {
  let broker: KafkaBroker;
  let postgres: PostgresServer;
  let database: Database;
  let url: string;
  beforeAll(async () => {
    [broker, postgres] = await Promise.all([startKafka(), startPostgres()]);
    url = await postgres.database();
    database = await openDatabase({ url });
    await migrate(database);
  });
  afterAll(async () => {
    await database.close();
    await Promise.all([broker.dispose(), postgres.stop()]);
  });

  it('is made of the topic of call records, each once though it is there three times and two readers share it, and checkpoints arrive on a topic that convicts a cut tail', async () => {
    const sink = new KafkaSink({ brokers: [broker.address], clientId: 'gateway', topics: TOPICS, settings: { partitions: 4, replicas: 1, minInSync: 1 }, log: silent });
    const source = `/gw/c/i/${aRecord(1).id.split('-')[0]}`;
    const records = Array.from({ length: 300 }, (_, i) => aRecord(i + 1, { at: Date.now() - 1000 }));
    for (let time = 0; time < 3; time += 1) {
      for (let at = 0; at < 300; at += 100) await sink.accept({ source, firstSeq: 1, lastSeq: 300, complete: 0, ended: false, records: records.slice(at, at + 100) });
    }
    const open = () => NestFactory.createApplicationContext(BillingModule.with(readConfig(BillingConfig, { DATABASE_URL: url, KAFKA_BOOTSTRAP_SERVERS: broker.address, KAFKA_REPLICATION_FACTOR: '1', PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'silent' })), { logger: false, abortOnError: false });
    const [one, two] = [await open(), await open()];
    const sql = sqlDatabase(database);
    const signer = new CheckpointSigner(newSigningKey());
    const checkpointer = new Checkpointer({ database: sql, signer, everyEntries: 1, everySeconds: 1, anchor: undefined, log: silent });
    const trail = storedTrail({ database: sql, checkpointer });
    await vi.waitFor(async () => { expect((await trail.query({ scope: slug('acme') }, { limit: 1 })).total).toBe(300); }, { timeout: 60_000, interval: 200 });
    await checkpointer.sign('acme');

    const anchors: Checkpoint[] = [];
    const reader = new Kafka({ brokers: [broker.address], clientId: 'auditor', logLevel: logLevel.NOTHING }).consumer({ groupId: 'auditor' });
    await reader.connect();
    await vi.waitFor(() => reader.subscribe({ topic: 'stoa.audit.checkpoints', fromBeginning: true }), { timeout: 30_000, interval: 500 });
    await reader.run({ eachMessage: async ({ message }) => { anchors.push(JSON.parse(String(message.value)) as Checkpoint); } });
    await vi.waitFor(() => { expect(anchors.at(-1)?.seq).toBe(300); }, { timeout: 45_000, interval: 200 });
    await reader.disconnect();

    const verified = async () => {
      const verifier = new AuditVerifier({ keys: readKeys([signer.publicKey]), anchors });
      for await (const line of trail.export(slug('acme'), {}, true)) verifier.take(line);
      return verifier.finish();
    };
    expect(await verified()).toMatchObject({ fault: undefined, entries: 300, anchoredTo: 300, notes: [] });
    await Promise.all([one.close(), two.close(), sink.close()]);
    await database.session((session) => session.script(`DELETE FROM audit.entries WHERE seq > 250; DELETE FROM audit.checkpoints; UPDATE audit.heads h SET seq = 250`));
    expect((await verified()).fault?.problem).toMatch(/tail was cut off/);
  }, 240_000);
});
