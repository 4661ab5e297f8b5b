import { type DynamicModule, Module, type Type } from '@nestjs/common';
import type { Catalogue } from '#libs/core/catalogue.js';
import { CATALOGUE } from '#libs/core/tokens.js';
import type { Gateway } from './compose.js';
import { HealthController, MetricsController } from './http/health.controller.js';
import { type About, InfoController, SERVICE } from './http/info.controller.js';
import { PoliciesController } from './http/policies.controller.js';
import { PromptsController } from './http/prompts.controller.js';
import { ResourcesController } from './http/resources.controller.js';
import { type HttpSettings, RestHttp } from './http/rest-http.js';
import { StatusController } from './http/status.controller.js';
import { ToolsController } from './http/tools.controller.js';
import { addressOf } from './limits.js';
import { LineModule } from './line.module.js';
import { McpModule } from './mcp/mcp.module.js';
import type { McpDoorOptions } from './mcp/options.js';
import type { GatewayOptions } from './parts.js';
import { ABOUT, GATEWAY, HTTP_SETTINGS, principalOf } from './tokens.js';

const HTTP: readonly Type[] = [InfoController, HealthController, StatusController];
const REST: readonly Type[] = [ToolsController, ResourcesController, PromptsController, PoliciesController];

/** The data plane's doors: alone in the gateway process, beside the controller's in the standalone one. */
@Module({})
export class GatewayModule {
  static with(options: GatewayOptions): DynamicModule {
    const { rest, mcp, metricsRoute, maxBodyBytes } = options;
    const line = LineModule.with(options);
    const about: About = { build: options.build, environment: options.environment, startedAt: options.lifecycle.startedAt, doors: { mcp: mcp !== undefined, rest } };
    const settings: HttpSettings = { maxBodyBytes, metricsPublic: metricsRoute?.isPublic === true };
    return {
      module: GatewayModule,
      imports: [line, ...(mcp ? [McpModule.from({ imports: [line], inject: [GATEWAY, CATALOGUE], useFactory: mcpDoor(options, mcp) })] : [])],
      controllers: [...HTTP, ...(metricsRoute ? [MetricsController] : []), ...(rest ? REST : [])],
      providers: [{ provide: ABOUT, useValue: about }, { provide: HTTP_SETTINGS, useValue: settings }, ...(rest ? [RestHttp] : [])],
      exports: [line],
    };
  }
}

const INSTRUCTIONS = 'Tools, resources and prompts of your tenant\'s APIs. Tools named stoa_* describe the platform and its catalogue.';

const mcpDoor = ({ build }: GatewayOptions, door: NonNullable<GatewayOptions['mcp']>) => ({ runCall, listing, complete, logger, limits }: Gateway, catalogue: Catalogue): McpDoorOptions => ({
  ...door, runCall, listing, complete, catalogue, principalOf,
  serverInfo: { name: SERVICE, title: 'STOA MCP Gateway', version: build.version }, instructions: INSTRUCTIONS,
  ...(limits ? { streamPlaces: (request, { tenant }) => limits.streams.open({ ip: addressOf(limits, request), tenant }) } : {}),
  onFailure: ({ requestId, error }) => { logger.error({ request_id: requestId, err: error }, 'the MCP door failed'); },
  onProtocolError: ({ requestId, status, code, message }) => { logger.info({ request_id: requestId, status, code, reason: message }, 'protocol error'); },
});
