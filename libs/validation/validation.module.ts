import { type DynamicModule, Module } from '@nestjs/common';
import { createArgumentValidator } from './validator.js';

/** The token of the process's one `Validator`. */
export const VALIDATOR = Symbol('Validator');

@Module({})
export class ValidationModule {
  static with(): DynamicModule {
    return { module: ValidationModule, global: true, providers: [{ provide: VALIDATOR, useFactory: createArgumentValidator }], exports: [VALIDATOR] };
  }
}
