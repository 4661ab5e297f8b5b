import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { createTokenVerifier } from '#libs/auth/token-verifier.js';
import { createEgress } from '#libs/egress/egress.js';
import { createLogging, type Logger } from '#libs/observability/logger.js';
import { DocumentConverter } from '#libs/openapi/conversion-worker.js';
import { databaseControlStore } from '#libs/state/control-store.js';
import { openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { readBuildInfo } from './build-info.js';
import { ControllerConfig, issuerOf } from './config.js';
import { createController } from './create-controller.js';
import { ADMIN_PUBLIC_ROUTES } from './http/access.js';
import { ControllerMetrics } from './probes/controller-metrics.js';
import { PROBE_ROUTES } from './probes/process-parts.js';
import { equipServer } from './server.js';

/** Opens the database, brings it to this build's schema, then serves. Answers the way to stop. */
async function start(config: ControllerConfig, logger: Logger): Promise<() => Promise<void>> {
  const build = readBuildInfo(process.env);
  const database = await openDatabase({ url: config.databaseUrl, connections: config.databaseConnections });
  const applied = await migrate(database);
  logger.info({ applied }, 'database is at this build\'s schema');

  const egress = createEgress({ allow: config.egressAllow });
  const converter = new DocumentConverter({ memoryMiB: config.conversionMemoryMib, timeoutMs: config.conversionSeconds * 1000 });
  const resource = config.resourceUrl ?? `http://localhost:${config.port}/admin/v1`;
  const verifier = createTokenVerifier({
    outbound: egress,
    issuers: [{
      issuer: issuerOf(config),
      audiences: [...(config.allowedAudiences.length > 0 ? config.allowedAudiences : ['stoa-mcp-gateway']), ...(config.resourceUrl === undefined ? [] : [config.resourceUrl])],
      keys: config.jwksUrl === undefined ? { from: 'discovery' } : { from: 'jwks', uri: config.jwksUrl },
      claims: { tenant: config.tenantClaim, roles: config.rolesClaim },
    }],
  });
  const metrics = config.enableMetrics ? new ControllerMetrics(config.metricsPrefix, { version: build.version, environment: config.environment }) : undefined;
  const drain = new AbortController();
  const { origin, pathname } = new URL(resource);
  const app = await createController(
    {
      store: databaseControlStore(database), outbound: egress, convert: (bytes, options) => converter.convert(bytes, options), now: () => new Date(),
      refreshPollMs: config.refreshEnabled ? config.refreshPollSeconds * 1000 : undefined, log: logger,
    },
    {
      build, environment: config.environment, startedAt: new Date(), metrics, draining: drain.signal,
      checks: [
        { name: 'database', check: () => database.ping().then(() => ({ ok: true }), (failure: unknown) => ({ ok: false, reason: failure instanceof Error ? failure.message : 'unreachable' })) },
        { name: 'issuer', check: () => verifier.ready() },
      ],
    },
    (server) => {
      equipServer(server, {
        logger, metrics,
        authenticate: (root) => {
          installDoor(root, { verifier, isPublic: publicRoutes([...PROBE_ROUTES, ...ADMIN_PUBLIC_ROUTES]), resourceMetadataUrl: `${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}`, refused: (requestId, reason) => { logger.info({ request_id: requestId, reason }, 'token refused'); } });
        },
      });
    },
  );
  await app.listen(config.port, config.host);
  const { port } = app.getHttpServer().address() as AddressInfo;
  logger.info({ host: config.host, port }, 'controller listens');
  return async () => {
    drain.abort();
    await app.close();
    await egress.close();
    await database.close();
  };
}

async function main(): Promise<void> {
  const config = readConfig(ControllerConfig, process.env);
  const { logger, hide, flush } = createLogging({ level: config.logLevel, format: config.logFormat, service: 'stoa-controller' });
  hide(config.databaseUrl);
  const stop = await start(config, logger);
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      logger.info({ signal }, 'draining');
      setTimeout(() => { logger.error({ seconds: config.drainSeconds }, 'still busy at the end of the drain: cut'); flush(); process.exit(1); }, config.drainSeconds * 1000).unref();
      stop().then(() => { flush(); process.exit(0); }, (failure: unknown) => { logger.error({ err: failure }, 'draining failed'); flush(); process.exit(1); });
    });
  }
}

main().catch((failure: unknown) => {
  // A wrong value is told by its name; a failure to start by its message, without a stack that says nothing to an operator.
  console.error(failure instanceof ConfigurationError ? failure.message : `The controller cannot start: ${failure instanceof Error ? failure.message : String(failure)}`);
  process.exit(1);
});
