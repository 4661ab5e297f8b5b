import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { OutboundGuard } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { ADMISSION, BACKEND, CREDENTIAL_RESOLVER, OUTBOUND_GUARD, VALIDATOR } from '#libs/core/tokens.js';
import { Channels } from './channels.js';
import { GrpcAdmission } from './grpc-admission.js';
import { GrpcBackend, type GrpcBackendOptions } from './grpc-backend.js';

export interface GrpcBackendModuleOptions {
  readonly version: string;
  /** Bytes of one message that comes. Default 8 MiB. */
  readonly maxMessageBytes?: number;
  /** Data planes call, control planes admit. */
  readonly calls: boolean;
  readonly admits: boolean;
}

const backend = (channels: Channels, credentials: CredentialResolver, validator: { checkOutput: NonNullable<GrpcBackendOptions['checkOutput']> }): GrpcBackend =>
  new GrpcBackend({ channels, credentials, checkOutput: (target, value) => validator.checkOutput(target, value) });

/** gRPC servers: their services into tools, and calls of those, over channels that egress admits. */
@Module({})
export class GrpcBackendModule implements OnApplicationShutdown {
  constructor(@Inject(Channels) private readonly channels: Channels) {}

  static with({ calls, admits, version, maxMessageBytes = 8 << 20 }: GrpcBackendModuleOptions): DynamicModule {
    const offered = [
      ...(calls ? [{ provide: BACKEND.grpc, inject: [Channels, CREDENTIAL_RESOLVER, VALIDATOR], useFactory: backend }] : []),
      ...(admits ? [{ provide: ADMISSION.grpc, inject: [Channels, { token: CREDENTIAL_RESOLVER, optional: true }], useFactory: (channels: Channels, credentials?: CredentialResolver) => new GrpcAdmission({ channels, credentials }) }] : []),
    ];
    return {
      module: GrpcBackendModule, global: true,
      providers: [{ provide: Channels, inject: [OUTBOUND_GUARD], useFactory: (guard: OutboundGuard) => new Channels({ guard, maxMessageBytes, userAgent: `stoa/${version}` }) }, ...offered],
      exports: offered.map(({ provide }) => provide),
    };
  }

  onApplicationShutdown(): void { this.channels.close(); }
}
