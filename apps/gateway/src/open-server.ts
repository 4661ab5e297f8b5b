import 'reflect-metadata';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { frameworkLog } from '#libs/observability/framework-log.js';
import type { Gateway } from './compose.js';
import { ProblemFilter } from './http/problem.js';
import type { CorsSettings } from './parts.js';
import { equipServer, serverOptions } from './server.js';
import { GATEWAY } from './tokens.js';

export interface ServerSettings {
  /** Of a request body. */
  readonly maxBodyBytes: number;
  readonly cors: CorsSettings | undefined;
  /** Puts the authentication hook on the server; undefined only where an operator switched authentication off. */
  readonly authenticate: ((server: FastifyInstance, gateway: Gateway) => void) | undefined;
  /** Adds routes that no module has; they stand behind the door like all others. */
  readonly mount?: (server: FastifyInstance, app: NestFastifyApplication) => void;
}

/**
 * A Nest application on Fastify that holds a gateway, initialised; it does not listen yet. The modules are made first, then the server gets what
 * every request passes, the door last, and only then do routes exist. Rejects with what a module said that cannot start, and closes the others.
 */
export async function openServer(root: DynamicModule, { maxBodyBytes, cors, authenticate, mount }: ServerSettings): Promise<NestFastifyApplication> {
  // Nobody uses Express middleware here, and its runner costs every call about four in a hundred.
  const adapter = new FastifyAdapter({ ...serverOptions(maxBodyBytes), skipMiddie: true });
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, { logger: false, bodyParser: false, abortOnError: false });
  try {
    const server = adapter.getInstance<FastifyInstance>();
    const gateway = app.get<Gateway>(GATEWAY, { strict: false });
    app.useLogger(frameworkLog(gateway.logger));
    equipServer(server, gateway, { cors, authenticate: authenticate && ((on) => { authenticate(on, gateway); }) });
    mount?.(server, app);
    app.useGlobalFilters(new ProblemFilter(gateway.logger));
    await app.init();
    await server.ready();
    return app;
  } catch (failure) {
    await app.close().catch(() => undefined);
    throw failure;
  }
}
