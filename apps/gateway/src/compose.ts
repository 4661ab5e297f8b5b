import type { RunCall } from '#libs/core/pipeline.js';
import { DOCUMENT_LIMITS } from '#libs/openapi/document-limits.js';
import { readDocument } from '#libs/openapi/read-document.js';
import { composeCallLine } from './call-line.js';
import { Health } from './health.js';
import { PROTOCOL_VERSIONS } from './http/info.controller.js';
import type { Listing } from './mcp/listing.js';
import type { GatewayParts } from './parts.js';
import { aliasesOf } from './platform/aliases.js';
import { apiSpecTool } from './platform/api-spec-tool.js';
import { catalogTool } from './platform/catalog-tool.js';
import { createPlatform, type Platform } from './platform/platform.js';
import { platformHealth } from './platform/platform-health.js';
import { platformInfo } from './platform/platform-info.js';
import { tenantsTool } from './platform/tenants-tool.js';
import { toolsTool } from './platform/tools-tool.js';
import { CalledRequests, observeCalls } from './settlement.js';
import { tracedCalls, tracedPolicy } from './spans.js';
import { visibleTargets } from './visible.js';

/** The data plane without its doors. */
export interface Gateway {
  readonly runCall: RunCall;
  readonly listing: Listing;
  readonly health: Health;
  readonly called: CalledRequests;
}

export function composeGateway(parts: GatewayParts): Gateway {
  const health = new Health(parts.lifecycle, parts.checks);
  const called = new CalledRequests();
  const platform = parts.platformTools ? platformOf(parts, health, () => listing) : createPlatform([], []);
  const listing = visibleTargets(parts.catalogue, platform);
  const settlements = [observeCalls(parts.logger, parts.metrics, called), ...(parts.settlements ?? [])];
  const { tracing } = parts;
  const runCall = tracing
    ? tracedCalls(composeCallLine({ ...parts, policy: tracedPolicy(parts.policy, tracing) }, platform, settlements), tracing)
    : composeCallLine(parts, platform, settlements);
  return { runCall, listing, health, called };
}

function platformOf(parts: GatewayParts, health: Health, listing: () => Listing): Platform {
  const { catalogue, build, tenants } = parts;
  const tools = [
    platformInfo({ build, catalogue, protocolVersions: PROTOCOL_VERSIONS }), platformHealth(health), toolsTool(listing),
    ...(tenants ? [tenantsTool(tenants, catalogue)] : []), catalogTool(catalogue), apiSpecTool(catalogue, parts.backends.document, documentToJson),
  ];
  return createPlatform(tools, aliasesOf(tools, parts.now ?? Date.now));
}

function documentToJson(text: string): string | undefined {
  try { return JSON.stringify(readDocument(Buffer.from(text), 'document', DOCUMENT_LIMITS)); } catch { return undefined; }
}
