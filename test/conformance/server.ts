import type { FastifyInstance } from 'fastify';
import { createGateway } from '#apps/gateway/src/create-gateway.js';
import { Lifecycle } from '#apps/gateway/src/lifecycle.js';
import type { GatewayParts } from '#apps/gateway/src/parts.js';
import type { Principal } from '#libs/core/principal.js';
import { createLogging } from '#libs/observability/logger.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { convertMcp } from '#libs/backends/mcp/convert-mcp.js';
import { McpAdmission } from '#libs/backends/mcp/mcp-admission.js';
import { McpBackend } from '#libs/backends/mcp/mcp-backend.js';
import { NOTHING_ALLOWED } from '#libs/backends/mcp/operator-list.js';
import { Upstreams } from '#libs/backends/mcp/upstreams.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { ANONYMOUS, FixtureCatalogue } from './fixture-world.js';
import { upstreamCatalogue } from './upstream-catalogue.js';

/** Settings that say that somebody could log in here. */
const ISSUER_SETTINGS = ['OIDC_ISSUER', 'KEYCLOAK_URL', 'JWKS_URL', 'OIDC_ISSUER_FILE', 'KEYCLOAK_URL_FILE', 'JWKS_URL_FILE'];

export interface ConformanceServer { readonly url: string; readonly catalogue: FixtureCatalogue; close(): Promise<void> }

/**
 * The gateway as it is, with the suite's fixtures for a catalogue, everybody for its one anonymous caller, and loopback for its only address. It
 * is not part of the product, and refuses to start where an issuer is configured.
 */
export async function startConformanceServer(env: Readonly<Record<string, string | undefined>>, more: Partial<GatewayParts> = {}): Promise<ConformanceServer> {
  const configured = ISSUER_SETTINGS.filter((name) => env[name] !== undefined && env[name] !== '');
  if (configured.length > 0) throw new Error(`The conformance profile lets everybody in: it does not start where an issuer is configured. Unset ${configured.join(', ')}.`);
  const catalogue = new FixtureCatalogue();
  const { logger } = createLogging({ level: 'error', format: 'text', service: 'conformance' });
  const app = await createGateway({
    build: { version: '0.0.0-conformance', commit: 'none', builtAt: '1970-01-01T00:00:00.000Z' }, environment: 'dev',
    authenticate: everybodyIs(ANONYMOUS), logger, metrics: undefined, lifecycle: new Lifecycle(), cors: undefined,
    catalogue, policy: configuredDecision('open'), limiter: { take: () => undefined }, validator: createArgumentValidator(), redactor: { redact: (result) => result },
    backends: { fixture: catalogue.backend } as GatewayParts['backends'], checks: [], maxBodyBytes: 1_048_576, rest: true, platformTools: true,
    mcp: { allowedOrigins: ['http://localhost:*', 'http://127.0.0.1:*'], allowedHosts: ['localhost', '127.0.0.1', '[::1]'], cursorKey: crypto.getRandomValues(new Uint8Array(32)) },
    ...more,
  });
  await app.listen(0, '127.0.0.1');
  return { url: `${await app.getUrl()}/mcp`, catalogue, close: () => app.close() };
}

/** The gateway with an MCP server behind it, imported and called as any tenant's is. */
export async function startThrough(env: Readonly<Record<string, string | undefined>>, upstream: string): Promise<Omit<ConformanceServer, 'catalogue'>> {
  const egress = createEgress({ allow: ['127.0.0.1', 'localhost', '::1'] });
  const upstreams = new Upstreams({ streams: egress, list: NOTHING_ALLOWED, version: '0.0.0-conformance' });
  const tenant = ANONYMOUS.tenant as TenantSlug;
  const connection = { url: upstream };
  const { bytes } = await new McpAdmission({ upstreams }).describe(connection, { tenant, credentials: {} });
  const validator = createArgumentValidator();
  const mcp = new McpBackend({ upstreams, credentials: { resolve: () => { throw new Error('no credential was asked for'); } }, checkOutput: (target, value) => validator.checkOutput(target, value) });
  const server = await startConformanceServer(env, { catalogue: upstreamCatalogue(tenant, convertMcp(bytes, { connection })), validator, backends: { mcp } });
  return { url: server.url, close: async () => { await server.close(); await upstreams.close(); await egress.close(); } };
}

const everybodyIs = (principal: Principal) => (server: FastifyInstance): void => {
  server.addHook('onRequest', (request, _reply, done) => { (request as { principal?: Principal }).principal = principal; done(); });
};
