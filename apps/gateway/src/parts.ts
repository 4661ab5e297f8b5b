import type { FastifyInstance } from 'fastify';
import type { Catalogue, CatalogueSource } from '#libs/core/catalogue.js';
import type { ArgumentValidator, Backend, PolicyDecisionPoint, RateLimiter, ReadinessCheck, Redactor, UsageMeter } from '#libs/core/ports.js';
import type { BackendBinding } from '#libs/core/target.js';
import type { Tracing } from '#libs/core/tracing.js';
import type { Logger } from '#libs/observability/logger.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { BulkheadOptions } from '#libs/bulkhead/bulkheads.js';
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

/** By kind of binding; `builtin` is the gateway's own and added to them. */
export type Backends = Readonly<Partial<Record<Exclude<BackendBinding['kind'], 'builtin'>, Backend>>>;

/** What a gateway is told of itself; everything else it takes from the modules beside it. */
export interface GatewayOptions {
  readonly build: BuildInfo;
  readonly environment: string;
  readonly lifecycle: Lifecycle;
  readonly platformTools: boolean;
  /** Upper bound of a target's own timeout, in milliseconds. Unset: the target's own counts. */
  readonly maxTimeoutMs?: number;
  /** Places and circuit breaker of each backend of each tenant. Unset: a backend may take all that there is. */
  readonly bulkheads?: BulkheadOptions;
  /** Arguments are redacted before their backend sees them. Default: in records alone. */
  readonly redactRequests?: boolean;
  /** Dependencies of readiness beside those of the modules. */
  readonly checks?: readonly ReadinessCheck[];
  /** Backends beside those of the modules. */
  readonly backends?: Backends;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** Bytes of a request body. */
  readonly maxBodyBytes: number;
  /** The REST facade `/mcp/v1`. */
  readonly rest: boolean;
  /** The MCP door, without what is made here. Undefined: switched off. */
  readonly mcp: Pick<McpDoorOptions, 'allowedOrigins' | 'allowedHosts' | 'cursorKey' | 'limits'> | undefined;
  /** /metrics; undefined: switched off. */
  readonly metricsRoute: { /** Whether it answers anybody, or platform administrators alone. */ readonly isPublic: boolean } | undefined;
}

/** A gateway's ports by value, for tests and measurements. Whatever is undefined is switched off, and the rest still works. */
export interface GatewayParts extends Omit<GatewayOptions, 'metricsRoute'> {
  /** Puts the authentication hook on the server. */
  readonly authenticate: ((server: FastifyInstance) => void) | undefined;
  readonly cors: CorsSettings | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics | undefined;
  readonly metricsPublic?: boolean;
  readonly tracing?: Tracing;
  readonly catalogue: Catalogue;
  readonly source?: Pick<CatalogueSource, 'revisions'>;
  readonly policy: PolicyDecisionPoint | undefined;
  readonly limiter: RateLimiter | undefined;
  readonly validator: ArgumentValidator;
  readonly redactor: Redactor | undefined;
  readonly meter?: UsageMeter;
}

export interface TenantSummary { readonly id: string; readonly revision: number }
