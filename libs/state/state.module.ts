import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import type { ControlStore } from '#libs/core/control-store.js';
import { databaseCatalogueSource, type WatchOptions } from './catalogue-source.js';
import { databaseControlStore } from './control-store.js';
import { type Database, type DatabaseLocation, openDatabase } from './database.js';
import { assertMigrated, migrate } from './migrate.js';

/** Tokens of the process's one `Database`, and of the `ControlStore` and `CatalogueSource` on it. */
export const DATABASE = Symbol('Database');
export const CONTROL_STORE = Symbol('ControlStore');
export const CATALOGUE_SOURCE = Symbol('CatalogueSource');

export interface StateOptions extends WatchOptions {
  readonly location: DatabaseLocation;
  /** `migrates`: the control plane brings the database to its schema at start; `checks`: a data plane refuses to start on another. */
  readonly schema: 'migrates' | 'checks';
}

@Module({})
export class StateModule implements OnApplicationShutdown {
  static with({ location, schema, ...watch }: StateOptions): DynamicModule {
    const open = async (): Promise<Database> => {
      const database = await openDatabase(location);
      try {
        await (schema === 'migrates' ? migrate(database) : assertMigrated(database));
        return database;
      } catch (failure) {
        await database.close();
        throw failure;
      }
    };
    return {
      module: StateModule, global: true,
      providers: [
        { provide: DATABASE, useFactory: open },
        { provide: CONTROL_STORE, inject: [DATABASE], useFactory: (database: Database): ControlStore => databaseControlStore(database) },
        { provide: CATALOGUE_SOURCE, inject: [DATABASE], useFactory: (database: Database): CatalogueSource => databaseCatalogueSource(database, watch) },
      ],
      exports: [DATABASE, CONTROL_STORE, CATALOGUE_SOURCE],
    };
  }
  constructor(@Inject(DATABASE) private readonly database: Database) {}
  async onApplicationShutdown(): Promise<void> { await this.database.close(); }
}
