import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { McpModule } from '#apps/gateway/src/mcp/mcp.module.js';
import type { McpDoorOptions } from '#apps/gateway/src/mcp/options.js';
import { ANONYMOUS, fixtureDoor } from './fixture-world.js';

export interface DoorApp { readonly url: string; readonly door: ReturnType<typeof fixtureDoor>; close(): Promise<void> }

/** A Nest application that holds the MCP door and nothing else, on a free port of loopback. */
export async function startDoor(given: Partial<McpDoorOptions> = {}, fixtures?: Parameters<typeof fixtureDoor>[0]): Promise<DoorApp> {
  const door = fixtureDoor(fixtures);
  const options: McpDoorOptions = {
    ...door, principalOf: () => ANONYMOUS, serverInfo: { name: 'stoa', version: '0' }, cursorKey: new Uint8Array(32).fill(7),
    allowedOrigins: ['http://localhost:*', 'http://127.0.0.1:*'], allowedHosts: ['localhost', '127.0.0.1', '[::1]'], ...given,
  };
  const app = await NestFactory.create<NestFastifyApplication>(McpModule.with(options), new FastifyAdapter(), { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  return { url: `${await app.getUrl()}/mcp`, door, close: () => app.close() };
}
