import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ControllerModule } from './controller.module.js';
import type { ControllerParts } from './parts.js';

/** The controller as an application of its own; `server` is for what stands before every route (the door, request ids, metrics). */
export async function createController(parts: ControllerParts, server: (instance: FastifyInstance) => void | Promise<void> = () => undefined): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({ bodyLimit: 1024 * 1024, routerOptions: { maxParamLength: 256 } });
  await server(adapter.getInstance<FastifyInstance>());
  return NestFactory.create<NestFastifyApplication>(ControllerModule.with(parts), adapter, { logger: ['error', 'warn'], abortOnError: false });
}
