import { type DynamicModule, Module } from '@nestjs/common';
import { BACKEND } from '#libs/core/tokens.js';
import { PromptBackend } from './prompt-backend.js';

/** Prompts filled from their template. */
@Module({})
export class PromptBackendModule {
  static with(): DynamicModule {
    return { module: PromptBackendModule, global: true, providers: [{ provide: BACKEND.prompt, useFactory: () => new PromptBackend() }], exports: [BACKEND.prompt] };
  }
}
