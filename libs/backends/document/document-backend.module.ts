import { type DynamicModule, Module } from '@nestjs/common';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import { BACKEND, CATALOGUE_SOURCE } from '#libs/core/tokens.js';
import { DocumentBackend } from './document-backend.js';

/** Imported documents, read from the control plane's store. */
@Module({})
export class DocumentBackendModule {
  static with(): DynamicModule {
    return {
      module: DocumentBackendModule, global: true,
      providers: [{ provide: BACKEND.document, inject: [CATALOGUE_SOURCE], useFactory: (source: CatalogueSource) => new DocumentBackend(source) }],
      exports: [BACKEND.document],
    };
  }
}
