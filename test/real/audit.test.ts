import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { aRecord, slug } from '#libs/audit/a-record.contract.js';
import { CheckpointSigner, newSigningKey } from '#libs/audit/checkpoint.js';
import { Checkpointer } from '#libs/audit/checkpointer.js';
import { AuditKeeper } from '#libs/audit/keeper.js';
import { auditCalls, storedAdminAudit } from '#libs/audit/record-calls.js';
import { storedTrail } from '#libs/audit/trail.js';
import { trailContract } from '#libs/audit/trail.contract.js';
import { Unavailable } from '#libs/core/errors.js';
import { BookShelf } from '#libs/ledger/books.js';
import { NO_ACCOUNTS } from '#libs/ledger/apply-charges.js';
import { LedgerConsumer } from '#libs/ledger/consumer.js';
import { ledgerSink } from '#libs/ledger/ledger-sink.js';
import { aCall, endingOf } from '#libs/metering/a-call.contract.js';
import { openMetering } from '#libs/metering/metering.js';
import { ownDataFolder } from '#libs/state/data-folder.js';
import { type Database, openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { type PostgresServer, startPostgres } from './services/postgres.js';

let server: PostgresServer;
beforeAll(async () => { server = await startPostgres(); });
afterAll(() => server.stop());
const opened = async (): Promise<Database> => {
  const database = await openDatabase({ url: await server.database() });
  await migrate(database);
  return database;
};

trailContract('Postgres', async () => {
  const database = await opened();
  return { database: sqlDatabase(database), asOwner: (sql) => database.session((session) => session.script(sql)), close: () => database.close() };
});

describe('while Postgres is down', () => {
  const acme = slug('acme');
  const folder = mkdtempSync(join(tmpdir(), 'stoa-audit-'));
  const errors: string[] = [];
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: (_fields: object, message: string) => { errors.push(message); } };
  let database: Database;
  beforeAll(async () => { database = await opened(); });
  afterAll(async () => { await database.close(); rmSync(folder, { recursive: true, force: true }); });

  it('calls go on and wait in the journal, an alert is raised, changes are refused; afterwards each call is in the trail once', async () => {
    const sql = sqlDatabase(database);
    const consumer = new LedgerConsumer({ database: sql, pricing: async () => ({ books: new BookShelf([]), accounts: NO_ACCOUNTS }), steps: [auditCalls] });
    const metering = await openMetering({ directory: join(folder, 'journal'), cluster: 'c', instance: 'i', mode: 'journal', maxBytes: 2 ** 26, sink: ledgerSink(consumer), own: ownDataFolder, log });
    const signer = new CheckpointSigner(newSigningKey());
    const checkpointer = new Checkpointer({ database: sql, signer, everyEntries: 100, everySeconds: 1, anchor: undefined, log });
    const keeper = new AuditKeeper({ database: sql, checkpointer, feed: undefined, retentionDays: undefined, log });
    const trail = storedTrail({ database: sql, checkpointer });
    const up = (): number => keeper.readings.find(({ name }) => name === 'audit_store_up')?.read() ?? -1;
    const calls = async (count: number): Promise<void> => {
      await Promise.all(Array.from({ length: count }, async () => {
        const id = await metering.meter.intent(aCall());
        expect(typeof id).toBe('string');
        await metering.meter.settle(endingOf(aCall({ callId: id as string })));
      }));
    };
    const total = async (): Promise<number> => (await trail.query({ scope: acme }, { limit: 1 })).total;
    metering.start();
    await calls(120);
    await vi.waitFor(async () => { expect(await total()).toBe(120); }, { timeout: 30_000, interval: 100 });
    await keeper.tend(Date.now());
    expect(up()).toBe(1);

    await server.halt();
    await calls(700);
    await keeper.tend(Date.now());
    await keeper.tend(Date.now());
    expect([up(), errors.filter((message) => message.startsWith('the audit store is away'))]).toEqual([0, ['the audit store is away: records wait in the journal, changes are refused']]);
    await expect(storedAdminAudit(sql).record({ requestId: 'q', tenant: acme, principal: aRecord(1).principal, action: 'PATCH /x', object: {}, effect: 'allow', at: 0 })).rejects.toThrow(Unavailable);

    await server.resume();
    await vi.waitFor(async () => { expect(await total()).toBe(820); }, { timeout: 60_000, interval: 200 });
    await keeper.tend(Date.now());
    expect(up()).toBe(1);
    const { rows } = await trail.query({ scope: acme }, { limit: 1000 });
    expect(new Set(rows.map(({ id }) => id)).size).toBe(820);
    await trail.check(acme, {});
    await metering.close(1000);
  }, 120_000);
});
