import { type DynamicModule, Inject, Module, type OnApplicationShutdown, Optional } from '@nestjs/common';
import { CATALOGUE, HIDE_SECRET, LOG, TRACING } from '#libs/core/tokens.js';
import type { Tracing } from '#libs/core/tracing.js';
import { createLogging, type LoggerOptions, type Logging } from './logger.js';
import { Metrics, type MetricsOptions } from './metrics.js';
import { startTracing, type TracingOptions } from './start-tracing.js';

export const LOGGING = Symbol('Logging');

export interface ObservabilityOptions {
  readonly log: LoggerOptions;
  /** The data plane's metrics; unset: none. */
  readonly metrics?: Omit<MetricsOptions, 'toolsRegistered'>;
  /** Unset: no spans. */
  readonly tracing?: TracingOptions;
}

/** The process's log, which knows the secrets that it must not write; its metrics and spans where they are switched on. */
@Module({})
export class ObservabilityModule implements OnApplicationShutdown {
  constructor(
    @Inject(LOGGING) private readonly logging: Logging,
    @Optional() @Inject(Metrics) private readonly metrics: Metrics | undefined,
    @Optional() @Inject(TRACING) private readonly tracing: Tracing | undefined,
  ) {}

  static with({ log, metrics, tracing }: ObservabilityOptions): DynamicModule {
    return {
      module: ObservabilityModule, global: true,
      providers: [
        { provide: LOGGING, useFactory: () => createLogging(log) },
        { provide: LOG, inject: [LOGGING], useFactory: ({ logger }: Logging) => logger },
        { provide: HIDE_SECRET, inject: [LOGGING], useFactory: ({ hide }: Logging) => hide },
        ...(metrics ? [{
          provide: Metrics, inject: [{ token: CATALOGUE, optional: true }],
          useFactory: (catalogue?: { toolCount(): number }) => new Metrics({ ...metrics, toolsRegistered: () => catalogue?.toolCount() ?? 0 }),
        }] : []),
        ...(tracing ? [{ provide: TRACING, useFactory: () => startTracing(tracing) }] : []),
      ],
      exports: [LOGGING, LOG, HIDE_SECRET, ...(metrics ? [Metrics] : []), ...(tracing ? [TRACING] : [])],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    this.metrics?.close();
    await this.tracing?.shutdown();
    this.logging.flush();
  }
}
