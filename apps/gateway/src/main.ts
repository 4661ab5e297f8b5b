import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { STOA_SCOPES } from '#libs/auth/scopes.js';
import { createTokenVerifier, type ReadyTokenVerifier } from '#libs/auth/token-verifier.js';
import { createCatalogue } from '#libs/catalogue/catalogue.js';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import type { Outbound } from '#libs/core/outbound.js';
import { createCredentialResolver } from '#libs/credentials/credentials.js';
import { createEgress } from '#libs/egress/egress.js';
import { createLogging } from '#libs/observability/logger.js';
import { Metrics } from '#libs/observability/metrics.js';
import { startTracing } from '#libs/observability/start-tracing.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';
import { databaseCatalogueSource } from '#libs/state/catalogue-source.js';
import { openDatabase } from '#libs/state/database.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { readBuildInfo } from './build-info.js';
import { GatewayConfig, issuerOf } from './config.js';
import { createGateway } from './create-gateway.js';
import { backendsOf, measuredVerifier } from './data-plane.js';
import { drainOnSignals } from './drain.js';
import { metadataUrl } from './http/well-known.controller.js';
import { Lifecycle } from './lifecycle.js';
import { PUBLIC_ROUTES } from './public-routes.js';

async function start(config: GatewayConfig): Promise<void> {
  const build = readBuildInfo(process.env);
  const { logger, hide, flush } = createLogging({ level: config.logLevel, format: config.logFormat, service: 'stoa-mcp-gateway' });
  const lifecycle = new Lifecycle();
  hide(config.databaseUrl);

  const database = await openDatabase({ url: config.databaseUrl });
  const source = databaseCatalogueSource(database, { pollMs: config.cataloguePollMs, onTrouble: (failure) => { logger.debug({ err: failure }, 'catalogue watch interrupted'); } });
  const catalogue = createCatalogue({
    source, logger, pollMs: config.cataloguePollMs,
    ...(config.dataDir !== undefined && config.catalogueKeepOnDisk ? { directory: join(config.dataDir, 'catalogue') } : {}),
  });
  const metrics = config.enableMetrics ? new Metrics({
    prefix: config.metricsPrefix, service: { name: 'stoa-mcp-gateway', version: build.version, environment: config.environment }, toolsRegistered: () => catalogue.toolCount(),
  }) : undefined;
  const tracing = config.enableTracing && config.otlpEndpoint !== undefined
    ? await startTracing({ endpoint: config.otlpEndpoint, serviceName: config.otlpServiceName, version: build.version }) : undefined;
  const egress = createEgress({ allow: config.egressAllow });
  const validator = createArgumentValidator();
  const verifier = verifierOf(config, egress);
  const resource = config.resourceUrl ?? `http://${config.host}:${config.port}/mcp`;

  const app = await createGateway({
    build, environment: config.environment, logger, metrics, lifecycle, catalogue, validator,
    authenticate: verifier && ((server) => {
      installDoor(server, { verifier: measuredVerifier(verifier, metrics), isPublic: publicRoutes(PUBLIC_ROUTES.filter((route) => config.metricsPublic || route !== 'GET /metrics')), resourceMetadataUrl: metadataUrl(resource), refused: (requestId, reason) => { logger.info({ request_id: requestId, reason }, 'token refused'); } });
    }),
    ...(verifier ? { protectedResource: { resource, authorizationServers: [issuerOf(config) ?? ''], scopes: STOA_SCOPES } } : {}),
    policy: configuredDecision(config.policyMode), limiter: { take: () => undefined }, redactor: { redact: (result) => result },
    backends: backendsOf({
      outbound: egress, documents: source, validator, version: build.version, tracing, hide, rest: config.restBackendEnabled, maxTimeoutMs: config.mcpTimeoutSeconds * 1000,
      credentials: createCredentialResolver({ environment: process.env, ...(config.credentialsDir === undefined ? {} : { folder: config.credentialsDir }) }),
    }),
    checks: [
      { name: 'catalogue', check: () => Promise.resolve(catalogue.ready()) },
      { name: 'database', check: () => database.ping().then(() => ({ ok: true }), (failure: unknown) => ({ ok: false, reason: failure instanceof Error ? failure.message : String(failure) })) },
      ...(verifier ? [{ name: 'issuer_keys', check: () => verifier.ready() }] : []),
    ],
    ...(tracing ? { tracing } : {}),
    cors: { origins: config.corsOrigins, methods: config.corsAllowMethods, allowHeaders: config.corsAllowHeaders, exposeHeaders: config.corsExposeHeaders, maxAge: config.corsMaxAge },
    metricsPublic: config.metricsPublic,
    maxBodyBytes: config.maxBodyBytes, rest: config.restEnabled, platformTools: config.platformToolsEnabled,
    mcp: config.mcpEnabled ? {
      allowedOrigins: [...config.corsOrigins, ...config.allowedOrigins], allowedHosts: config.allowedHosts.length > 0 ? config.allowedHosts : undefined,
      cursorKey: config.cursorKey === undefined ? randomBytes(32) : Buffer.from(config.cursorKey, 'hex'), limits: { bodyBytes: config.maxBodyBytes },
    } : undefined,
    tenants: async () => [...await source.revisions()].map(([id, revision]) => ({ id, revision })),
    closers: [() => catalogue.stop(), () => egress.close(), () => database.close(), async () => tracing?.shutdown(), () => { metrics?.close(); }],
  });
  await app.listen({ host: config.host, port: config.port });
  // Alive at once and ready when the catalogue answers: a database that is away must not look like a process that hangs.
  void catalogue.start();
  logger.info({ url: await app.getUrl(), version: build.version, commit: build.commit, policy: config.policyMode, auth: config.authEnabled }, 'gateway listening');
  if (!config.authEnabled) logger.warn({}, 'authentication is switched off');
  drainOnSignals(app, lifecycle, { seconds: config.drainSeconds, delaySeconds: config.drainDelaySeconds, flush, log: (facts, message) => { logger.info(facts, message); } });
}

function verifierOf(config: GatewayConfig, outbound: Outbound): ReadyTokenVerifier | undefined {
  const issuer = issuerOf(config);
  if (!config.authEnabled || issuer === undefined) return undefined;
  return createTokenVerifier({
    outbound,
    issuers: [{
      issuer, audiences: [...config.allowedAudiences, ...(config.resourceUrl === undefined ? [] : [config.resourceUrl])],
      keys: config.jwksUrl === undefined ? { from: 'discovery' } : { from: 'jwks', uri: config.jwksUrl },
      claims: { tenant: config.tenantClaim, roles: config.rolesClaim },
    }],
  });
}

process.on('unhandledRejection', (reason) => { process.stderr.write(`unhandled rejection: ${reason instanceof Error ? reason.stack ?? reason.message : String(reason)}\n`); });
try {
  await start(readConfig(GatewayConfig, process.env));
} catch (failure) {
  process.stderr.write(`${failure instanceof ConfigurationError ? failure.message : `The gateway cannot start: ${failure instanceof Error ? failure.message : String(failure)}`}\n`);
  process.exit(1);
}
