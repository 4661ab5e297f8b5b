import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { API_KEY_DIRECTORY, API_KEY_STORE, CATALOGUE_SOURCE, CONTROL_STORE, HIDE_SECRET, LOG, POLICY_STORE, READINESS, SQL_DATABASE } from '#libs/core/tokens.js';
import type { Log } from '#libs/core/ports.js';
import { databaseApiKeyDirectory, databaseApiKeyStore } from './api-keys.js';
import { databaseCatalogueSource, type WatchOptions } from './catalogue-source.js';
import { databaseControlStore } from './control-store.js';
import { type Database, type DatabaseLocation, openDatabase } from './database.js';
import { migrate } from './migrate.js';
import { databasePolicyStore } from './policies.js';
import { databaseReadiness } from './readiness.js';
import { sqlDatabase } from './sql-database.js';

const DATABASE = Symbol('Database');

export interface StateOptions extends Omit<WatchOptions, 'onTrouble'> {
  readonly location: DatabaseLocation;
  /** The control plane brings the database to its schema at start. A data plane does not touch it: it is not ready, and says why, as long as a migration is missing. */
  readonly migrates: boolean;
}

/** The database, and on it the `ControlStore`, the `CatalogueSource` and the API keys as control and data plane see them. */
@Module({})
export class StateModule implements OnApplicationShutdown {
  constructor(@Inject(DATABASE) private readonly database: Database) {}

  static with({ location, migrates, ...watch }: StateOptions): DynamicModule {
    const open = async (log: Log, hide: (secret: string) => void): Promise<Database> => {
      if ('url' in location) hide(location.url);
      const database = await openDatabase(location);
      if (!migrates) return database;
      try {
        log.info({ applied: await migrate(database) }, 'database is at this build\'s schema');
        return database;
      } catch (failure) {
        await database.close();
        throw failure;
      }
    };
    return {
      module: StateModule, global: true,
      providers: [
        { provide: DATABASE, inject: [LOG, HIDE_SECRET], useFactory: open },
        { provide: SQL_DATABASE, inject: [DATABASE], useFactory: sqlDatabase },
        { provide: CONTROL_STORE, inject: [DATABASE], useFactory: databaseControlStore },
        { provide: API_KEY_STORE, inject: [DATABASE], useFactory: databaseApiKeyStore },
        { provide: API_KEY_DIRECTORY, inject: [DATABASE, LOG], useFactory: (database: Database, log: Log) => databaseApiKeyDirectory(database, { onTrouble: (failure) => { log.debug({ err: failure }, 'API key watch interrupted'); } }) },
        {
          provide: CATALOGUE_SOURCE, inject: [DATABASE, LOG],
          useFactory: (database: Database, log: Log) => databaseCatalogueSource(database, { ...watch, onTrouble: (failure) => { log.debug({ err: failure }, 'catalogue watch interrupted'); } }),
        },
        { provide: POLICY_STORE, inject: [DATABASE, LOG], useFactory: (database: Database, log: Log) => databasePolicyStore(database, { onTrouble: (failure) => { log.debug({ err: failure }, 'policy watch interrupted'); } }) },
        { provide: READINESS.database, inject: [DATABASE], useFactory: (database: Database) => databaseReadiness(database) },
      ],
      exports: [POLICY_STORE, CONTROL_STORE, SQL_DATABASE, CATALOGUE_SOURCE, API_KEY_STORE, API_KEY_DIRECTORY, READINESS.database],
    };
  }

  async onApplicationShutdown(): Promise<void> { await this.database.close(); }
}
