import { type DynamicModule, Inject, Module, type OnApplicationShutdown, type Type } from '@nestjs/common';
import type { Gateway } from './compose.js';
import { HealthController, LIFECYCLE, MetricsController } from './http/health.controller.js';
import { type About, InfoController, SERVICE } from './http/info.controller.js';
import { PromptsController } from './http/prompts.controller.js';
import { ResourcesController } from './http/resources.controller.js';
import { RestHttp } from './http/rest-http.js';
import { StatusController } from './http/status.controller.js';
import { ToolsController } from './http/tools.controller.js';
import { WellKnownController } from './http/well-known.controller.js';
import { McpModule } from './mcp/mcp.module.js';
import type { McpDoorOptions } from './mcp/options.js';
import type { GatewayParts } from './parts.js';
import { ABOUT, APIS, CLOSERS, HEALTH, HTTP_SETTINGS, LISTING, METRICS, principalOf, PROTECTED_RESOURCE, REST_LOG, RUN_CALL, TENANTS } from './tokens.js';

const HTTP: readonly Type[] = [InfoController, HealthController, StatusController];
const REST: readonly Type[] = [ToolsController, ResourcesController, PromptsController];

/** The data plane as one Nest module: alone in the gateway process, beside the controller's in the standalone one. */
@Module({})
export class GatewayModule implements OnApplicationShutdown {
  constructor(@Inject(CLOSERS) private readonly closers: NonNullable<GatewayParts['closers']>) {}

  static with(parts: GatewayParts, gateway: Gateway): DynamicModule {
    const about: About = {
      build: parts.build, environment: parts.environment, startedAt: parts.lifecycle.startedAt,
      doors: { mcp: parts.mcp !== undefined, rest: parts.rest },
    };
    return {
      module: GatewayModule,
      imports: parts.mcp ? [McpModule.with(mcpDoor(parts, gateway, parts.mcp))] : [],
      controllers: [...HTTP, ...(parts.metrics ? [MetricsController] : []), ...(parts.protectedResource ? [WellKnownController] : []), ...(parts.rest ? REST : [])],
      providers: [
        ...(parts.rest ? [RestHttp] : []),
        { provide: CLOSERS, useValue: parts.closers ?? [] },
        { provide: ABOUT, useValue: about },
        { provide: HEALTH, useValue: gateway.health },
        { provide: LIFECYCLE, useValue: parts.lifecycle },
        { provide: METRICS, useValue: parts.metrics },
        { provide: RUN_CALL, useValue: gateway.runCall },
        { provide: LISTING, useValue: gateway.listing },
        { provide: APIS, useValue: parts.catalogue },
        { provide: HTTP_SETTINGS, useValue: { maxBodyBytes: parts.maxBodyBytes, metricsPublic: parts.metricsPublic !== false } },
        { provide: PROTECTED_RESOURCE, useValue: parts.protectedResource },
        { provide: TENANTS, useValue: parts.tenants },
        { provide: REST_LOG, useValue: parts.logger },
      ],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    for (const close of this.closers) await close();
  }
}

const INSTRUCTIONS = 'Tools, resources and prompts of your tenant\'s APIs. Tools named stoa_* describe the platform and its catalogue.';

const mcpDoor = (parts: GatewayParts, gateway: Gateway, door: NonNullable<GatewayParts['mcp']>): McpDoorOptions => ({
  ...door,
  runCall: gateway.runCall, catalogue: parts.catalogue, listing: gateway.listing, principalOf,
  serverInfo: { name: SERVICE, title: 'STOA MCP Gateway', version: parts.build.version }, instructions: INSTRUCTIONS,
  onFailure: ({ requestId, error }) => { parts.logger.error({ request_id: requestId, err: error }, 'the MCP door failed'); },
  onProtocolError: ({ requestId, status, code, message }) => { parts.logger.info({ request_id: requestId, status, code, reason: message }, 'protocol error'); },
});
