import type { RunCall } from '#libs/core/pipeline.js';
import { composeCallLine } from './call-line.js';
import { Health } from './health.js';
import { PROTOCOL_VERSIONS } from './http/info.controller.js';
import type { Listing } from './mcp/listing.js';
import type { GatewayParts } from './parts.js';
import { createPlatform, type Platform } from './platform/platform.js';
import { platformInfo } from './platform/platform-info.js';
import { CalledRequests, observeCalls } from './settlement.js';
import { tracedCalls, tracedPolicy } from './spans.js';
import { visibleTargets } from './visible.js';

/** The data plane without its doors. */
export interface Gateway {
  readonly runCall: RunCall;
  readonly listing: Listing;
  readonly platform: Platform;
  readonly health: Health;
  readonly called: CalledRequests;
}

export function composeGateway(parts: GatewayParts): Gateway {
  const health = new Health(parts.lifecycle, parts.checks);
  const called = new CalledRequests();
  const platform = createPlatform(parts.platformTools ? [platformInfo({ build: parts.build, catalogue: parts.catalogue, protocolVersions: PROTOCOL_VERSIONS })] : [], []);
  const listing = visibleTargets(parts.catalogue, platform);
  const settlements = [observeCalls(parts.logger, parts.metrics, called), ...(parts.settlements ?? [])];
  const { tracing } = parts;
  const runCall = tracing
    ? tracedCalls(composeCallLine({ ...parts, policy: tracedPolicy(parts.policy, tracing) }, platform, settlements), tracing)
    : composeCallLine(parts, platform, settlements);
  return { runCall, listing, platform, health, called };
}
