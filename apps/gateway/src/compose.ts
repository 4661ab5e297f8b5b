import { randomBytes } from 'node:crypto';
import { Bulkheads } from '#libs/bulkhead/bulkheads.js';
import type { Catalogue } from '#libs/core/catalogue.js';
import type { RunCall } from '#libs/core/pipeline.js';
import type { Backend, CompletionQuestion, RateLimiter, Redactor, Settlement, TokenVerifier } from '#libs/core/ports.js';
import { confined } from '#libs/core/stages/guard.js';
import type { Target } from '#libs/core/target.js';
import type { Logger } from '#libs/observability/logger.js';
import type { Metrics } from '#libs/observability/metrics.js';
import { DOCUMENT_LIMITS } from '#libs/openapi/document-limits.js';
import { readDocument } from '#libs/openapi/read-document.js';
import type { RateLimits } from '#libs/rate-limit/rate-limits.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';
import { composeCallLine } from './call-line.js';
import { confinedListing } from './capability/confined-listing.js';
import { confirmations } from './confirmation.js';
import { Health } from './health.js';
import { PROTOCOL_VERSIONS } from './http/info.controller.js';
import type { Lifecycle } from './lifecycle.js';
import { telling, tellingOfPlaces } from './limits.js';
import type { Listing } from './mcp/listing.js';
import type { Backends, BuildInfo, GatewayOptions, TenantSummary } from './parts.js';
import { aliasesOf } from './platform/aliases.js';
import { apiSpecTool } from './platform/api-spec-tool.js';
import { catalogTool } from './platform/catalog-tool.js';
import { createPlatform, type Platform } from './platform/platform.js';
import { platformHealth } from './platform/platform-health.js';
import { platformInfo } from './platform/platform-info.js';
import { tenantsTool } from './platform/tenants-tool.js';
import { toolsTool } from './platform/tools-tool.js';
import type { Ports } from './ports.js';
import { redactedCalls, redactedEndings, redactedMeter, redactedReplays, redactingBackends } from './redacting.js';
import { CalledRequests, observeCalls } from './settlement.js';
import { measuredPolicy } from './measured-policy.js';
import { tracedCalls, tracedPolicy } from './spans.js';
import { visibleTargets } from './visible.js';

/** The data plane without its doors. */
export interface Gateway {
  readonly build: BuildInfo;
  readonly runCall: RunCall;
  readonly listing: Listing;
  readonly health: Health;
  readonly called: CalledRequests;
  readonly lifecycle: Lifecycle;
  readonly logger: Logger;
  readonly metrics: Metrics | undefined;
  /** See `McpDoorOptions.complete`. */
  readonly complete: (question: Omit<CompletionQuestion, 'api'>) => Promise<readonly string[] | undefined>;
  /** Undefined where authentication is switched off. */
  readonly verifier: TokenVerifier | undefined;
  /** Undefined where limits are switched off. */
  readonly limits: RateLimits | undefined;
  /** All tenants, for platform administrators; undefined where the data plane cannot know. */
  readonly tenants: (() => Promise<readonly TenantSummary[]>) | undefined;
  /** What this process runs without, in an operator's words. */
  readonly off: readonly string[];
}

const UNLIMITED: RateLimiter = { take: () => undefined };
const AS_IT_IS: Redactor = { redact: (result) => result };
/** Where nothing decides, nothing is allowed. */
const DENIED = configuredDecision('deny');

export function composeGateway(ports: Ports, options: GatewayOptions): Gateway {
  const { logger, metrics, tracing, catalogue, validator, concurrency, verifier, source } = ports;
  const given = [ports.catalogueReady, ports.databaseReady, ports.issuersReady, ports.policyReady, ports.journalReady].filter((check) => check !== undefined);
  const health = new Health(options.lifecycle, [...given, ...(ports.limits ? [ports.limits.check] : []), ...options.checks ?? []]);
  const bulkheads = options.bulkheads && new Bulkheads(options.bulkheads);
  for (const readings of [bulkheads?.readings, ports.meteringReadings, ports.ledgerReadings, ports.auditReadings]) if (readings) metrics?.watch(readings);
  const called = new CalledRequests();
  const redactor = ports.redactor ?? AS_IT_IS;
  const backends = options.redactRequests === true ? redactingBackends(backendsOf(ports, options, bulkheads), redactor) : backendsOf(ports, options, bulkheads);
  const tenants = source && (async () => [...await source.revisions()].map(([id, revision]) => ({ id, revision })));
  const platform: Platform = options.platformTools ? platformOf({ catalogue, document: backends.document, options, health, bulkheads, listing: () => listing, tenants }) : createPlatform([], []);
  const policy = metrics ? measuredPolicy(ports.policy ?? DENIED, metrics) : ports.policy ?? DENIED;
  const listing = confinedListing(visibleTargets(catalogue, platform, policy));
  const settlements = [...(ports.spending ? [ports.spending] : []), ...(isSettlement(ports.decisions) ? [redactedEndings(ports.decisions, redactor)] : []), redactedEndings(observeCalls(logger, metrics, called), redactor)];
  const line = composeCallLine({
    guards: [confined, ...(ports.capabilities ? [ports.capabilities] : []), ...(ports.spending ? [ports.spending] : [])],
    confirmations: confirmations({ key: options.mcp?.cursorKey ?? randomBytes(32), ...(options.now ? { now: options.now } : {}) }),
    catalogue, validator, concurrency: concurrency && tellingOfPlaces(concurrency), backends, policy: tracing ? tracedPolicy(policy, tracing) : policy, replays: ports.replays && redactedReplays(ports.replays, redactor), limiter: ports.limiter ? telling(ports.limiter) : UNLIMITED, meter: ports.meter && redactedMeter(ports.meter, redactor), redactor,
  }, platform, settlements);
  const runCall = redactedCalls(line, redactor);
  return {
    build: options.build, runCall: tracing ? tracedCalls(runCall, tracing) : runCall, listing, complete: completions(catalogue, { mcp: ports.mcp, ...options.backends }, redactor), health, called, lifecycle: options.lifecycle, logger, metrics, verifier, limits: ports.limits, tenants,
    off: switchedOff(ports, backends, options),
  };
}

/** Nothing is called: the backend says what it offers, cleaned like everything that it says. */
const completions = (catalogue: Catalogue, backends: Readonly<Record<string, Backend | undefined>>, redactor: Redactor): Gateway['complete'] => async (question) => {
  const { target } = question;
  const backend = backends[target.backend.kind];
  if (!backend?.complete || target.tenant === undefined) return undefined;
  const api = target.apiId === undefined ? undefined : (await catalogue.snapshot(target.tenant))?.apis.get(target.apiId);
  const values = await backend.complete({ ...question, api });
  return redactor.redactText ? values?.map((value) => redactor.redactText?.(value, target.tenant) ?? '') : values;
};

const isSettlement = (one: Partial<Settlement> | undefined): one is Settlement => one?.settle !== undefined;

function switchedOff(ports: Ports, backends: Backends, { mcp, rest, platformTools }: GatewayOptions): readonly string[] {
  const modules: Readonly<Record<string, unknown>> = {
    authentication: ports.verifier, policy: ports.policy, 'rate limits': ports.limiter, metering: ports.meter, idempotency: ports.replays, redaction: ports.redactor, metrics: ports.metrics, tracing: ports.tracing,
    'MCP door': mcp, 'REST facade': rest || undefined, 'platform tools': platformTools || undefined,
    'rest backend': backends.rest, 'graphql backend': backends.graphql, 'grpc backend': backends.grpc, 'kafka backend': backends.kafka, 'mcp backend': backends.mcp, 'fetch backend': backends.fetch, 'inline backend': backends.inline, 'prompt backend': backends.prompt, 'document backend': backends.document,
  };
  return Object.keys(modules).filter((name) => modules[name] === undefined);
}

function backendsOf({ rest, graphql, grpc, kafka, mcp, fetch, inline, prompt, document }: Ports, { backends, maxTimeoutMs: maxMs }: GatewayOptions, bulkheads: Bulkheads | undefined): Backends {
  const all: Record<string, Backend | undefined> = { rest, graphql, grpc, kafka, mcp, fetch, inline, prompt, document, ...backends };
  // Inside the cap: the wait for a place is part of the call's time, and so is what is left for the backend.
  const kept = (kind: string, backend: Backend): Backend => (bulkheads === undefined || OWN.has(kind) ? backend : bulkheads.around(backend));
  return Object.fromEntries(Object.entries(all).flatMap(([kind, backend]) => (backend ? [[kind, maxMs === undefined ? kept(kind, backend) : cappedTimeout(kept(kind, backend), maxMs)]] : [])));
}

/** Answered by the gateway itself: there is nobody to be sick. */
const OWN: ReadonlySet<string> = new Set(['inline', 'prompt', 'document']);

function cappedTimeout(backend: Backend, maxMs: number): Backend {
  const capped = new WeakMap<Target, Target>();
  return {
    invoke: (call) => {
      if (call.target.timeoutMs <= maxMs) return backend.invoke(call);
      let target = capped.get(call.target);
      if (!target) capped.set(call.target, target = { ...call.target, timeoutMs: maxMs });
      return backend.invoke({ ...call, target });
    },
  };
}

interface PlatformParts { readonly catalogue: Catalogue; readonly document: Backend | undefined; readonly options: GatewayOptions; readonly health: Health; readonly bulkheads: Bulkheads | undefined; readonly listing: () => Listing; readonly tenants: Gateway['tenants'] }

function platformOf({ catalogue, document, options: { build, now }, health, bulkheads, listing, tenants }: PlatformParts): Platform {
  const tools = [
    platformInfo({ build, catalogue, protocolVersions: PROTOCOL_VERSIONS }), platformHealth(health, (tenant) => bulkheads?.states(tenant) ?? []), toolsTool(listing),
    ...(tenants ? [tenantsTool(tenants, catalogue)] : []), catalogTool(catalogue, listing), apiSpecTool({ catalogue, listing }, document, documentToJson),
  ];
  return createPlatform(tools, aliasesOf(tools, now ?? Date.now));
}

function documentToJson(text: string): string | undefined {
  try { return JSON.stringify(readDocument(Buffer.from(text), 'document', DOCUMENT_LIMITS)); } catch { return undefined; }
}
