import { type DynamicModule, Module } from '@nestjs/common';
import type { Log, Redactor } from '#libs/core/ports.js';
import { LOG, REDACTOR } from '#libs/core/tokens.js';
import { createRedactor } from './redactor.js';
import { readSettings } from './settings.js';

export interface RedactionOptions {
  /** Names of shipped patterns. */
  readonly patterns?: readonly string[];
  /** YAML with patterns and fields of one's own. */
  readonly file?: string;
  readonly budgetMs: number;
}

/** The process's one redactor. Throws `RedactionRefused` at once where a pattern cannot be used. */
@Module({})
export class RedactionModule {
  static with({ patterns, file, budgetMs }: RedactionOptions): DynamicModule {
    const settings = readSettings({ patterns, file });
    return {
      module: RedactionModule, global: true, exports: [REDACTOR],
      providers: [{ provide: REDACTOR, inject: [{ token: LOG, optional: true }], useFactory: (log?: Log): Required<Redactor> => createRedactor({ settings, budgetMs, log }) }],
    };
  }
}
