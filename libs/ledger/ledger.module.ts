import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Log } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { DECISION_LOG, LOG, PRICE_OFFICE, RECORD_SINK, SPEND_GUARD, SQL_DATABASE, USAGE_LEDGER } from '#libs/core/tokens.js';
import type { SpendGuard, UsageLedger } from '#libs/core/usage-ledger.js';
import { bills } from './bills.js';
import { storedLeases } from './budget-pool.js';
import { keepCallRecords } from './call-records.js';
import { type BatchStep, LedgerConsumer } from './consumer.js';
import { storedDecisionLog } from './decision-log.js';
import { LedgerKeeper } from './keeper.js';
import { ledgerSink } from './ledger-sink.js';
import { priceOffice } from './price-office.js';
import { StoredPricing } from './pricing.js';
import { reconciler } from './reconcile.js';
import { spendGuard } from './spend-guard.js';
import { usageReads } from './usage-reads.js';

export interface LedgerModuleOptions {
  /** What this process does. `takes`: records of its own journal go straight into the ledger (no broker); `guards`: budgets are kept here; `keeps`: makes partitions ahead, and drops old ones. */
  readonly takes: boolean;
  readonly guards: boolean;
  readonly keeps: boolean;
  /** Whether the kept call records are what calls are explained from (`DECISION_LOG`); else something else in the process is. */
  readonly explains?: boolean;
  /** Days that call records are kept to be explained. Default 30. */
  readonly callRecordDays?: number;
  /** Days that entries are kept, 41 at least. Default: for ever. */
  readonly entryDays?: number;
  /** Whether consumers are offered to a process that reads topics: `LEDGER_CONSUMER`. */
  readonly consumes?: boolean;
  /** Further things to be done with each batch, in its transaction. */
  readonly steps?: readonly BatchStep[];
}

/** The `LedgerConsumer` of usage events, and of call records. */
export const LEDGER_CONSUMER = { events: Symbol('LedgerConsumer events'), records: Symbol('LedgerConsumer records') };
const PRICING = Symbol('StoredPricing');
const KEEPER = Symbol('LedgerKeeper');
/** One gateway's lease: a tenth of a unit, or a hundred calls. */
const BLOCK = { nano: 100_000_000n, calls: 100n };
const RECHECK_MS = 2000;

const reads = (database: SqlDatabase, pricing: StoredPricing): UsageLedger => {
  const current = (): ReturnType<StoredPricing['current']> => pricing.current();
  const billing = bills(database, current);
  return {
    ...usageReads(database), reconcile: reconciler(database, current),
    bill: (tenant, month, book) => billing.bill(tenant, month, book), closeBill: (tenant, month) => billing.closeBill(tenant, month), correct: (tenant, month) => billing.correct(tenant, month),
  };
};

/** What calls cost: prices, the ledger, bills, budgets. */
@Module({})
export class LedgerModule implements OnApplicationShutdown {
  constructor(@Inject(KEEPER) private readonly keeper: LedgerKeeper, @Inject(SPEND_GUARD) private readonly guard: SpendGuard | undefined) {}

  static with({ takes, guards, keeps, explains = false, callRecordDays = 30, entryDays, consumes = false, steps = [] }: LedgerModuleOptions): DynamicModule {
    return {
      module: LedgerModule, global: true,
      providers: [
        { provide: PRICING, inject: [SQL_DATABASE], useFactory: (database: SqlDatabase) => new StoredPricing(database) },
        { provide: USAGE_LEDGER, inject: [SQL_DATABASE, PRICING], useFactory: reads },
        { provide: PRICE_OFFICE, inject: [SQL_DATABASE], useFactory: priceOffice },
        { provide: KEEPER, inject: [SQL_DATABASE, LOG], useFactory: (database: SqlDatabase, log: Log) => new LedgerKeeper({ database, log, callRecordDays, entryDays, active: keeps }) },
        {
          provide: SPEND_GUARD, inject: [SQL_DATABASE, PRICING, LOG],
          useFactory: (database: SqlDatabase, pricing: StoredPricing, log: Log) => (guards ? spendGuard({ leases: storedLeases(database), pricing: () => pricing.latest, refresh: () => pricing.current(), block: BLOCK, recheckMs: RECHECK_MS, log }) : undefined),
        },
        ...(takes ? [{
          provide: RECORD_SINK.ledger, inject: [SQL_DATABASE, PRICING, LOG],
          useFactory: (database: SqlDatabase, pricing: StoredPricing, log: Log) => ledgerSink(new LedgerConsumer({ database, pricing: () => pricing.current(), steps: [keepCallRecords, ...steps], log })),
        }] : []),
        ...(consumes ? [{
          provide: LEDGER_CONSUMER.events, inject: [SQL_DATABASE, PRICING, LOG],
          useFactory: (database: SqlDatabase, pricing: StoredPricing, log: Log) => new LedgerConsumer({ database, pricing: () => pricing.current(), log }),
        }, {
          provide: LEDGER_CONSUMER.records, inject: [SQL_DATABASE, PRICING, LOG],
          useFactory: (database: SqlDatabase, pricing: StoredPricing, log: Log) => new LedgerConsumer({ database, pricing: async () => pricing.latest, charges: false, steps: [keepCallRecords, ...steps], log }),
        }] : []),
        ...(explains ? [{ provide: DECISION_LOG, inject: [SQL_DATABASE], useFactory: (database: SqlDatabase) => storedDecisionLog(database, callRecordDays) }] : []),
      ],
      exports: [USAGE_LEDGER, PRICE_OFFICE, SPEND_GUARD, ...(takes ? [RECORD_SINK.ledger] : []), ...(explains ? [DECISION_LOG] : []), ...(consumes ? Object.values(LEDGER_CONSUMER) : [])],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    this.keeper.close();
    await this.guard?.close();
  }
}
