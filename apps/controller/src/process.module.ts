import { readFileSync } from 'node:fs';
import { type DynamicModule, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ApiKeysModule } from '#libs/api-keys/api-keys.module.js';
import { auditOptions } from '#libs/audit/audit-fields.js';
import { AuditModule } from '#libs/audit/audit.module.js';
import { AuthModule } from '#libs/auth/auth.module.js';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { grantedScopes } from '#libs/auth/scopes.js';
import { type SignIn, signInOf } from '#libs/auth/sign-in-fields.js';
import { debugUser } from '#libs/auth/static-tokens.js';
import { resourceMetadataUrl } from '#libs/auth/well-known.js';
import { GraphqlBackendModule } from '#libs/backends/graphql/graphql-backend.module.js';
import { GrpcBackendModule } from '#libs/backends/grpc/grpc-backend.module.js';
import { KafkaBackendModule } from '#libs/backends/kafka/kafka-backend.module.js';
import { McpBackendModule } from '#libs/backends/mcp/mcp-backend.module.js';
import type { Environment } from '#libs/configuration/read-config.js';
import type { ReadinessCheck, TokenVerifier } from '#libs/core/ports.js';
import { LOG, READINESS, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import { EgressModule } from '#libs/egress/egress.module.js';
import { LedgerModule } from '#libs/ledger/ledger.module.js';
import type { Logger } from '#libs/observability/logger.js';
import { ObservabilityModule } from '#libs/observability/observability.module.js';
import { OpenapiModule } from '#libs/openapi/openapi.module.js';
import { PolicyModule } from '#libs/policy/policy.module.js';
import { StateModule } from '#libs/state/state.module.js';
import { readBuildInfo } from './build-info.js';
import type { ControllerConfig } from './config.js';
import { ControllerModule } from './controller.module.js';
import { openController } from './create-controller.js';
import { ACCESS, ADMIN_PUBLIC_ROUTES } from './http/access.js';
import { ControllerMetrics } from './probes/controller-metrics.js';
import { ProbesController } from './probes/probes.controller.js';
import { PROBE_ROUTES, PROCESS, type ProcessParts } from './probes/process-parts.js';
import { equipServer } from './server.js';

const SERVICE = 'stoa-controller';

/** The controller process: each capability's module with its slice of the configuration. They are closed in the reverse order. */
@Module({})
class ControllerProcess {
  static with(config: ControllerConfig, environment: Environment, { draining, signIn }: { readonly draining: AbortSignal; readonly signIn: SignIn }): DynamicModule {
    const build = readBuildInfo(environment);
    const about = (database: ReadinessCheck, issuers: ReadinessCheck, policy: ReadinessCheck, metrics?: ControllerMetrics): ProcessParts =>
      ({ build, environment: config.environment, startedAt: new Date(), draining, metrics, checks: [database, issuers, policy] });
    return {
      module: ControllerProcess,
      imports: [
        ObservabilityModule.with({ log: { level: config.logLevel, format: config.logFormat, service: SERVICE } }),
        EgressModule.with({ allow: config.egressAllow }),
        StateModule.with({ location: { url: config.databaseUrl, connections: config.databaseConnections }, migrates: true }),
        AuditModule.with(auditOptions(config, SERVICE)),
        GraphqlBackendModule.with({ version: build.version, calls: false, admits: true }),
        GrpcBackendModule.with({ version: build.version, calls: false, admits: true }),
        KafkaBackendModule.with({ version: build.version, calls: false, admits: true, topicPrefix: config.kafkaBackendTopicPrefix }),
        McpBackendModule.with({ version: build.version, list: config.mcpServers, calls: false, admits: true }),
        OpenapiModule.with({ memoryMiB: config.conversionMemoryMib, timeoutMs: config.conversionSeconds * 1000 }),
        ...(config.apiKeysEnabled ? [ApiKeysModule.with({ grantedScopes, staleMs: config.apiKeysStaleSeconds * 1000 })] : []),
        AuthModule.with(signIn),
        PolicyModule.with({ mode: 'opa', environment: config.environment, office: true, base: { admin: ACCESS }, ...(config.regoCompilerDir === undefined ? {} : { compilerFolder: config.regoCompilerDir }) }),
        LedgerModule.with({ takes: false, guards: false, keeps: false, explains: true }),
        ControllerModule.with({ refreshPollMs: config.refreshEnabled ? config.refreshPollSeconds * 1000 : undefined, apiKeysEnabled: config.apiKeysEnabled, stepUpAcr: config.stepUpAcr }),
      ],
      controllers: [ProbesController],
      providers: [
        ...(config.enableMetrics ? [{ provide: ControllerMetrics, useFactory: () => new ControllerMetrics(config.metricsPrefix, { version: build.version, environment: config.environment }) }] : []),
        { provide: PROCESS, inject: [READINESS.database, READINESS.issuers, READINESS.policy, { token: ControllerMetrics, optional: true }], useFactory: about },
      ],
    };
  }
}

/** The controller process's application, made of its configuration, on a database at this build's schema; it does not listen yet. */
export function openControllerProcess(config: ControllerConfig, environment: Environment, draining: AbortSignal): Promise<NestFastifyApplication> {
  const resource = config.resourceUrl ?? `http://localhost:${config.port}/admin/v1`;
  const signIn = signInOf(config, { environment, readFile: (path) => readFileSync(path, 'utf8') });
  return openController(ControllerProcess.with(config, environment, { draining, signIn }), (server, app) => {
    const logger = app.get<Logger>(LOG, { strict: false });
    const { metrics } = app.get<ProcessParts>(PROCESS, { strict: false });
    const authenticate = (on: FastifyInstance): void => {
      installDoor(on, {
        verifier: app.get<TokenVerifier>(TOKEN_VERIFIER, { strict: false }), isPublic: publicRoutes([...PROBE_ROUTES, ...ADMIN_PUBLIC_ROUTES]),
        resourceMetadataUrl: resourceMetadataUrl(resource), ...(signIn.debugUser ? { debugUser } : {}), refused: (requestId, reason) => { logger.info({ request_id: requestId, reason }, 'credential refused'); },
      });
    };
    equipServer(server, { logger, metrics, authenticate });
  });
}
