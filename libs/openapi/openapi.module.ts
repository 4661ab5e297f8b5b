import { type DynamicModule, Module } from '@nestjs/common';
import { type ConverterOptions, DocumentConverter } from './conversion-worker.js';

/** Offers `DocumentConverter` to whoever imports documents. */
@Module({})
export class OpenapiModule {
  static with(options: ConverterOptions = {}): DynamicModule {
    return { module: OpenapiModule, global: true, providers: [{ provide: DocumentConverter, useFactory: () => new DocumentConverter(options) }], exports: [DocumentConverter] };
  }
}
