import 'reflect-metadata';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ControllerModule } from './controller.module.js';
import { ProblemFilter } from './http/problem-filter.js';
import type { ControllerParts } from './parts.js';
import { ProbesController } from './probes/probes.controller.js';
import { PROCESS, type ProcessParts } from './probes/process-parts.js';
import { SERVER_OPTIONS } from './server.js';

@Module({})
class ControllerProcess {
  static of(parts: ControllerParts, own: ProcessParts): DynamicModule {
    return { module: ControllerProcess, imports: [ControllerModule.with(parts)], controllers: [ProbesController], providers: [{ provide: PROCESS, useValue: own }] };
  }
}

/** The controller process, made of its parts and initialised; it does not listen yet. `equip` puts on the server what stands before every route, the door above all. */
export async function createController(parts: ControllerParts, own: ProcessParts, equip: (server: FastifyInstance) => void): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter(SERVER_OPTIONS);
  equip(adapter.getInstance<FastifyInstance>());
  const app = await NestFactory.create<NestFastifyApplication>(ControllerProcess.of(parts, own), adapter, { logger: false, bodyParser: false, abortOnError: false });
  app.useGlobalFilters(new ProblemFilter(parts));
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
}
