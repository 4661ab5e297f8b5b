import { type DynamicModule, Module } from '@nestjs/common';
import { ADMISSION } from '#libs/core/tokens.js';
import { type ConverterOptions, DocumentConverter } from './conversion-worker.js';

/** OpenAPI and Swagger documents, for whoever imports APIs. */
@Module({})
export class OpenapiModule {
  static with(options: ConverterOptions = {}): DynamicModule {
    return { module: OpenapiModule, global: true, providers: [{ provide: ADMISSION.openapi, useFactory: () => new DocumentConverter(options) }], exports: [ADMISSION.openapi] };
  }
}
