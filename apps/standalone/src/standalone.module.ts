import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type DynamicModule, Module } from '@nestjs/common';
import { ACCESS } from '#apps/controller/src/http/access.js';
import { ControllerModule } from '#apps/controller/src/controller.module.js';
import { readBuildInfo } from '#apps/gateway/src/build-info.js';
import { CapabilityRoutesModule } from '#apps/gateway/src/capability/capability-routes.module.js';
import { GatewayModule } from '#apps/gateway/src/gateway.module.js';
import { Lifecycle } from '#apps/gateway/src/lifecycle.js';
import { ApiKeysModule } from '#libs/api-keys/api-keys.module.js';
import { auditOptions } from '#libs/audit/audit-fields.js';
import { AuditModule } from '#libs/audit/audit.module.js';
import { auditCalls } from '#libs/audit/record-calls.js';
import { AuthModule } from '#libs/auth/auth.module.js';
import { grantedScopes } from '#libs/auth/scopes.js';
import type { SignIn } from '#libs/auth/sign-in-fields.js';
import { DocumentBackendModule } from '#libs/backends/document/document-backend.module.js';
import { FetchBackendModule } from '#libs/backends/fetch/fetch-backend.module.js';
import { GraphqlBackendModule } from '#libs/backends/graphql/graphql-backend.module.js';
import { GrpcBackendModule } from '#libs/backends/grpc/grpc-backend.module.js';
import { KafkaBackendModule } from '#libs/backends/kafka/kafka-backend.module.js';
import { InlineBackendModule } from '#libs/backends/inline/inline-backend.module.js';
import { McpBackendModule } from '#libs/backends/mcp/mcp-backend.module.js';
import { PromptBackendModule } from '#libs/backends/prompt/prompt-backend.module.js';
import { RestBackendModule } from '#libs/backends/rest/rest-backend.module.js';
import { DEFAULT_BULKHEADS } from '#libs/bulkhead/bulkheads.js';
import { CapabilityModule } from '#libs/capability/capability.module.js';
import { CatalogueModule } from '#libs/catalogue/catalogue.module.js';
import type { Environment } from '#libs/configuration/read-config.js';
import type { ControlStore } from '#libs/core/control-store.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { CONTROL_STORE, HIDE_SECRET } from '#libs/core/tokens.js';
import { CredentialsModule } from '#libs/credentials/credentials.module.js';
import { EgressModule } from '#libs/egress/egress.module.js';
import { IdempotencyModule } from '#libs/idempotency/idempotency.module.js';
import { LedgerModule } from '#libs/ledger/ledger.module.js';
import { MeteringModule } from '#libs/metering/metering.module.js';
import { ObservabilityModule } from '#libs/observability/observability.module.js';
import { OpenapiModule } from '#libs/openapi/openapi.module.js';
import { PolicyModule } from '#libs/policy/policy.module.js';
import { rateLimitOptions } from '#libs/rate-limit/limit-fields.js';
import { RateLimitModule } from '#libs/rate-limit/rate-limit.module.js';
import { redactionOptions } from '#libs/redaction/redaction-fields.js';
import { RedactionModule } from '#libs/redaction/redaction.module.js';
import { ownDataFolder } from '#libs/state/data-folder.js';
import { StateModule } from '#libs/state/state.module.js';
import { ValidationModule } from '#libs/validation/validation.module.js';
import type { StandaloneConfig } from './config.js';
import { createLocalIssuer, type LocalIssuer } from './issuer/issuer.js';
import type { DemoUser } from './issuer/login-page.js';

export const LOCAL_ISSUER = Symbol('LocalIssuer');
/** Of a request body; the admin API's import route has a limit of its own. */
export const MAX_BODY_BYTES = 1_048_576;
/** Backends on this computer may be called; everything else that is private only where EGRESS_ALLOW says so. */
const LOOPBACK = ['127.0.0.0/8', '::1/128', 'localhost'] as const;
/** Upper bound of a tool's own timeout. */
const MAX_TIMEOUT_MS = 300_000;
/** Of the journal of calls. */
const JOURNAL_BYTES = 1024 ** 3;
/** Of access tokens: a working day, so that a copied client configuration lasts one. */
const TOKEN_SECONDS = 8 * 3600;

export interface Site {
  /** Canonical URL of the MCP endpoint. */
  readonly resource: string;
  readonly issuerUrl: string;
  /** Of the embedded database. */
  readonly directory: string;
  readonly environment: Environment;
  /** Ways in beside the local issuer. Unset: none. */
  readonly signIn?: SignIn;
}

/** Both planes in one application, and once what they stand on. The modules are closed in the reverse order. */
@Module({})
export class StandaloneModule {
  static with(config: StandaloneConfig, site: Site): DynamicModule {
    const { resource, issuerUrl, directory, environment, signIn } = site;
    const build = readBuildInfo(environment);
    const { version } = build;
    const audit = auditOptions(config, 'stoa');
    const auditSettings = { ...audit, key: audit.key ?? { file: join(config.home, 'audit', 'key.pem') }, anchorsFile: audit.anchorsFile ?? join(config.home, 'audit', 'checkpoints.jsonl') };
    const issuer = async (store: ControlStore, hide: (secret: string) => void): Promise<LocalIssuer> => {
      const made = await createLocalIssuer({
        issuerUrl, resource, storage: join(config.home, 'issuer'), tokenSeconds: TOKEN_SECONDS, users: () => users(store),
        tenantExists: async (name) => { const slug = tenantSlug(name); return slug !== undefined && await store.getTenant(slug) !== undefined; },
      });
      hide(made.clientSecret);
      return made;
    };
    return {
      module: StandaloneModule,
      imports: [
        ObservabilityModule.with({
          log: { level: config.logLevel, format: config.logFormat, service: 'stoa' },
          metrics: { prefix: 'stoa_mcp_gateway', service: { name: 'stoa', version, environment: 'dev' } },
        }),
        EgressModule.with({ allow: [...LOOPBACK, ...config.egressAllow] }),
        StateModule.with({ location: { directory }, migrates: true }),
        CatalogueModule.with({ waits: true }),
        ...(config.apiKeysEnabled ? [ApiKeysModule.with({ grantedScopes, staleMs: config.apiKeysStaleSeconds * 1000 })] : []),
        AuthModule.with({
          // Those of the configuration stand beside the local one, which clients are led to.
          ...signIn, issuers: [{ issuer: issuerUrl, audiences: [resource], keys: { from: 'discovery' } }, ...(signIn?.issuers ?? [])], publishes: { resource, authorizationServers: [issuerUrl] },
        }),
        CapabilityModule.with({ issuer: new URL('/v1/token', resource).href, audience: resource, secrets: [] }), CapabilityRoutesModule.with({ audience: resource }),
        PolicyModule.with({
          // Destructive tools are there to be tried, with a question before.
          mode: 'opa', environment: 'dev', office: true, base: { destructive: 'confirm', admin: ACCESS },
          ...(config.policyDir === undefined ? {} : { folder: config.policyDir }), ...(config.regoCompilerDir === undefined ? {} : { compilerFolder: config.regoCompilerDir }),
        }),
        RateLimitModule.with(rateLimitOptions(config)),
        ...(config.redactionEnabled ? [RedactionModule.with(redactionOptions(config))] : []),
        AuditModule.with(auditSettings),
        LedgerModule.with({ takes: true, guards: true, keeps: true, steps: [auditCalls], explains: true }),
        // Into the ledger and the audit chain of this process, where it has them.
        MeteringModule.with({
          directory: join(config.home, 'journal'), cluster: 'standalone', instance: 'stoa', mode: 'journal', maxBytes: JOURNAL_BYTES, own: ownDataFolder, drainMs: Math.min(5000, config.drainSeconds * 500),
        }),
        IdempotencyModule.with({ in: 'database' }),
        ValidationModule.with(),
        CredentialsModule.with({ environment, folder: join(config.home, 'credentials') }),
        RestBackendModule.with({ version }), GraphqlBackendModule.with({ version, calls: true, admits: true }), GrpcBackendModule.with({ version, calls: true, admits: true }), KafkaBackendModule.with({ version, calls: true, admits: true }), McpBackendModule.with({ version, list: config.mcpServers, calls: true, admits: true }), FetchBackendModule.with({ version }), InlineBackendModule.with(), PromptBackendModule.with(), DocumentBackendModule.with(),
        OpenapiModule.with(),
        ControllerModule.with({ refreshPollMs: 5000, apiKeysEnabled: config.apiKeysEnabled }),
        GatewayModule.with({
          build, environment: 'dev', lifecycle: new Lifecycle(), maxTimeoutMs: MAX_TIMEOUT_MS, bulkheads: DEFAULT_BULKHEADS, redactRequests: config.redactionEnabled && config.redactionRequests, maxBodyBytes: MAX_BODY_BYTES, platformTools: true, rest: true, metricsRoute: { isPublic: true },
          mcp: { allowedOrigins: ['http://127.0.0.1:*', 'http://localhost:*'], allowedHosts: ['127.0.0.1', 'localhost', '[::1]'], cursorKey: randomBytes(32) },
        }),
      ],
      providers: [{ provide: LOCAL_ISSUER, inject: [CONTROL_STORE, HIDE_SECRET], useFactory: issuer }],
    };
  }
}

/** Whom the login page offers: for each tenant its administrator and a viewer, and the platform's administrator. */
async function users(store: ControlStore): Promise<readonly DemoUser[]> {
  const tenants = await store.listTenants();
  return [
    ...tenants.flatMap(({ slug, displayName }) => [
      { id: `tenant-admin@${slug}`, name: `${displayName} administrator`, tenant: slug, role: 'tenant-admin' },
      { id: `viewer@${slug}`, name: `${displayName} viewer`, tenant: slug, role: 'viewer' },
    ]),
    { id: 'cpi-admin', name: 'Platform administrator', tenant: undefined, role: 'cpi-admin' },
  ];
}
