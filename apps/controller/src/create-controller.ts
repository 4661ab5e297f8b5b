import 'reflect-metadata';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ADMIN_AUDIT, ADMINISTRATION, ADMISSION, AUDIT_TRAIL, API_KEY_STORE, CONTROL_STORE, DECISION_LOG, LOG, OUTBOUND, POLICY_OFFICE } from '#libs/core/tokens.js';
import { frameworkLog } from '#libs/observability/framework-log.js';
import { administrationPolicy } from '#libs/policy/administration.js';
import { PolicyInForce } from '#libs/policy/policy-in-force.js';
import { policyOffice } from '#libs/policy/policy-office.js';
import { RecentDecisions } from '#libs/policy/recent-decisions.js';
import { ControllerModule } from './controller.module.js';
import { ACCESS } from './http/access.js';
import { ProblemFilter } from './http/problem-filter.js';
import { type ControllerParts, PARTS } from './parts.js';
import { ProbesController } from './probes/probes.controller.js';
import { PROCESS, type ProcessParts } from './probes/process-parts.js';
import { SERVER_OPTIONS } from './server.js';

/**
 * A Nest application on Fastify that holds the admin API, initialised; it does not listen yet. The modules are made first, then `equip` puts on the
 * server what stands before every route, the door above all, and only then do routes exist.
 */
export async function openController(root: DynamicModule, equip: (server: FastifyInstance, app: NestFastifyApplication) => void): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter(SERVER_OPTIONS);
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, { logger: false, bodyParser: false, abortOnError: false });
  try {
    const server = adapter.getInstance<FastifyInstance>();
    const parts = app.get<ControllerParts>(PARTS, { strict: false });
    if (parts.log) app.useLogger(frameworkLog(parts.log));
    equip(server, app);
    app.useGlobalFilters(new ProblemFilter(parts));
    await app.init();
    await server.ready();
    return app;
  } catch (failure) {
    await app.close().catch(() => undefined);
    throw failure;
  }
}

@Module({})
class Given {}
@Module({})
class GivenPorts {}

/** A controller of ports given by value, for tests, which need no process around it. */
export async function createController(parts: ControllerParts, own: ProcessParts, equip: (server: FastifyInstance) => void): Promise<NestFastifyApplication> {
  const { store, outbound, admissions, apiKeys, log, policies, audit, trail, ...options } = parts;
  const policy = new PolicyInForce({ base: { admin: ACCESS }, ...(policies ? { store: policies } : {}) });
  await policy.start();
  const providers = [
    { provide: CONTROL_STORE, useValue: store }, { provide: OUTBOUND, useValue: outbound }, ...Object.values(admissions).map((admission) => ({ provide: ADMISSION[admission.kind], useValue: admission })),
    { provide: ADMINISTRATION, useValue: administrationPolicy(policy.engine) },
    ...(apiKeys ? [{ provide: API_KEY_STORE, useValue: apiKeys }] : []),
    ...(policies ? [{ provide: POLICY_OFFICE, useValue: policyOffice({ inForce: policy, store: policies, environment: 'dev' }) }, { provide: DECISION_LOG, useValue: new RecentDecisions() }] : []),
    ...(log ? [{ provide: LOG, useValue: log }] : []),
    ...(audit ? [{ provide: ADMIN_AUDIT, useValue: audit }] : []), ...(trail ? [{ provide: AUDIT_TRAIL, useValue: trail }] : []),
  ];
  const ports: DynamicModule = { module: GivenPorts, global: true, providers, exports: providers.map(({ provide }) => provide) };
  return openController({ module: Given, imports: [ports, ControllerModule.with(options)], controllers: [ProbesController], providers: [{ provide: PROCESS, useValue: own }] }, equip);
}
