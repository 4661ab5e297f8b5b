import type { FastifyInstance } from 'fastify';
import { Lifecycle } from '#apps/gateway/src/lifecycle.js';
import type { GatewayParts } from '#apps/gateway/src/parts.js';
import { PUBLIC_ROUTES } from '#apps/gateway/src/public-routes.js';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { Catalogue, CatalogueChange, CatalogueSnapshot } from '#libs/core/catalogue.js';
import { Denial } from '#libs/core/errors.js';
import type { ReadinessCheck } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Api, Target } from '#libs/core/target.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import { createLogging } from '#libs/observability/logger.js';
import { Metrics } from '#libs/observability/metrics.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';

export const slug = (text: string): TenantSlug => {
  const tenant = tenantSlug(text);
  if (!tenant) throw new TypeError(`${text} is not a tenant slug`);
  return tenant;
};
export const principal = (tenant: string | undefined, ...roles: string[]): Principal => ({
  tenant: tenant === undefined ? undefined : slug(tenant), issuer: 'https://issuer.test', subject: 'ada', clientId: 'cli', roles: new Set(roles), scopes: new Set(), expiresAt: 4e9,
});

/** Bearer tokens of the fake door: the token is the name. */
export const CALLERS: Readonly<Record<string, Principal>> = {
  'acme-viewer': principal('acme', 'viewer'),
  'globex-viewer': principal('globex', 'viewer'),
  'acme-admin': principal('acme', 'tenant-admin'),
  'acme-admin-2': { ...principal('acme', 'tenant-admin'), subject: 'grace' },
  'acme-one-tool': { ...principal('acme', 'tenant-admin'), allowedTools: new Set(['getPet']) },
  'globex-admin': principal('globex', 'tenant-admin'),
  'admin': principal('acme', 'cpi-admin'),
  'nobody': principal(undefined, 'viewer'),
};
export const as = (caller: string): { readonly authorization: string } => ({ authorization: `Bearer ${caller}` });

export function fakeTarget(tenant: string, kind: Target['kind'], name: string, more: Partial<Target> = {}): Target {
  const inputSchema = more.inputSchema ?? { type: 'object', properties: { id: { type: 'string' } }, required: [], additionalProperties: false };
  return {
    kind, name, tenant: slug(tenant), apiId: undefined, description: `The ${kind} ${name}`, operationClass: 'read', tags: [], category: undefined, version: '1.0.0',
    inputSchema, definitions: {}, timeoutMs: 1000, hash: name,
    backend: { kind: 'rest', method: 'GET', baseUrl: 'http://backend.test', path: `/${name}`, parameters: [], accept: 'application/json', security: [] },
    listed: JSON.stringify(kind === 'tool' ? { name, description: name, inputSchema } : kind === 'resource' ? { uri: name, name, mimeType: 'text/plain' } : { name, arguments: [{ name: 'who', required: true }] }),
    ...more,
  };
}

export class FakeCatalogue implements Catalogue {
  private readonly snapshots = new Map<TenantSlug, CatalogueSnapshot>();
  private readonly listeners = new Set<(change: CatalogueChange) => void>();
  put(tenant: string, targets: readonly Target[], apis: readonly Api[] = []): void {
    const of = (kind: Target['kind']) => new Map(targets.filter((target) => target.kind === kind).map((target) => [target.name, target]));
    const revision = (this.snapshots.get(slug(tenant))?.revision ?? 0) + 1;
    this.snapshots.set(slug(tenant), {
      tenant: slug(tenant), revision, hash: String(revision), enabled: true, apis: new Map(apis.map((api) => [api.id, api])),
      tools: of('tool'), resources: of('resource'), prompts: of('prompt'),
    });
    for (const listener of this.listeners) listener({ tenant: slug(tenant), revision, toolsChanged: true, resourcesChanged: true, promptsChanged: true, resourceUris: [] });
  }
  snapshot(tenant: TenantSlug): CatalogueSnapshot | undefined { return this.snapshots.get(tenant); }
  onChange(listener: (change: CatalogueChange) => void): () => void { this.listeners.add(listener); return () => { this.listeners.delete(listener); }; }
}

export interface FakeGateway {
  readonly parts: GatewayParts;
  readonly catalogue: FakeCatalogue;
  /** Lines of log, parsed. */
  readonly logs: () => readonly Record<string, unknown>[];
  readonly rawLogs: () => string;
  /** Calls that reached the REST backend. */
  readonly calls: ValidatedCall[];
  readonly checks: Map<string, ReadinessCheck>;
}

const ok = async (): Promise<BackendAnswer> => ({ result: { type: 'tool', content: [{ type: 'text', text: '{"ok":true}' }], isError: false, backendStatus: 200 }, outcome: 'success', latencyMs: 1, bytes: 11 });

/** Every part of a gateway, faked; `answer` is what the REST backend says. */
export function fakeGateway(overrides: Partial<GatewayParts> = {}, answer?: (call: ValidatedCall) => Promise<BackendAnswer | Denial>, open: readonly string[] = PUBLIC_ROUTES): FakeGateway {
  const lines: string[] = [];
  const { logger } = createLogging({ level: 'trace', format: 'json', service: 'gateway', destination: { write: (line) => { lines.push(line); } } });
  const catalogue = new FakeCatalogue();
  const calls: ValidatedCall[] = [];
  const backend = { invoke: (call: ValidatedCall) => { calls.push(call); return (answer ?? ok)(call); } };
  const checks = new Map<string, ReadinessCheck>();
  const parts: GatewayParts = {
    build: { version: '0.1.0', commit: 'abc1234', builtAt: '2026-01-01T00:00:00.000Z' }, environment: 'dev',
    authenticate: fakeDoor(open), logger, lifecycle: new Lifecycle(), cors: undefined,
    metrics: new Metrics({ prefix: 'stoa_mcp_gateway', service: { name: 'stoa-mcp-gateway', version: '0.1.0', environment: 'dev' }, process: false, toolsRegistered: () => 0 }),
    catalogue, policy: configuredDecision('open'), limiter: { take: () => undefined },
    validator: { validate: (_target, args) => ({ input: args as Record<string, unknown> }) }, redactor: { redact: (result) => result },
    backends: { rest: backend, inline: inlineBackend, prompt: promptBackend },
    checks: [{ name: 'catalogue', check: async () => checks.get('catalogue')?.check() ?? { ok: true } }],
    maxBodyBytes: 1024 * 1024, rest: true, platformTools: true, mcp: undefined,
    ...overrides,
  };
  return { parts, catalogue, calls, checks, rawLogs: () => lines.join(''), logs: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

/** The real door, with a verifier that knows names instead of tokens. */
const fakeDoor = (open: readonly string[]) => (server: FastifyInstance): void => {
  installDoor(server, {
    verifier: { verify: (token) => CALLERS[token] ?? new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid token' }) },
    isPublic: publicRoutes(open), resourceMetadataUrl: 'http://gateway.test/.well-known/oauth-protected-resource/mcp',
  });
};

const inlineBackend = {
  invoke: async ({ target }: ValidatedCall): Promise<BackendAnswer> => {
    const binding = target.backend.kind === 'inline' ? target.backend : undefined;
    return { result: { type: 'resource', contents: [{ uri: target.name, mimeType: binding?.mimeType ?? '', text: binding?.text ?? '' }] }, outcome: 'success', latencyMs: 0, bytes: 0 };
  },
};
const promptBackend = {
  invoke: async ({ target, input }: ValidatedCall): Promise<BackendAnswer> => {
    const messages = target.backend.kind === 'prompt' ? target.backend.messages : [];
    return {
      result: { type: 'prompt', description: target.description, messages: messages.map(({ role, text }) => ({ role, content: { type: 'text', text: text.replaceAll(/\{\{(\w+)\}\}/g, (_all, name: string) => String(input[name])) } })) },
      outcome: 'success', latencyMs: 0, bytes: 0,
    };
  },
};
