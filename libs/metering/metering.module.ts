import { type DynamicModule, Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Log, Redactor } from '#libs/core/ports.js';
import { LOG, READINESS, READINGS, RECORD_SINK, RECORD_SOURCE, REDACTOR, USAGE_METER } from '#libs/core/tokens.js';
import type { RecordSink } from '#libs/core/usage-events.js';
import { allSinks } from './all-sinks.js';
import { type KafkaOptions, KafkaSink } from './kafka-sink.js';
import { type Metering, type MeteringOptions, openMetering } from './metering.js';

export interface MeteringModuleOptions extends Omit<MeteringOptions, 'sink' | 'log' | 'redactArguments' | 'files'> {
  /** Unset: the sinks of this process (`RECORD_SINK`) take the records, and without one the journal keeps the latest. */
  readonly kafka?: Omit<KafkaOptions, 'log'>;
  /** How long the end of the process may wait for records to be taken, in milliseconds. What is not taken then is, after the next start. */
  readonly drainMs: number;
}

const optional = (token: symbol): { token: symbol; optional: true } => ({ token, optional: true });
const METERING = Symbol('Metering');
const DRAIN_MS = Symbol('MeteringModule drainMs');

/** Every call on record before its backend is asked, and handed on from there. */
@Module({})
export class MeteringModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(@Inject(METERING) private readonly metering: Metering, @Inject(DRAIN_MS) private readonly drainMs: number) {}

  static with({ kafka, drainMs, ...options }: MeteringModuleOptions): DynamicModule {
    const open = (log: Log, ledger?: RecordSink, audit?: RecordSink, redactor?: Redactor): Promise<Metering> => openMetering({
      ...options, log, sink: allSinks([kafka ? new KafkaSink({ ...kafka, log }) : undefined, ledger, audit]), redactArguments: redactor?.redactArguments?.bind(redactor),
    });
    return {
      module: MeteringModule, global: true,
      providers: [
        { provide: DRAIN_MS, useValue: drainMs },
        { provide: METERING, inject: [LOG, optional(RECORD_SINK.ledger), optional(RECORD_SINK.audit), optional(REDACTOR)], useFactory: open },
        { provide: USAGE_METER, inject: [METERING], useFactory: ({ meter }: Metering) => meter },
        { provide: RECORD_SOURCE, inject: [METERING], useFactory: ({ source }: Metering) => source },
        { provide: READINESS.journal, inject: [METERING], useFactory: ({ ready }: Metering) => ready },
        { provide: READINGS.metering, inject: [METERING], useFactory: ({ readings }: Metering) => readings },
      ],
      exports: [USAGE_METER, RECORD_SOURCE, READINESS.journal, READINGS.metering],
    };
  }

  onApplicationBootstrap(): void { this.metering.start(); }
  async onApplicationShutdown(): Promise<void> { await this.metering.close(this.drainMs); }
}
