import { type DynamicModule, Module } from '@nestjs/common';
import { BACKEND } from '#libs/core/tokens.js';
import { InlineBackend } from './inline-backend.js';

/** Resources whose content is in the catalogue. */
@Module({})
export class InlineBackendModule {
  static with(): DynamicModule {
    return { module: InlineBackendModule, global: true, providers: [{ provide: BACKEND.inline, useFactory: () => new InlineBackend() }], exports: [BACKEND.inline] };
  }
}
