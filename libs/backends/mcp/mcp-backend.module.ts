import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { OutboundStreams } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { ADMISSION, BACKEND, CREDENTIAL_RESOLVER, OUTBOUND_STREAMS, VALIDATOR } from '#libs/core/tokens.js';
import { McpAdmission } from './mcp-admission.js';
import { McpBackend, type McpBackendOptions } from './mcp-backend.js';
import type { OperatorList } from './operator-list.js';
import { Upstreams } from './upstreams.js';

export interface McpBackendModuleOptions {
  readonly version: string;
  /** Processes and sockets that the operator allows. */
  readonly list: OperatorList;
  /** Data planes call, control planes admit. */
  readonly calls: boolean;
  readonly admits: boolean;
}

const backend = (upstreams: Upstreams, credentials: CredentialResolver, validator: { checkOutput: NonNullable<McpBackendOptions['checkOutput']> }): McpBackend =>
  new McpBackend({ upstreams, credentials, checkOutput: (target, value) => validator.checkOutput(target, value) });

/** MCP servers: their lists into tools, resources and prompts, and calls of those. */
@Module({})
export class McpBackendModule implements OnApplicationShutdown {
  constructor(@Inject(Upstreams) private readonly upstreams: Upstreams) {}

  static with({ calls, admits, version, list }: McpBackendModuleOptions): DynamicModule {
    const offered = [
      ...(calls ? [{ provide: BACKEND.mcp, inject: [Upstreams, CREDENTIAL_RESOLVER, VALIDATOR], useFactory: backend }] : []),
      ...(admits ? [{ provide: ADMISSION.mcp, inject: [Upstreams, { token: CREDENTIAL_RESOLVER, optional: true }], useFactory: (upstreams: Upstreams, credentials?: CredentialResolver) => new McpAdmission({ upstreams, credentials }) }] : []),
    ];
    return {
      module: McpBackendModule, global: true,
      providers: [{ provide: Upstreams, inject: [OUTBOUND_STREAMS], useFactory: (streams: OutboundStreams) => new Upstreams({ streams, list, version }) }, ...offered],
      exports: offered.map(({ provide }) => provide),
    };
  }

  async onApplicationShutdown(): Promise<void> { await this.upstreams.close(); }
}
