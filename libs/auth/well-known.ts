import type { FastifyInstance } from 'fastify';
import type { Outbound } from '#libs/core/outbound.js';
import { fetchIssuerMetadata, getJson } from './issuer-keys.js';
import { STOA_SCOPES } from './scopes.js';

/** What is published of this server as a protected resource. */
export interface ResourceConfig {
  /** Canonical URL of the MCP endpoint, byte for byte what clients send as `resource` and tokens carry as `aud`. */
  readonly resource: string;
  /** Issuers whose tokens it takes, in the order in which a client should try them. At least one. */
  readonly authorizationServers: readonly string[];
  readonly documentation?: string;
}

/** RFC 9728 §2. */
interface ResourceMetadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported: readonly string[];
  readonly bearer_methods_supported: readonly ['header'];
  readonly resource_name: string;
  readonly resource_documentation?: string;
}

/** The metadata document. `offline_access` and `openid` are not in it: refresh is between client and issuer (MCP 2026-07-28, authorization). */
function protectedResourceMetadata(config: ResourceConfig): ResourceMetadata {
  if (!URL.canParse(config.resource) || new URL(config.resource).hash !== '') throw new Error(`resource: ${JSON.stringify(config.resource)} must be an absolute URL without a fragment (RFC 9728 §1.2)`);
  if (config.authorizationServers.length === 0) throw new Error('authorizationServers: name at least one issuer');
  return {
    resource: config.resource,
    authorization_servers: config.authorizationServers,
    scopes_supported: STOA_SCOPES,
    bearer_methods_supported: ['header'],
    resource_name: 'Stoa',
    ...(config.documentation === undefined ? {} : { resource_documentation: config.documentation }),
  };
}

/** Where the metadata of `resource` is (RFC 9728 §3.1): the well-known part goes between host and path. */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${RESOURCE_ROOT}${pathname === '/' ? '' : pathname}`;
}

const RESOURCE_ROOT = '/.well-known/oauth-protected-resource';
const ISSUER_DOCUMENTS = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'] as const;
const FRESH_MS = 300_000;

/** The routes that `registerWellKnown` adds, as the door's list of public routes names them. */
export function wellKnownRoutes(config: ResourceConfig): readonly string[] {
  const inserted = new URL(resourceMetadataUrl(config.resource)).pathname;
  return [...new Set([RESOURCE_ROOT, inserted, ...ISSUER_DOCUMENTS])].map((path) => `GET ${path}`);
}

export interface WellKnownOptions extends ResourceConfig {
  readonly outbound: Pick<Outbound, 'request'>;
  /** Where the first issuer's metadata is fetched, if not at the issuer's own address. */
  readonly issuerMetadataUrl?: string;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly clock?: () => number;
}

/**
 * Adds the discovery documents, all of them public: the resource's own at the root and at the path-inserted place, and
 * the first issuer's metadata as it came, for clients that look for it here. That one is kept 300 s, served stale while
 * the issuer cannot be reached, and 503 when it never could.
 */
export function registerWellKnown(app: Pick<FastifyInstance, 'get'>, options: WellKnownOptions): void {
  const resourceText = JSON.stringify(protectedResourceMetadata(options));
  const inserted = new URL(resourceMetadataUrl(options.resource)).pathname;
  for (const path of new Set([RESOURCE_ROOT, inserted])) {
    app.get(path, (_request, reply) => reply.headers(DOCUMENT_HEADERS).send(resourceText));
  }
  const issuerText = issuerMetadata(options);
  for (const path of ISSUER_DOCUMENTS) {
    app.get(path, async (_request, reply) => {
      const text = await issuerText();
      if (text === undefined) return reply.code(503).headers({ 'retry-after': '1', 'cache-control': 'no-store' }).send({ detail: 'Authentication service unavailable' });
      return reply.headers(DOCUMENT_HEADERS).send(text);
    });
  }
}

/** Browser-based clients read these documents from their own origin; there is nothing private in them. */
const DOCUMENT_HEADERS = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'public, max-age=300', 'access-control-allow-origin': '*' };

/** Single flight; a failure is not asked again for a second. Answers undefined when there never was a good answer. */
function issuerMetadata(options: WellKnownOptions): () => Promise<string | undefined> {
  const { clock = Date.now, outbound, authorizationServers: [issuer = ''] } = options;
  let text: string | undefined;
  let askAt = -Infinity;
  let running: Promise<void> | undefined;
  const load = async (): Promise<void> => {
    try {
      text = JSON.stringify(await fetchIssuerMetadata(issuer, options.issuerMetadataUrl, (url) => getJson(outbound, url, 5000)));
      askAt = clock() + FRESH_MS;
    } catch {
      askAt = clock() + 1000;
    } finally {
      running = undefined;
    }
  };
  return async () => {
    if (clock() >= askAt) {
      running ??= load();
      if (text === undefined) await running;
    }
    return text;
  };
}
