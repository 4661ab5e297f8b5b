import 'reflect-metadata';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ADMIN_PUBLIC_ROUTES } from '#apps/controller/src/http/access.js';
import { Importer } from '#apps/controller/src/apis/importer.js';
import { ControllerModule } from '#apps/controller/src/controller.module.js';
import { readBuildInfo } from '#apps/gateway/src/build-info.js';
import { composeGateway } from '#apps/gateway/src/compose.js';
import { backendsOf, measuredVerifier } from '#apps/gateway/src/data-plane.js';
import { drain } from '#apps/gateway/src/drain.js';
import { GatewayModule } from '#apps/gateway/src/gateway.module.js';
import { ProblemFilter } from '#apps/gateway/src/http/problem.js';
import { metadataUrl } from '#apps/gateway/src/http/well-known.controller.js';
import { Lifecycle } from '#apps/gateway/src/lifecycle.js';
import type { GatewayParts } from '#apps/gateway/src/parts.js';
import { PUBLIC_ROUTES as GATEWAY_ROUTES } from '#apps/gateway/src/public-routes.js';
import { equipServer, serverOptions } from '#apps/gateway/src/server.js';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { STOA_SCOPES } from '#libs/auth/scopes.js';
import { createTokenVerifier } from '#libs/auth/token-verifier.js';
import { createCatalogue } from '#libs/catalogue/catalogue.js';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import type { ControlStore } from '#libs/core/control-store.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { createCredentialResolver } from '#libs/credentials/credentials.js';
import { createEgress } from '#libs/egress/egress.js';
import { createLogging, type Logging } from '#libs/observability/logger.js';
import { Metrics } from '#libs/observability/metrics.js';
import { DocumentConverter } from '#libs/openapi/conversion-worker.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';
import { databaseCatalogueSource } from '#libs/state/catalogue-source.js';
import { databaseControlStore } from '#libs/state/control-store.js';
import { DataFolderUnusable } from '#libs/state/data-folder.js';
import { openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import type { StandaloneConfig } from './config.js';
import { type RunningDemo, startDemos } from './demo/demo.js';
import { freePort, portUnavailable } from './free-port.js';
import { createLocalIssuer } from './issuer/issuer.js';
import type { DemoUser } from './issuer/login-page.js';
import { ISSUER_PUBLIC_ROUTES } from './issuer/mount.js';
import { closeAll, type Closer, StandaloneModule } from './standalone.module.js';

/** Backends on this computer may be called; everything else that is private only where EGRESS_ALLOW says so. */
const LOOPBACK = ['127.0.0.0/8', '::1/128', 'localhost'] as const;
const MAX_BODY_BYTES = 1_048_576;
/** Upper bound of a tool's own timeout. */
const MAX_TIMEOUT_MS = 300_000;
/** Of access tokens: a working day, so that a copied client configuration lasts one. */
const TOKEN_SECONDS = 8 * 3600;

export interface Standalone {
  /** Without a trailing slash. */
  readonly url: string;
  readonly issuer: { readonly url: string; readonly clientId: string; readonly clientSecret: string };
  readonly demos: readonly RunningDemo[];
  /** Writes out the log lines that wait. */
  readonly flush: () => void;
  /** Stops taking calls, lets those in flight end, and gives everything back. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts the whole product in this process. Rejects with an error whose message is fit for the operator: `PortUnavailable`,
 * `DataFolderInUse`, `DataFolderUnusable`, `InvalidAllowEntry`; then nothing is left open.
 */
export async function startStandalone(config: StandaloneConfig, environment: Readonly<Record<string, string | undefined>>): Promise<Standalone> {
  const port = await freePort(config.host, config.port);
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  const closers: Closer[] = [];
  try {
    return await compose(config, { port, url, environment, closers });
  } catch (failure) {
    // The first failure is the one to tell.
    await closeAll(closers).catch(() => undefined);
    throw failure;
  }
}

interface Site { readonly port: number; readonly url: string; readonly environment: Readonly<Record<string, string | undefined>>; /** Run in this order at the end. */ readonly closers: Closer[] }

async function compose(config: StandaloneConfig, { port, url, environment, closers }: Site): Promise<Standalone> {
  const egress = createEgress({ allow: [...LOOPBACK, ...config.egressAllow] });
  closers.unshift(() => egress.close());
  makeFolder(config.home);
  const directory = join(config.home, 'data');
  if (!existsSync(directory)) await makeDatabase(directory);
  const database = await openDatabase({ directory });
  closers.unshift(() => database.close());
  await migrate(database);
  const store = databaseControlStore(database);
  const logging = createLogging({ level: config.logLevel, format: config.logFormat, service: 'stoa' });
  closers.push(logging.flush);

  const source = databaseCatalogueSource(database);
  const catalogue = createCatalogue({ source, logger: logging.logger });
  closers.unshift(() => catalogue.stop());
  await catalogue.start();

  const resource = `${url}/mcp`;
  const issuer = await createLocalIssuer({
    issuerUrl: `${url}/oidc`, resource, storage: join(config.home, 'issuer'), tokenSeconds: TOKEN_SECONDS,
    tenantExists: async (name) => { const slug = tenantSlug(name); return slug !== undefined && await store.getTenant(slug) !== undefined; },
    users: () => users(store),
  });
  logging.hide(issuer.clientSecret);

  const parts = gatewayParts({ config, logging, environment, resource, egress, catalogue, documents: source, issuerUrl: issuer.issuerUrl, ping: () => database.ping(), store });
  const gateway = composeGateway(parts);
  const controller = ControllerModule.with({ store, outbound: egress, convert: convertIn(new DocumentConverter()), now: () => new Date(), refreshPollMs: 5000 });
  const adapter = new FastifyAdapter(serverOptions(MAX_BODY_BYTES));
  const server = adapter.getInstance<FastifyInstance>();
  equipServer(server, parts, gateway.called);
  issuer.mount(server);
  const app = await NestFactory.create<NestFastifyApplication>(StandaloneModule.with([GatewayModule.with(parts, gateway), controller], closers), adapter, { logger: false, bodyParser: false, abortOnError: false });
  app.useGlobalFilters(new ProblemFilter(logging.logger));
  await app.listen(port, config.host).catch((error: unknown) => { throw portUnavailable(config.host, port, error as NodeJS.ErrnoException); });

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => stopping ??= (async () => {
    await drain(app, parts.lifecycle, { seconds: config.drainSeconds, delaySeconds: 0 });
  })();
  try {
    const demos = config.demo ? await startDemos(config.home, store, app.get(Importer, { strict: false })) : undefined;
    if (demos) closers.unshift(() => demos.close());
    parts.lifecycle.markStarted();
    return { url, issuer: { url: issuer.issuerUrl, clientId: issuer.clientId, clientSecret: issuer.clientSecret }, demos: demos?.running ?? [], flush: logging.flush, stop };
  } catch (failure) {
    await stop();
    throw failure;
  }
}

/** Beforehand and elsewhere; where that fails, opening the database tells why. */
function makeDatabase(directory: string): Promise<void> {
  return new Promise((resolve) => {
    const child = fork(new URL('make-database.js', import.meta.url), [directory], { stdio: 'ignore' });
    child.once('exit', () => { resolve(); });
    child.once('error', () => { resolve(); });
  });
}

/** As `mkdir -p`, mode 0700; Node's own recursive one never returns where the file system has no folders to make, as /proc. */
function makeFolder(folder: string, deeper = false): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || deeper || dirname(folder) === folder) throw new DataFolderUnusable(folder, failure);
    makeFolder(dirname(folder));
    makeFolder(folder, true);
  }
}

interface Stand {
  readonly config: StandaloneConfig;
  readonly logging: Logging;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly resource: string;
  readonly issuerUrl: string;
  readonly egress: ReturnType<typeof createEgress>;
  readonly catalogue: ReturnType<typeof createCatalogue>;
  readonly documents: Pick<CatalogueSource, 'document'>;
  readonly store: ControlStore;
  readonly ping: () => Promise<void>;
}

function gatewayParts({ config, logging, environment, resource, issuerUrl, egress, catalogue, documents, store, ping }: Stand): GatewayParts {
  const { logger } = logging;
  const build = readBuildInfo(environment);
  const metrics = new Metrics({ prefix: 'stoa_mcp_gateway', service: { name: 'stoa', version: build.version, environment: 'dev' }, toolsRegistered: () => catalogue.toolCount() });
  const validator = createArgumentValidator();
  const verifier = createTokenVerifier({
    issuers: [{ issuer: issuerUrl, audiences: [resource], keys: { from: 'discovery' } }], outbound: egress,
  });
  const isPublic = publicRoutes([...GATEWAY_ROUTES, ...ADMIN_PUBLIC_ROUTES, ...ISSUER_PUBLIC_ROUTES]);
  return {
    build, environment: 'dev', logger, metrics, lifecycle: new Lifecycle(), cors: undefined,
    authenticate: (server) => { installDoor(server, { verifier: measuredVerifier(verifier, metrics), isPublic, resourceMetadataUrl: metadataUrl(resource), refused: (requestId, reason) => { logger.info({ request_id: requestId, reason }, 'token refused'); } }); },
    catalogue,
    // One person's laptop: whoever holds a token may call what its tenant has, as often as they like. Said in the configuration of
    // the planes that serve others, they deny.
    policy: configuredDecision('open'), limiter: { take: () => undefined }, redactor: { redact: (result) => result },
    validator,
    backends: backendsOf({
      outbound: egress, documents, validator, version: build.version, maxTimeoutMs: MAX_TIMEOUT_MS, hide: logging.hide,
      credentials: createCredentialResolver({ environment, folder: join(config.home, 'credentials') }),
    }),
    checks: [
      { name: 'database', check: async () => { await ping(); return { ok: true }; } },
      { name: 'catalogue', check: () => Promise.resolve(catalogue.ready()) },
      { name: 'issuer', check: () => verifier.ready() },
    ],
    maxBodyBytes: MAX_BODY_BYTES, rest: true, platformTools: true,
    mcp: { allowedOrigins: ['http://127.0.0.1:*', 'http://localhost:*'], allowedHosts: ['127.0.0.1', 'localhost', '[::1]'], cursorKey: randomBytes(32) },
    protectedResource: { resource, authorizationServers: [issuerUrl], scopes: STOA_SCOPES },
    tenants: async () => (await store.listTenants()).map(({ slug, revision }) => ({ id: slug, revision })),
  };
}

const convertIn = (converter: DocumentConverter): DocumentConverter['convert'] => (bytes, options) => converter.convert(bytes, options);

/** Whom the login page offers: for each tenant its administrator and a viewer, and the platform's administrator. */
async function users(store: ControlStore): Promise<readonly DemoUser[]> {
  const tenants = await store.listTenants();
  return [
    ...tenants.flatMap(({ slug, displayName }) => [
      { id: `tenant-admin@${slug}`, name: `${displayName} administrator`, tenant: slug, role: 'tenant-admin' },
      { id: `viewer@${slug}`, name: `${displayName} viewer`, tenant: slug, role: 'viewer' },
    ]),
    { id: 'cpi-admin', name: 'Platform administrator', tenant: undefined, role: 'cpi-admin' },
  ];
}
