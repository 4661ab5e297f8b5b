import type { FastifyInstance } from 'fastify';
import type { Catalogue } from '#libs/core/catalogue.js';
import type { ArgumentValidator, Backend, PolicyDecisionPoint, RateLimiter, ReadinessCheck, Redactor, Settlement } from '#libs/core/ports.js';
import type { BackendBinding } from '#libs/core/target.js';
import type { Logger } from '#libs/observability/logger.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { Tracing } from '#libs/core/tracing.js';
import type { Lifecycle } from './lifecycle.js';
import type { McpDoorOptions } from './mcp/options.js';

export interface BuildInfo { readonly version: string; readonly commit: string; /** ISO 8601. */ readonly builtAt: string }

export interface CorsSettings {
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  /** Seconds. */
  readonly maxAge: number;
}

/** What one HTTP server has, whichever planes it serves. */
export interface ServerParts {
  /** Puts the authentication hook on the server; undefined only where an operator switched authentication off. */
  readonly authenticate: ((server: FastifyInstance) => void) | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics | undefined;
  readonly lifecycle: Lifecycle;
  readonly cors: CorsSettings | undefined;
}

/** All that the data plane is made of. Whatever is undefined is switched off, and the rest still works. */
export interface GatewayParts extends ServerParts {
  readonly build: BuildInfo;
  readonly environment: string;
  readonly catalogue: Catalogue;
  readonly policy: PolicyDecisionPoint;
  readonly limiter: RateLimiter;
  readonly validator: ArgumentValidator;
  readonly redactor: Redactor;
  /** By kind of binding; `builtin` is the gateway's own and added here. */
  readonly backends: Readonly<Partial<Record<Exclude<BackendBinding['kind'], 'builtin'>, Backend>>>;
  /** Told of each ending beside logs and metrics. */
  readonly settlements?: readonly Settlement[];
  readonly checks: readonly ReadinessCheck[];
  readonly tracing?: Tracing;
  /** Whether /metrics answers anybody, or platform administrators alone. Default true. */
  readonly metricsPublic?: boolean;
  /** Bytes of a request body. */
  readonly maxBodyBytes: number;
  /** The REST facade `/mcp/v1`. */
  readonly rest: boolean;
  readonly platformTools: boolean;
  /** The MCP door, without what is made here. Undefined: switched off. */
  readonly mcp: Pick<McpDoorOptions, 'allowedOrigins' | 'allowedHosts' | 'cursorKey' | 'limits'> | undefined;
  /** What clients need to get a token (RFC 9728); undefined where authentication is off. */
  readonly protectedResource?: ProtectedResource;
  /** Platform administrators' overview of tenants (`stoa_tenants`); undefined where the data plane cannot know. */
  readonly tenants?: () => Promise<readonly TenantSummary[]>;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** Given back in this order once the server takes no more calls. */
  readonly closers?: readonly (() => Promise<void> | void)[];
}

export interface TenantSummary { readonly id: string; readonly revision: number }

export interface ProtectedResource {
  /** Canonical URL of the MCP endpoint. */
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopes: readonly string[];
}
