import { type DynamicModule, Module } from '@nestjs/common';
import type { Outbound } from '#libs/core/outbound.js';
import { BACKEND, OUTBOUND } from '#libs/core/tokens.js';
import { FetchBackend } from './fetch-backend.js';

/** Resources that are read from their URL. */
@Module({})
export class FetchBackendModule {
  static with({ version }: { readonly version: string }): DynamicModule {
    const make = (outbound: Outbound): FetchBackend => new FetchBackend({ outbound, version });
    return { module: FetchBackendModule, global: true, providers: [{ provide: BACKEND.fetch, inject: [OUTBOUND], useFactory: make }], exports: [BACKEND.fetch] };
  }
}
