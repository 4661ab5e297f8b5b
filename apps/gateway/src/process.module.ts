import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DynamicModule, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ApiKeysModule } from '#libs/api-keys/api-keys.module.js';
import { AuthModule } from '#libs/auth/auth.module.js';
import { grantedScopes } from '#libs/auth/scopes.js';
import { type SignIn, signInOf } from '#libs/auth/sign-in-fields.js';
import { debugUser } from '#libs/auth/static-tokens.js';
import { type ResourceConfig, wellKnownRoutes } from '#libs/auth/well-known.js';
import { DocumentBackendModule } from '#libs/backends/document/document-backend.module.js';
import { FetchBackendModule } from '#libs/backends/fetch/fetch-backend.module.js';
import { GraphqlBackendModule } from '#libs/backends/graphql/graphql-backend.module.js';
import { GrpcBackendModule } from '#libs/backends/grpc/grpc-backend.module.js';
import { KafkaBackendModule } from '#libs/backends/kafka/kafka-backend.module.js';
import { InlineBackendModule } from '#libs/backends/inline/inline-backend.module.js';
import { McpBackendModule } from '#libs/backends/mcp/mcp-backend.module.js';
import { PromptBackendModule } from '#libs/backends/prompt/prompt-backend.module.js';
import { RestBackendModule } from '#libs/backends/rest/rest-backend.module.js';
import { bulkheadOptions } from '#libs/bulkhead/bulkhead-fields.js';
import { CapabilityModule } from '#libs/capability/capability.module.js';
import { CatalogueModule } from '#libs/catalogue/catalogue.module.js';
import type { Environment } from '#libs/configuration/read-config.js';
import { CredentialsModule } from '#libs/credentials/credentials.module.js';
import { createEgress } from '#libs/egress/egress.js';
import { EgressModule } from '#libs/egress/egress.module.js';
import { IdempotencyModule } from '#libs/idempotency/idempotency.module.js';
import { MeteringModule, type MeteringModuleOptions } from '#libs/metering/metering.module.js';
import { instanceOf, journalFolder, kafkaOf } from '#libs/metering/metering-fields.js';
import { LedgerModule } from '#libs/ledger/ledger.module.js';
import { ObservabilityModule } from '#libs/observability/observability.module.js';
import { PolicyModule, type PolicyOptions } from '#libs/policy/policy.module.js';
import { rateLimitOptions } from '#libs/rate-limit/limit-fields.js';
import { RateLimitModule } from '#libs/rate-limit/rate-limit.module.js';
import { redactionOptions } from '#libs/redaction/redaction-fields.js';
import { RedactionModule } from '#libs/redaction/redaction.module.js';
import { ownDataFolder } from '#libs/state/data-folder.js';
import { StateModule } from '#libs/state/state.module.js';
import { ValidationModule } from '#libs/validation/validation.module.js';
import { readBuildInfo } from './build-info.js';
import { CapabilityRoutesModule } from './capability/capability-routes.module.js';
import type { GatewayConfig } from './config.js';
import { gatewayDoor } from './door.js';
import { GatewayModule } from './gateway.module.js';
import { SERVICE } from './http/info.controller.js';
import { Lifecycle } from './lifecycle.js';
import { openServer } from './open-server.js';
import type { BuildInfo } from './parts.js';
import { PUBLIC_ROUTES } from './public-routes.js';

/** The gateway process: each capability's module with its slice of the configuration, or without it. They are closed in the reverse order. */
@Module({})
class GatewayProcess {
  static with(config: GatewayConfig, environment: Environment, signIn: SignIn): DynamicModule {
    const build = readBuildInfo(environment);
    const { version } = build;
    return {
      module: GatewayProcess,
      imports: [
        ObservabilityModule.with(observed(config, build)),
        EgressModule.with({ allow: config.egressAllow }),
        StateModule.with({ location: { url: config.databaseUrl }, migrates: false, pollMs: config.cataloguePollMs }),
        CatalogueModule.with({
          pollMs: config.cataloguePollMs, waits: false,
          ...(config.dataDir !== undefined && config.catalogueKeepOnDisk ? { directory: join(config.dataDir, 'catalogue') } : {}),
        }),
        ...on(config.authEnabled && config.apiKeysEnabled, () => ApiKeysModule.with({ grantedScopes, staleMs: config.apiKeysStaleSeconds * 1000 })),
        ...on(config.authEnabled, () => AuthModule.with(authentication(config, signIn))),
        ...(config.authEnabled && config.capabilityTokensEnabled ? capabilities(config) : []),
        PolicyModule.with(policyOf(config)),
        ...on(config.rateLimitEnabled, () => RateLimitModule.with(rateLimitOptions(config))),
        ...on(config.redactionEnabled, () => RedactionModule.with(redactionOptions(config))),
        ...on(config.meteringEnabled, () => MeteringModule.with(metered(config))),
        ...on(config.idempotencyEnabled, () => IdempotencyModule.with(config.redisUrl === undefined ? { in: 'memory' } : { in: 'redis', url: config.redisUrl })),
        // Budgets alone: entries are the billing process's to write.
        LedgerModule.with({ takes: false, guards: true, keeps: false }),
        ValidationModule.with(),
        CredentialsModule.with({ environment, ...(config.credentialsDir === undefined ? {} : { folder: config.credentialsDir }) }),
        ...on(config.restBackendEnabled, () => RestBackendModule.with({ version })),
        ...on(config.graphqlBackendEnabled, () => GraphqlBackendModule.with({ version, calls: true, admits: false })),
        ...on(config.grpcBackendEnabled, () => GrpcBackendModule.with({ version, calls: true, admits: false })),
        ...on(config.kafkaBackendEnabled, () => KafkaBackendModule.with({ version, calls: true, admits: false, topicPrefix: config.kafkaBackendTopicPrefix })),
        ...on(config.mcpBackendEnabled, () => McpBackendModule.with({ version, list: config.mcpServers, calls: true, admits: false })),
        ...on(config.fetchBackendEnabled, () => FetchBackendModule.with({ version })),
        ...on(config.inlineBackendEnabled, () => InlineBackendModule.with()),
        ...on(config.promptBackendEnabled, () => PromptBackendModule.with()),
        ...on(config.documentBackendEnabled, () => DocumentBackendModule.with()),
        GatewayModule.with({
          build, environment: config.environment, lifecycle: new Lifecycle(), maxTimeoutMs: config.mcpTimeoutSeconds * 1000, bulkheads: bulkheadOptions(config), redactRequests: config.redactionEnabled && config.redactionRequests, maxBodyBytes: config.maxBodyBytes,
          platformTools: config.platformToolsEnabled, rest: config.restEnabled, metricsRoute: config.enableMetrics ? { isPublic: config.metricsPublic } : undefined,
          mcp: config.mcpEnabled ? {
            allowedOrigins: [...config.corsOrigins, ...config.allowedOrigins], allowedHosts: config.allowedHosts.length > 0 ? config.allowedHosts : undefined,
            cursorKey: config.cursorKey === undefined ? randomBytes(32) : Buffer.from(config.cursorKey, 'hex'), limits: { bodyBytes: config.maxBodyBytes, streamIdleMs: config.sseIdleSeconds * 1000, streamLifeMs: config.sseMaxLifeSeconds * 1000 },
          } : undefined,
        }),
      ],
    };
  }
}

const capabilities = (config: GatewayConfig): readonly DynamicModule[] => {
  const audience = resourceOf(config);
  return [
    CapabilityModule.with({ issuer: new URL('/v1/token', audience).href, audience, secrets: config.capabilitySecrets, ...(config.redisUrl === undefined ? {} : { redis: { url: config.redisUrl } }) }),
    CapabilityRoutesModule.with({ audience }),
  ];
};

function policyOf(config: GatewayConfig): PolicyOptions {
  if (config.policyMode !== 'opa') return { mode: config.policyMode };
  const { environment, policyCacheMs: cacheMs, opaUrl: url, opaTimeoutMs: timeoutMs, opaBundleFile: bundleFile, regoCompilerDir } = config;
  const folder = config.policyDir ?? config.opaPolicyPath;
  // A way out of its own: the server is mostly on loopback, which backends may not reach.
  if (!config.opaEmbedded) return { mode: 'opa', environment, cacheMs, ...(folder === undefined ? {} : { folder }), sidecar: { url, timeoutMs, outbound: createEgress({ allow: [allowed(url)] }), ...(bundleFile === undefined ? {} : { bundleFile }) } };
  return { mode: 'opa', environment, cacheMs, ...(folder === undefined ? {} : { folder }), ...(regoCompilerDir === undefined ? {} : { compilerFolder: regoCompilerDir }) };
}

/** Host and port of a URL, as the egress policy names them. */
function allowed(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`;
}

const on = (enabled: boolean, make: () => DynamicModule): readonly DynamicModule[] => (enabled ? [make()] : []);

const metered = (config: GatewayConfig): MeteringModuleOptions => ({
  directory: journalFolder(config, config.dataDir), cluster: config.clusterName, instance: instanceOf(config), mode: config.journalMode, maxBytes: config.journalMaxBytes,
  argumentBytes: config.recordArgumentBytes, own: ownDataFolder, kafka: kafkaOf(config, config.otlpServiceName), drainMs: Math.min(5000, config.drainSeconds * 500),
});

const observed = (config: GatewayConfig, { version }: BuildInfo): Parameters<typeof ObservabilityModule.with>[0] => ({
  log: { level: config.logLevel, format: config.logFormat, service: SERVICE },
  ...(config.enableMetrics ? { metrics: { prefix: config.metricsPrefix, service: { name: SERVICE, version, environment: config.environment } } } : {}),
  ...(config.enableTracing && config.otlpEndpoint !== undefined ? { tracing: { endpoint: config.otlpEndpoint, serviceName: config.otlpServiceName, version } } : {}),
});

const authentication = (config: GatewayConfig, signIn: SignIn): Parameters<typeof AuthModule.with>[0] => {
  const publishes = published(config, signIn);
  const { issuerMetadataUrl } = signIn;
  return { ...signIn, ...(publishes ? { publishes: { ...publishes, ...(issuerMetadataUrl === undefined ? {} : { issuerMetadataUrl }) } } : {}) };
};

const resourceOf = ({ resourceUrl, host, port }: GatewayConfig): string => resourceUrl ?? `http://${host}:${port}/mcp`;
/** Undefined where no issuer can be discovered: all of them sign with a shared secret. */
const published = (config: GatewayConfig, { authorizationServers }: SignIn): ResourceConfig | undefined =>
  (authorizationServers.length > 0 ? { resource: resourceOf(config), authorizationServers } : undefined);

/** The gateway process's application, made of its configuration; it does not listen yet. `first` is given the server before any route exists. */
export async function openGateway(config: GatewayConfig, environment: Environment, first?: (server: FastifyInstance) => void): Promise<NestFastifyApplication> {
  const own = PUBLIC_ROUTES.filter((route) => config.metricsPublic || route !== 'GET /metrics');
  const signIn = signInOf(config, { environment, readFile: (path) => readFileSync(path, 'utf8') });
  const documents = published(config, signIn);
  const app = await openServer(GatewayProcess.with(config, environment, signIn), {
    maxBodyBytes: config.maxBodyBytes,
    cors: { origins: config.corsOrigins, methods: config.corsAllowMethods, allowHeaders: config.corsAllowHeaders, exposeHeaders: config.corsExposeHeaders, maxAge: config.corsMaxAge },
    authenticate: config.authEnabled ? gatewayDoor({ resource: resourceOf(config), open: [...own, ...(documents ? wellKnownRoutes(documents) : [])], ...(signIn.debugUser ? { debugUser } : {}), sealsTokens: config.tokenExchangeEnabled }) : undefined,
    ...(first ? { mount: first } : {}),
  });
  app.get(Lifecycle, { strict: false }).markStarted();
  return app;
}
