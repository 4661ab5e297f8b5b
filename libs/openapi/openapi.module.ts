import { Module } from '@nestjs/common';
import type { DynamicModule } from '@nestjs/common';
import { DocumentConverter } from '#libs/openapi/conversion-worker.js';
import type { ConverterOptions } from '#libs/openapi/conversion-worker.js';

/** Offers `DocumentConverter` to whoever imports documents. */
@Module({})
export class OpenapiModule {
  static with(options: ConverterOptions = {}): DynamicModule {
    return {
      module: OpenapiModule,
      providers: [{ provide: DocumentConverter, useFactory: () => new DocumentConverter(options) }],
      exports: [DocumentConverter],
    };
  }
}
