import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createController } from '#apps/controller/src/create-controller.js';
import type { ControllerParts } from '#apps/controller/src/parts.js';
import type { ProcessParts } from '#apps/controller/src/probes/process-parts.js';
import type { ControlStore } from '#libs/core/control-store.js';
import type { Admission } from '#libs/core/admission.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import { type Outbound, OutboundFailure, type OutboundRequest, type OutboundResponse } from '#libs/core/outbound.js';
import type { Principal } from '#libs/core/principal.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { tenantSlug, type TenantSlug } from '#libs/core/tenant.js';
import { MemoryPolicyStore } from './memory-policy-store.js';
import { MemoryStore, sha256 } from './memory-store.js';

export const slug = (text: string): TenantSlug => {
  const found = tenantSlug(text);
  if (found === undefined) throw new Error(`${text} is no slug`);
  return found;
};
export const ACME = slug('acme');

/** Stands in for the door: `x-role: viewer@acme` is a proved principal; without the header there is none. */
export function trustRoleHeader(server: FastifyInstance): void {
  server.addHook('onRequest', (request, _reply, done) => {
    const [roles, tenant] = String(request.headers['x-role'] ?? '').split('@');
    if (roles !== undefined && roles !== '') (request as { principal?: Principal }).principal = principal(roles.split('+'), tenant);
    done();
  });
}
export const principal = (roles: readonly string[], tenant?: string): Principal => ({
  tenant: tenant === undefined ? undefined : slug(tenant), issuer: 'https://issuer.test', subject: 'ada', clientId: 'cli', roles: new Set(roles), scopes: new Set(), expiresAt: 4_000_000_000,
});

export const openapi = (convert: Admission['convert']): ControllerParts['admissions'] => ({ openapi: { kind: 'openapi', convert } });

/** A converter for documents in JSON, one tool per operation; the real one is tested for itself. */
export const convertJson: Admission['convert'] = async (bytes, { takenNames = [] }): Promise<ConvertedDocument> => {
  type Json = { info: { title: string; version: string }; paths: Record<string, Record<string, { operationId: string; description?: string }>>; components?: { securitySchemes?: Record<string, unknown> } };
  let document: Json;
  try { document = JSON.parse(Buffer.from(bytes).toString()); } catch { throw new DocumentError({ code: 'syntax', problem: 'not JSON', file: 'document', line: 3, column: 7 }); }
  if (typeof document.paths !== 'object') throw new DocumentError({ code: 'invalid-document', problem: '`paths` is missing', file: 'document', pointer: '/paths' });
  const operations = Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })));
  const name = (operationId: string): string => (takenNames.includes(operationId) ? `${operationId}_2` : operationId);
  return {
    format: 'openapi-3.1', title: document.info.title, version: document.info.version, description: '', specHash: sha256(bytes), definitions: {},
    slots: Object.fromEntries(Object.keys(document.components?.securitySchemes ?? {}).map((slot) => [slot, { type: 'bearer' as const }])),
    tools: operations.map(({ path, method, operationId, description = '' }) => ({
      name: name(operationId), title: undefined, description, method, path, operationId, tags: [], deprecated: false, operationClass: 'read', inputSchema: { type: 'object' }, outputSchema: undefined,
      backend: { kind: 'rest', method, path, baseUrl: 'https://api.test', parameters: [], accept: '*/*', security: [] }, listed: '{}', hash: sha256(`${method} ${path} ${description}`),
    })),
    ledger: operations.map(({ path, method, operationId }) => ({ method, path, operationId, tool: name(operationId), verdict: 'exact', reasons: [], notes: [] })),
  };
};

export const document = (operations: Readonly<Record<string, string>>): { openapi: string; info: object; paths: object; components: object } => ({
  openapi: '3.1.0', info: { title: 'Pets', version: '1.0.0' },
  paths: Object.fromEntries(Object.entries(operations).map(([operationId, description]) => [`/${operationId}`, { get: { operationId, description, responses: { 200: { description: 'ok' } } } }])),
  components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
});

/** The web as a map from address to what it answers. */
export class FakeWeb implements Outbound {
  readonly pages = new Map<string, { status?: number; body: string; location?: string } | OutboundFailure>();
  asked = 0;
  async request({ url }: OutboundRequest): Promise<OutboundResponse> {
    this.asked += 1;
    const page = this.pages.get(url) ?? new OutboundFailure('unreachable', 'nobody answers');
    if (page instanceof OutboundFailure) throw page;
    return { status: page.status ?? 200, headers: page.location === undefined ? {} : { location: page.location }, body: Buffer.from(page.body) };
  }
}

export interface Harness {
  readonly app: NestFastifyApplication;
  readonly server: FastifyInstance;
  readonly store: ControlStore;
  readonly web: FakeWeb;
  /** `route` is a method and a path below `/admin/v1`. */
  readonly ask: (role: string, route: string, body?: unknown, headers?: Record<string, string>) => Promise<LightMyRequestResponse>;
}

export async function harness(parts: Partial<ControllerParts> = {}, own: Partial<ProcessParts> = {}, watch: (server: FastifyInstance) => void = () => undefined): Promise<Harness> {
  const web = new FakeWeb();
  const all: ControllerParts = { store: new MemoryStore(), policies: new MemoryPolicyStore(), outbound: web, admissions: openapi(convertJson), now: () => new Date(), refreshPollMs: undefined, ...parts };
  const app = await createController(all, { build: { version: '0.0.0', commit: 'abc', builtAt: '2026-01-01T00:00:00Z' }, environment: 'dev', startedAt: new Date(), checks: [], metrics: undefined, draining: new AbortController().signal, ...own },
    (server) => { watch(server); trustRoleHeader(server); });
  const server = app.getHttpAdapter().getInstance();
  const ask: Harness['ask'] = (role, route, body, headers = {}) => server.inject({
    method: route.split(' ', 1)[0] as 'GET', url: route.slice(route.indexOf(' ') + 1).replace(/^(?!\/admin\/)/, '/admin/v1'), headers: { ...(role === '' ? {} : { 'x-role': role }), ...headers },
    ...(body === undefined ? {} : { payload: body as string }),
  });
  return { app, server, store: all.store, web, ask };
}
