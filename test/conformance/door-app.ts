import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { McpModule } from '#apps/gateway/src/mcp/mcp.module.js';
import type { McpDoorOptions } from '#apps/gateway/src/mcp/options.js';
import { callLine, type RunCall, type Stages } from '#libs/core/pipeline.js';
import { invoke, validate } from '#libs/core/stages/govern.js';
import { resolve } from '#libs/core/stages/resolve.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { ANONYMOUS, FixtureCatalogue } from './fixture-world.js';
import type { Fixture } from './fixtures.js';

export interface DoorApp { readonly url: string; readonly catalogue: FixtureCatalogue; close(): Promise<void> }

/** A Nest application that holds the MCP door and nothing else, on a free port of loopback; the call line behind it is real. */
export async function startDoor(given: Partial<McpDoorOptions> & { readonly stages?: Partial<Stages>; readonly fixtures?: readonly Fixture[] } = {}): Promise<DoorApp> {
  const { stages, fixtures, ...options } = given;
  const catalogue = new FixtureCatalogue(fixtures);
  const app = await NestFactory.create<NestFastifyApplication>(McpModule.with({
    runCall: fixtureLine(catalogue, stages), catalogue, listing: fixtureListing(catalogue),
    principalOf: () => ANONYMOUS, serverInfo: { name: 'stoa', version: '0' }, cursorKey: new Uint8Array(32).fill(7),
    allowedOrigins: ['http://localhost:*', 'http://127.0.0.1:*'], allowedHosts: ['localhost', '127.0.0.1', '[::1]'], ...options,
  }), new FastifyAdapter(), { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  return { url: `${await app.getUrl()}/mcp`, catalogue, close: () => app.close() };
}

const LISTS = { tool: 'tools', resource: 'resources', prompt: 'prompts' } as const;
export const fixtureListing = (catalogue: FixtureCatalogue): McpDoorOptions['listing'] => ({
  list: (kind, { tenant }) => {
    const snapshot = tenant && catalogue.snapshot(tenant);
    return { items: snapshot ? [...snapshot[LISTS[kind]].values()] : [], revision: snapshot?.revision ?? 0, key: 'all' };
  },
  find: (kind, name, { tenant }) => (tenant && catalogue.snapshot(tenant))?.[LISTS[kind]].get(name),
});

const fixtureLine = (catalogue: FixtureCatalogue, stages: Partial<Stages> = {}): RunCall => callLine({
  resolve: resolve(catalogue, { find: () => undefined }),
  authorize: (call) => Object.assign(call, { decision: { ruleId: 'open', policyRevision: '0' } }),
  rateLimit: (call) => Object.assign(call, { quota: undefined }),
  validate: validate(createArgumentValidator()),
  record: (call) => Object.assign(call, { callId: call.requestId }),
  invoke: invoke({ fixture: catalogue.backend } as Parameters<typeof invoke>[0]),
  redact: (call) => Object.assign(call, { result: call.answer.result }),
  settle: () => undefined,
  ...stages,
});
