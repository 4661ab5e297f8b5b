import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Log } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { LOG, REPLAYS, SQL_DATABASE } from '#libs/core/tokens.js';
import type { KeptAnswers } from './kept-answers.js';
import { memoryAnswers } from './memory-answers.js';
import { type RedisAnswersOptions, redisAnswers } from './redis-answers.js';
import { idempotency } from './replays.js';
import { storedAnswers } from './stored-answers.js';

/** Where answers are kept: of this process alone, of all replicas, or in the process's own database, so that they survive a restart. */
export type IdempotencyModuleOptions = { readonly in: 'memory' } | { readonly in: 'database' } | ({ readonly in: 'redis' } & RedisAnswersOptions);

const ANSWERS = Symbol('KeptAnswers');

/** The same call twice is made once, where its caller says so. */
@Module({})
export class IdempotencyModule implements OnApplicationShutdown {
  static with(options: IdempotencyModuleOptions): DynamicModule {
    return {
      module: IdempotencyModule, global: true,
      providers: [
        {
          provide: ANSWERS, inject: options.in === 'database' ? [SQL_DATABASE] : [],
          useFactory: (database: SqlDatabase): KeptAnswers => (options.in === 'redis' ? redisAnswers(options) : options.in === 'database' ? storedAnswers(database) : memoryAnswers()),
        },
        { provide: REPLAYS, inject: [ANSWERS, LOG], useFactory: (answers: KeptAnswers, log: Log) => idempotency({ answers, log }) },
      ],
      exports: [REPLAYS],
    };
  }
  constructor(@Inject(ANSWERS) private readonly answers: KeptAnswers) {}
  onApplicationShutdown(): void { this.answers.close(); }
}
