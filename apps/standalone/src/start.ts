import { fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { Importer } from '#apps/controller/src/apis/importer.js';
import { ADMIN_PUBLIC_ROUTES } from '#apps/controller/src/http/access.js';
import { gatewayDoor } from '#apps/gateway/src/door.js';
import { drain } from '#apps/gateway/src/drain.js';
import { Lifecycle } from '#apps/gateway/src/lifecycle.js';
import { openServer } from '#apps/gateway/src/open-server.js';
import { PUBLIC_ROUTES as GATEWAY_ROUTES } from '#apps/gateway/src/public-routes.js';
import { signInOf } from '#libs/auth/sign-in-fields.js';
import { debugUser } from '#libs/auth/static-tokens.js';
import { wellKnownRoutes } from '#libs/auth/well-known.js';
import type { ControlStore } from '#libs/core/control-store.js';
import { CONTROL_STORE } from '#libs/core/tokens.js';
import type { Logging } from '#libs/observability/logger.js';
import { LOGGING } from '#libs/observability/observability.module.js';
import { DataFolderUnusable } from '#libs/state/data-folder.js';
import type { StandaloneConfig } from './config.js';
import { type RunningDemo, startDemos } from './demo/demo.js';
import { freePort, portUnavailable } from './free-port.js';
import type { LocalIssuer } from './issuer/issuer.js';
import { ISSUER_PUBLIC_ROUTES } from './issuer/mount.js';
import { LOCAL_ISSUER, MAX_BODY_BYTES, StandaloneModule } from './standalone.module.js';

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
 * Starts the whole product in this process; `first` is given its server before any route exists. Rejects with an error whose message is fit for the operator: `PortUnavailable`,
 * `DataFolderInUse`, `DataFolderUnusable`, `InvalidAllowEntry`; the process should then end.
 */
export async function startStandalone(config: StandaloneConfig, environment: Readonly<Record<string, string | undefined>>, first?: (server: FastifyInstance, app: NestFastifyApplication) => void): Promise<Standalone> {
  const port = await freePort(config.host, config.port);
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  const resource = `${url}/mcp`;
  const issuerUrl = `${url}/oidc`;
  const directory = join(config.home, 'data');
  const signIn = signInOf({ ...config, resourceUrl: config.resourceUrl ?? resource }, { environment, readFile: (path) => readFileSync(path, 'utf8') });
  const root = StandaloneModule.with(config, { resource, issuerUrl, directory, environment, signIn });
  makeFolder(config.home);
  if (!existsSync(directory)) await makeDatabase(directory);

  const open = [...GATEWAY_ROUTES, ...wellKnownRoutes({ resource, authorizationServers: [issuerUrl] }), ...ADMIN_PUBLIC_ROUTES, ...ISSUER_PUBLIC_ROUTES];
  const app = await openServer(root, {
    maxBodyBytes: MAX_BODY_BYTES, cors: undefined, authenticate: gatewayDoor({ resource, open, ...(signIn.debugUser ? { debugUser } : {}) }),
    mount: (server, made) => { first?.(server, made); made.get<LocalIssuer>(LOCAL_ISSUER).mount(server); },
  });
  const running = new Running(app, config);
  try {
    await app.listen(port, config.host).catch((error: unknown) => { throw portUnavailable(config.host, port, error as NodeJS.ErrnoException); });
    return await running.ready(url);
  } catch (failure) {
    // The first failure is the one to tell.
    await running.stop().catch(() => undefined);
    throw failure;
  }
}

/** The application, and the demo backends beside it. */
class Running {
  private readonly lifecycle: Lifecycle;
  private demos: Awaited<ReturnType<typeof startDemos>> | undefined;
  private stopping: Promise<void> | undefined;
  constructor(private readonly app: NestFastifyApplication, private readonly config: StandaloneConfig) {
    this.lifecycle = app.get(Lifecycle, { strict: false });
  }

  async ready(url: string): Promise<Standalone> {
    const { app, config } = this;
    if (config.demo) this.demos = await startDemos(config.home, app.get<ControlStore>(CONTROL_STORE, { strict: false }), app.get(Importer, { strict: false }));
    this.lifecycle.markStarted();
    const { issuerUrl, clientId, clientSecret } = app.get<LocalIssuer>(LOCAL_ISSUER);
    const { flush } = app.get<Logging>(LOGGING, { strict: false });
    return { url, issuer: { url: issuerUrl, clientId, clientSecret }, demos: this.demos?.running ?? [], flush, stop: () => this.stop() };
  }

  stop(): Promise<void> {
    return this.stopping ??= (async () => {
      await drain(this.app, this.lifecycle, { seconds: this.config.drainSeconds, delaySeconds: 0 });
      await this.demos?.close();
    })();
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
