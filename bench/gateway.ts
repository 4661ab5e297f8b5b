// The gateway as the benchmark's server under test: the real composition (createGateway) over a catalogue in memory, with the
// stages of a rung on or off. node bench/gateway.ts BACKEND_PORT RUNG_JSON
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DynamicModule } from '@nestjs/common';
import { exportJWK, SignJWT } from 'jose';
import { createGateway } from '#apps/gateway/src/create-gateway.js';
import { gatewayDoor } from '#apps/gateway/src/door.js';
import { Lifecycle } from '#apps/gateway/src/lifecycle.js';
import type { GatewayParts } from '#apps/gateway/src/parts.js';
import { createTokenVerifier } from '#libs/auth/token-verifier.js';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import { buildSnapshot } from '#libs/catalogue/snapshot.js';
import type { Catalogue } from '#libs/core/catalogue.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { RECORD_SINK, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import { createCredentialResolver } from '#libs/credentials/credentials.js';
import { createEgress } from '#libs/egress/egress.js';
import { MeteringModule } from '#libs/metering/metering.module.js';
import { blocksTo } from '#libs/observability/blocks.js';
import { createLogging } from '#libs/observability/logger.js';
import { Metrics } from '#libs/observability/metrics.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';
import { PolicyModule } from '#libs/policy/policy.module.js';
import { RateLimitModule } from '#libs/rate-limit/rate-limit.module.js';
import { RedactionModule } from '#libs/redaction/redaction.module.js';
import { createArgumentValidator } from '#libs/validation/validator.js';

export interface Rung {
  readonly jwt: boolean;
  readonly validation: boolean;
  /** Metrics, and one log line for each call. */
  readonly observed: boolean;
  /** The embedded evaluator with the shipped policy. */
  readonly policy?: boolean;
  /** By address, role, caller, caller and tool, tool and tenant, and places for what runs at the same time; none of them is ever reached. */
  readonly limits?: boolean;
  /** The journal, on disk before a reply leaves; `shipping`: its records are read again and taken by a sink that throws them away. */
  readonly meter?: 'journal' | 'shipping';
  /** The shipped patterns, over arguments that are kept and all that is answered. */
  readonly redaction?: boolean;
  /** Tools of the catalogue; default 1. */
  readonly tools?: number;
  readonly pageSize?: number;
}
export interface GatewayReady {
  readonly port: number;
  /** Bearer tokens to send in turn; none where the rung has no door. */
  readonly tokens: readonly string[];
}

const TENANT = tenantSlug('bench') ?? never();
const ISSUER = 'https://issuer.bench.example';
const AUDIENCE = 'https://gateway.bench.example/mcp';
const TOKENS = 50;

const operation = (id: string): object => ({
  get: {
    operationId: id, summary: 'Look at one pet', description: 'Answers the pet of this number, whatever its status.',
    parameters: [{ name: 'petId', in: 'path', required: true, description: 'The pet\'s number.', schema: { type: 'integer', minimum: 0 } }],
    responses: { 200: { description: 'The pet.', content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } } } },
  },
});

function document(backendPort: number, tools: number): string {
  const paths = Object.fromEntries(Array.from({ length: tools }, (_, index) => [`/${index === 0 ? '' : `v${index}/`}pets/{petId}`, operation(index === 0 ? 'get_pet' : `get_pet_${index}`)]));
  return JSON.stringify({
    openapi: '3.1.0', info: { title: 'Bench', version: '1' }, servers: [{ url: `http://127.0.0.1:${backendPort}` }], paths,
    components: { schemas: { Pet: { type: 'object', required: ['id', 'name'], properties: { id: { type: 'integer' }, name: { type: 'string' }, status: { enum: ['available', 'sold'] }, tags: { type: 'array', items: { type: 'string' } }, ok: { type: 'integer' } } } } },
  });
}

async function catalogue(backendPort: number, tools: number): Promise<Catalogue> {
  const bytes = Buffer.from(document(backendPort, tools));
  const converted = await convertDocument(bytes, {});
  const api = {
    id: 'bench', tenant: TENANT, name: 'bench', version: converted.version, title: converted.title, description: '', kind: 'openapi' as const, status: 'active' as const,
    category: undefined, tags: [], specHash: converted.specHash, baseUrl: undefined, definitions: converted.definitions, slots: converted.slots, credentials: {},
  };
  const targets = converted.tools.map((tool): Omit<Target, 'definitions'> => ({
    kind: 'tool', name: tool.name, tenant: TENANT, apiId: api.id, description: tool.description, operationClass: tool.operationClass, tags: tool.tags, category: undefined, version: '1',
    inputSchema: tool.inputSchema, ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }), backend: tool.backend, timeoutMs: 30_000, hash: tool.hash, listed: tool.listed,
  }));
  if (targets.length !== tools) throw new Error(`${targets.length} of ${tools} tools were made`);
  const hash = createHash('sha256').update(bytes).digest('hex');
  const snapshot = await buildSnapshot({ tenant: TENANT, revision: 1, hash, enabled: true, apis: [api], targets }, undefined);
  return { snapshot: (tenant) => (tenant === TENANT ? snapshot : undefined), onChange: () => () => undefined };
}

/** RS256 tokens of an issuer whose keys are served from memory, the way the real verifier fetches them. */
async function door(): Promise<{ tokens: string[]; verifier: ReturnType<typeof createTokenVerifier> }> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keys = Buffer.from(JSON.stringify({ keys: [{ ...await exportJWK(publicKey), kid: 'bench', alg: 'RS256', use: 'sig' }] }));
  const tokens = await Promise.all(Array.from({ length: TOKENS }, (_, index) => new SignJWT({ tenant_id: TENANT, realm_access: { roles: ['tenant-admin'] }, azp: 'bench', scope: 'openid profile email' })
    .setProtectedHeader({ alg: 'RS256', kid: 'bench', typ: 'at+jwt' }).setIssuer(ISSUER).setAudience(AUDIENCE).setSubject(`caller-${index}`).setIssuedAt().setExpirationTime('1h').sign(privateKey)));
  const verifier = createTokenVerifier({
    issuers: [{ issuer: ISSUER, audiences: [AUDIENCE], keys: { from: 'jwks', uri: `${ISSUER}/keys` } }],
    outbound: { request: () => Promise.resolve({ status: 200, headers: { 'content-type': 'application/json' }, body: keys }) },
  });
  return { tokens, verifier };
}

const MOST = 100_000_000;
/** A module of nothing but values, seen by all others. */
const given = (...values: readonly (readonly [symbol, unknown])[]): DynamicModule =>
  ({ module: class Given { readonly isGiven = true; }, global: true, providers: values.map(([provide, useValue]) => ({ provide, useValue })), exports: values.map(([token]) => token) });

/** What a rung adds as the processes add it: by the modules themselves. */
function modulesOf(rung: Rung, verifier: ReturnType<typeof createTokenVerifier> | undefined): DynamicModule[] {
  const modules: DynamicModule[] = [];
  const values: [symbol, unknown][] = [];
  if (verifier) values.push([TOKEN_VERIFIER, verifier]);
  if (rung.policy === true) modules.push(PolicyModule.with({ mode: 'opa', environment: 'prod' }));
  if (rung.limits === true) {
    const rate = { perMinute: MOST, burst: 10 };
    modules.push(RateLimitModule.with({ limits: {
      roles: { 'tenant-admin': rate }, user: rate, userTool: rate, tool: { perMinute: MOST, burst: MOST }, tenant: { perSecond: MOST, perMinute: MOST, perDay: MOST, concurrent: MOST }, address: rate, failedAuthentications: 100, concurrent: { process: MOST, principal: MOST, backend: MOST },
    } }));
  }
  if (rung.redaction === true) modules.push(RedactionModule.with({ budgetMs: 250 }));
  if (rung.meter !== undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'stoa-bench-'));
    process.on('exit', () => { rmSync(directory, { recursive: true, force: true }); });
    if (rung.meter === 'shipping') values.push([RECORD_SINK.ledger, { name: 'nowhere', accept: () => Promise.resolve() }]);
    modules.push(MeteringModule.with({ directory, cluster: 'bench', instance: 'bench', mode: 'journal', maxBytes: 1 << 30, own: () => Promise.resolve(() => Promise.resolve()), drainMs: 0 }));
  }
  return values.length > 0 ? [given(...values), ...modules] : modules;
}

async function main(backendPort: number, rung: Rung): Promise<void> {
  const validator = createArgumentValidator();
  const egress = createEgress({ allow: ['127.0.0.0/8'] });
  const { tokens, verifier } = rung.jwt ? await door() : { tokens: [], verifier: undefined };
  const anyone: Principal = { tenant: TENANT, issuer: ISSUER, subject: 'bench', clientId: 'bench', roles: new Set(['tenant-admin']), scopes: new Set(['stoa:read', 'stoa:write', 'stoa:tools:read', 'stoa:tools:execute']), expiresAt: Number.MAX_SAFE_INTEGER };
  // Written where a container's standard output would go, and thrown away there.
  const destination = blocksTo(openSync('/dev/null', 'w'));
  const { logger } = createLogging({ level: rung.observed ? 'info' : 'silent', format: 'json', service: 'bench', destination });
  const app = await createGateway({
    build: { version: '0.1.0', commit: 'bench', builtAt: new Date().toISOString() }, environment: 'dev', logger, lifecycle: new Lifecycle(), cors: undefined,
    metrics: rung.observed ? new Metrics({ prefix: 'stoa_mcp_gateway', service: { name: 'bench', version: '0.1.0', environment: 'dev' }, toolsRegistered: () => rung.tools ?? 1 }) : undefined,
    authenticate: verifier ? gatewayDoor({ resource: AUDIENCE, open: [] }) as GatewayParts['authenticate'] : (server) => {
      server.addHook('onRequest', (request, _reply, done) => { request.principal = anyone; done(); });
    },
    catalogue: await catalogue(backendPort, rung.tools ?? 1),
    policy: rung.policy === true ? undefined : configuredDecision('open'), limiter: undefined, redactor: undefined,
    validator: rung.validation ? validator : { validate: (_target, args) => ({ input: args as Readonly<Record<string, unknown>> }) },
    backends: { rest: new RestBackend({ outbound: egress, credentials: createCredentialResolver({ environment: {} }), version: '0.1.0', ...(rung.validation ? { checkOutput: (target: Target, value: unknown) => validator.checkOutput(target, value) } : {}) }) },
    checks: [], maxBodyBytes: 1_048_576, rest: true, platformTools: false,
    mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 7), ...(rung.pageSize === undefined ? {} : { limits: { pageSize: rung.pageSize } }) },
  }, ...modulesOf(rung, verifier));
  const port = await freePort();
  await app.listen(port, '127.0.0.1');
  process.on('message', () => { process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss }); });
  process.on('disconnect', () => { process.exit(); });
  process.send?.({ port, tokens } satisfies GatewayReady);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address() as AddressInfo; probe.close(() => { resolve(port); }); });
  });
}
function never(): never { throw new Error('unreachable'); }

const [, , backendPort = '', rung = '{}'] = process.argv;
await main(Number(backendPort), JSON.parse(rung) as Rung);
