import { type DynamicModule, Module } from '@nestjs/common';
import type { Outbound } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { ADMISSION, BACKEND, CREDENTIAL_RESOLVER, OUTBOUND, TRACING, VALIDATOR } from '#libs/core/tokens.js';
import type { Tracing } from '#libs/core/tracing.js';
import { backendSpans } from '#libs/backends/http/spans.js';
import { GraphqlAdmission } from './graphql-admission.js';
import { GraphqlBackend, type GraphqlBackendOptions } from './graphql-backend.js';

export interface GraphqlBackendModuleOptions {
  readonly version: string;
  readonly maxResponseBytes?: number;
  /** Data planes call, control planes admit. */
  readonly calls: boolean;
  readonly admits: boolean;
}

/** GraphQL servers: their schemas into tools, and calls of those, through egress. */
@Module({})
export class GraphqlBackendModule {
  static with({ calls, admits, ...options }: GraphqlBackendModuleOptions): DynamicModule {
    const backend = (outbound: Outbound, credentials: CredentialResolver, validator: { checkOutput: NonNullable<GraphqlBackendOptions['checkOutput']> }, tracing?: Tracing): GraphqlBackend => new GraphqlBackend({
      ...options, outbound, credentials, checkOutput: (target, value) => validator.checkOutput(target, value), ...(tracing ? { startSpan: backendSpans(tracing) } : {}),
    });
    const admission = (outbound: Outbound, credentials?: CredentialResolver): GraphqlAdmission => new GraphqlAdmission({ outbound, credentials, version: options.version });
    const providers = [
      ...(calls ? [{ provide: BACKEND.graphql, inject: [OUTBOUND, CREDENTIAL_RESOLVER, VALIDATOR, { token: TRACING, optional: true }], useFactory: backend }] : []),
      ...(admits ? [{ provide: ADMISSION.graphql, inject: [OUTBOUND, { token: CREDENTIAL_RESOLVER, optional: true }], useFactory: admission }] : []),
    ];
    return { module: GraphqlBackendModule, global: true, providers, exports: providers.map(({ provide }) => provide) };
  }
}
