import { type DynamicModule, Module } from '@nestjs/common';
import type { Outbound } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { BACKEND, CREDENTIAL_RESOLVER, OUTBOUND, TRACING, VALIDATOR } from '#libs/core/tokens.js';
import type { Tracing } from '#libs/core/tracing.js';
import { RestBackend, type RestBackendOptions } from './rest-backend.js';
import { backendSpans } from '#libs/backends/http/spans.js';

/** Calls of operations of HTTP APIs, through egress; with spans where the process has tracing. */
@Module({})
export class RestBackendModule {
  static with(options: Pick<RestBackendOptions, 'version' | 'maxResponseBytes'>): DynamicModule {
    const make = (outbound: Outbound, credentials: CredentialResolver, validator: { checkOutput: NonNullable<RestBackendOptions['checkOutput']> }, tracing?: Tracing): RestBackend =>
      new RestBackend({
        ...options, outbound, credentials, checkOutput: (target, value) => validator.checkOutput(target, value),
        ...(tracing ? { startSpan: backendSpans(tracing) } : {}),
      });
    return {
      module: RestBackendModule, global: true,
      providers: [{ provide: BACKEND.rest, inject: [OUTBOUND, CREDENTIAL_RESOLVER, VALIDATOR, { token: TRACING, optional: true }], useFactory: make }],
      exports: [BACKEND.rest],
    };
  }
}
