import { type DynamicModule, Module } from '@nestjs/common';
import { VALIDATOR } from '#libs/core/tokens.js';
import { createArgumentValidator } from './validator.js';

/** Arguments and answers checked against the tools' schemas. */
@Module({})
export class ValidationModule {
  static with(): DynamicModule {
    return { module: ValidationModule, global: true, providers: [{ provide: VALIDATOR, useFactory: createArgumentValidator }], exports: [VALIDATOR] };
  }
}
