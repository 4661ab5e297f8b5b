import { Inject, Injectable, Optional } from '@nestjs/common';
import { CAPABILITIES } from '#libs/capability/capability.module.js';
import type { Catalogue, CatalogueSource } from '#libs/core/catalogue.js';
import type { ArgumentValidator, Backend, CallGuard, ConcurrencyLimiter, PolicyDecisionPoint, RateLimiter, ReadinessCheck, Reading, Redactor, Replays, TokenVerifier, Settlement, UsageMeter } from '#libs/core/ports.js';
import {
  BACKEND, CATALOGUE, CATALOGUE_SOURCE, CONCURRENCY_LIMITER, DECISION_LOG, LOG, POLICY, RATE_LIMITER, READINESS, READINGS, REDACTOR, REPLAYS, TOKEN_VERIFIER, TRACING, USAGE_METER, VALIDATOR, SPEND_GUARD,
} from '#libs/core/tokens.js';
import type { SpendGuard } from '#libs/core/usage-ledger.js';
import type { Tracing } from '#libs/core/tracing.js';
import type { Logger } from '#libs/observability/logger.js';
import { Metrics } from '#libs/observability/metrics.js';
import { RATE_LIMITS } from '#libs/rate-limit/rate-limit.module.js';
import type { RateLimits } from '#libs/rate-limit/rate-limits.js';

/** What the modules of the process offer the data plane. What is optional may be switched off. */
@Injectable()
export class Ports {
  @Inject(LOG) readonly logger!: Logger;
  @Inject(CATALOGUE) readonly catalogue!: Catalogue;
  @Inject(VALIDATOR) readonly validator!: ArgumentValidator;
  @Optional() @Inject(CATALOGUE_SOURCE) readonly source?: Pick<CatalogueSource, 'revisions'>;
  @Optional() @Inject(TOKEN_VERIFIER) readonly verifier?: TokenVerifier;
  @Optional() @Inject(POLICY) readonly policy?: PolicyDecisionPoint;
  @Optional() @Inject(RATE_LIMITER) readonly limiter?: RateLimiter;
  @Optional() @Inject(RATE_LIMITS) readonly limits?: RateLimits;
  @Optional() @Inject(CONCURRENCY_LIMITER) readonly concurrency?: ConcurrencyLimiter;
  @Optional() @Inject(REDACTOR) readonly redactor?: Redactor;
  @Optional() @Inject(CAPABILITIES) readonly capabilities?: CallGuard;
  @Optional() @Inject(SPEND_GUARD) readonly spending?: SpendGuard;
  @Optional() @Inject(REPLAYS) readonly replays?: Replays;
  @Optional() @Inject(USAGE_METER) readonly meter?: UsageMeter;
  @Optional() @Inject(Metrics) readonly metrics?: Metrics;
  @Optional() @Inject(TRACING) readonly tracing?: Tracing;
  @Optional() @Inject(BACKEND.rest) readonly rest?: Backend;
  @Optional() @Inject(BACKEND.graphql) readonly graphql?: Backend;
  @Optional() @Inject(BACKEND.grpc) readonly grpc?: Backend;
  @Optional() @Inject(BACKEND.kafka) readonly kafka?: Backend;
  @Optional() @Inject(BACKEND.mcp) readonly mcp?: Backend;
  @Optional() @Inject(BACKEND.fetch) readonly fetch?: Backend;
  @Optional() @Inject(BACKEND.inline) readonly inline?: Backend;
  @Optional() @Inject(BACKEND.prompt) readonly prompt?: Backend;
  @Optional() @Inject(BACKEND.document) readonly document?: Backend;
  @Optional() @Inject(READINESS.database) readonly databaseReady?: ReadinessCheck;
  @Optional() @Inject(READINESS.catalogue) readonly catalogueReady?: ReadinessCheck;
  /** Where it is fed by calls of this process. */
  @Optional() @Inject(DECISION_LOG) readonly decisions?: Partial<Settlement>;
  @Optional() @Inject(READINESS.policy) readonly policyReady?: ReadinessCheck;
  @Optional() @Inject(READINESS.issuers) readonly issuersReady?: ReadinessCheck;
  @Optional() @Inject(READINESS.journal) readonly journalReady?: ReadinessCheck;
  @Optional() @Inject(READINGS.metering) readonly meteringReadings?: readonly Reading[];
  @Optional() @Inject(READINGS.ledger) readonly ledgerReadings?: readonly Reading[];
  @Optional() @Inject(READINGS.audit) readonly auditReadings?: readonly Reading[];
}
