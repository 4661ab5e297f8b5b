import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { composeGateway } from './compose.js';
import { GatewayModule } from './gateway.module.js';
import { ProblemFilter } from './http/problem.js';
import type { GatewayParts } from './parts.js';
import { equipServer, serverOptions } from './server.js';

/** The gateway process, made of its parts and initialised; it does not listen yet. */
export async function createGateway(parts: GatewayParts): Promise<NestFastifyApplication> {
  const gateway = composeGateway(parts);
  const adapter = new FastifyAdapter(serverOptions(parts.maxBodyBytes));
  equipServer(adapter.getInstance<FastifyInstance>(), parts, gateway.called);
  const app = await NestFactory.create<NestFastifyApplication>(GatewayModule.with(parts, gateway), adapter, { logger: false, bodyParser: false, abortOnError: false });
  app.useGlobalFilters(new ProblemFilter(parts.logger));
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  parts.lifecycle.markStarted();
  return app;
}
