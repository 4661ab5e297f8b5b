import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Outbound, OutboundGuard } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { ADMISSION, BACKEND, CREDENTIAL_RESOLVER, OUTBOUND, OUTBOUND_GUARD, VALIDATOR } from '#libs/core/tokens.js';
import { KafkaClients } from './clients.js';
import { KafkaAdmission } from './kafka-admission.js';
import { KafkaBackend, type KafkaBackendOptions } from './kafka-backend.js';
import { SchemaRegistry } from './registry.js';

export interface KafkaBackendModuleOptions {
  readonly version: string;
  /** Data planes call, control planes admit. */
  readonly calls: boolean;
  readonly admits: boolean;
  /** How every tenant's topics begin, with `{tenant}` for its name; undefined: as its connection says. */
  readonly topicPrefix?: string | undefined;
}

/** Kafka clusters: their topics into tools, and calls of those, over connections that egress admits. */
@Module({})
export class KafkaBackendModule implements OnApplicationShutdown {
  constructor(@Inject(KafkaClients) private readonly clients: KafkaClients) {}

  static with({ calls, admits, version, topicPrefix }: KafkaBackendModuleOptions): DynamicModule {
    const backend = (clients: KafkaClients, registry: SchemaRegistry, credentials: CredentialResolver, validator: { checkOutput: NonNullable<KafkaBackendOptions['checkOutput']> }): KafkaBackend =>
      new KafkaBackend({ clients, registry, credentials, topicPrefix, checkOutput: (target, value) => validator.checkOutput(target, value) });
    const offered = [
      ...(calls ? [{ provide: BACKEND.kafka, inject: [KafkaClients, SchemaRegistry, CREDENTIAL_RESOLVER, VALIDATOR], useFactory: backend }] : []),
      ...(admits ? [{
        provide: ADMISSION.kafka, inject: [KafkaClients, SchemaRegistry, { token: CREDENTIAL_RESOLVER, optional: true }],
        useFactory: (clients: KafkaClients, registry: SchemaRegistry, credentials?: CredentialResolver) => new KafkaAdmission({ clients, registry, credentials, topicPrefix }),
      }] : []),
    ];
    return {
      module: KafkaBackendModule, global: true,
      providers: [
        { provide: KafkaClients, inject: [OUTBOUND_GUARD], useFactory: (guard: OutboundGuard) => new KafkaClients({ guard, clientId: 'stoa' }) },
        { provide: SchemaRegistry, inject: [OUTBOUND], useFactory: (outbound: Outbound) => new SchemaRegistry(outbound, `stoa/${version}`) }, ...offered,
      ],
      exports: offered.map(({ provide }) => provide),
    };
  }

  onApplicationShutdown(): Promise<void> { return this.clients.close(); }
}
