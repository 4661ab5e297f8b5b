import { type DynamicModule, Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import type { Log, ReadinessCheck } from '#libs/core/ports.js';
import { CATALOGUE, CATALOGUE_SOURCE, LOG, READINESS } from '#libs/core/tokens.js';
import { type CatalogueOptions, createCatalogue, type LiveCatalogue } from './catalogue.js';

export interface CatalogueModuleOptions extends Omit<CatalogueOptions, 'source' | 'logger'> {
  /** Whether the application is up only when the source was asked once. Without: it is alive at once, whatever the source does, and ready when that answers. */
  readonly waits: boolean;
}
const WAITS = Symbol('CatalogueModule waits');

/** The data plane's catalogue, which begins to watch its source as the application is up. */
@Module({})
export class CatalogueModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(@Inject(CATALOGUE) private readonly catalogue: LiveCatalogue, @Inject(WAITS) private readonly waits: boolean) {}

  static with({ waits, ...options }: CatalogueModuleOptions): DynamicModule {
    return {
      module: CatalogueModule, global: true,
      providers: [
        { provide: WAITS, useValue: waits },
        { provide: CATALOGUE, inject: [CATALOGUE_SOURCE, LOG], useFactory: (source: CatalogueSource, logger: Log) => createCatalogue({ ...options, source, logger }) },
        { provide: READINESS.catalogue, inject: [CATALOGUE], useFactory: (catalogue: LiveCatalogue): ReadinessCheck => ({ name: 'catalogue', check: () => Promise.resolve(catalogue.ready()) }) },
      ],
      exports: [CATALOGUE, READINESS.catalogue],
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    const started = this.catalogue.start();
    if (this.waits) await started;
  }
  async onApplicationShutdown(): Promise<void> { await this.catalogue.stop(); }
}
