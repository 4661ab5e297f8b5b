import { type DynamicModule, type InjectionToken, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { CATALOGUE, CATALOGUE_SOURCE, LOG, POLICY, RATE_LIMITER, REDACTOR, TRACING, USAGE_METER, VALIDATOR } from '#libs/core/tokens.js';
import { Metrics } from '#libs/observability/metrics.js';
import { GatewayModule } from './gateway.module.js';
import { openServer } from './open-server.js';
import type { GatewayParts } from './parts.js';

/** A gateway of ports given by value, and of further modules: for tests and measurements, which need no process around it. It does not listen yet. */
export async function createGateway(parts: GatewayParts, ...modules: readonly DynamicModule[]): Promise<NestFastifyApplication> {
  const gateway = GatewayModule.with({ ...parts, metricsRoute: parts.metrics && { isPublic: parts.metricsPublic !== false } });
  const app = await openServer({ module: Given, imports: [given(parts), ...modules, gateway] }, parts);
  parts.lifecycle.markStarted();
  return app;
}

@Module({})
class Given {}
@Module({})
class GivenPorts {}

function given(parts: GatewayParts): DynamicModule {
  const values: readonly (readonly [InjectionToken, unknown])[] = [
    [LOG, parts.logger], [Metrics, parts.metrics], [TRACING, parts.tracing], [CATALOGUE, parts.catalogue], [CATALOGUE_SOURCE, parts.source], [POLICY, parts.policy],
    [RATE_LIMITER, parts.limiter], [VALIDATOR, parts.validator], [REDACTOR, parts.redactor], [USAGE_METER, parts.meter],
  ];
  const providers = values.flatMap(([provide, useValue]) => (useValue === undefined ? [] : [{ provide, useValue }]));
  return { module: GivenPorts, global: true, providers, exports: providers.map(({ provide }) => provide) };
}
