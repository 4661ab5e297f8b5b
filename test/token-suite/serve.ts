import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { ADMIN_PUBLIC_ROUTES } from '#apps/controller/src/http/access.js';
import { createController } from '#apps/controller/src/create-controller.js';
import { createGateway } from '#apps/gateway/src/create-gateway.js';
import { PUBLIC_ROUTES } from '#apps/gateway/src/public-routes.js';
import { FakeApiKeyStore } from '#libs/api-keys/fake-api-key-store.js';
import { newApiKeySecret } from '#libs/api-keys/api-key-secret.js';
import { ApiKeyVerifier } from '#libs/api-keys/api-key-verifier.js';
import { composeVerifiers } from '#libs/auth/compose-verifiers.js';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import type { IssuerConfig } from '#libs/auth/issuer-config.js';
import { grantedScopes } from '#libs/auth/scopes.js';
import { createTokenVerifier, type TokenVerifierOptions } from '#libs/auth/token-verifier.js';
import { registerWellKnown, resourceMetadataUrl, wellKnownRoutes } from '#libs/auth/well-known.js';
import type { Outbound } from '#libs/core/outbound.js';
import { createEgress } from '#libs/egress/egress.js';
import { ActivePolicy } from '#libs/policy/active-policy.js';
import { policyDecisionPoint } from '#libs/policy/decision-point.js';
import { convertJson, openapi } from '../admin/harness.js';
import { MemoryStore } from '../admin/memory-store.js';
import { fakeGateway, fakeTarget, slug } from '../fake-gateway.js';
import { adminDoor, bearer, type Door, legacyDoor, modernDoor, restDoor } from './doors.js';
import type { World } from './trial.js';

export interface Served {
  readonly url: string;
  readonly doors: readonly Door[];
  readonly witness: NonNullable<World['witness']>;
  readonly gateway: NestFastifyApplication;
  /** An API key of tenant `acme`. */
  readonly revocable: NonNullable<World['revocable']>;
  /** How often an address was asked for that contains these words. */
  readonly asked: (words: string) => number;
  close(): Promise<void>;
}
export interface Serving extends Pick<TokenVerifierOptions, 'clock' | 'cacheSize' | 'keyPolicy'> {
  readonly issuers: readonly IssuerConfig[];
  /** Canonical URL of the MCP endpoint; the gateway listens there when its port is free. */
  readonly resource: string;
}

/** The gateway with the shipped policy, and the admin API, each with its own verifier of real tokens, on loopback; tenants `acme` and `globex`, a tool each. */
export async function serveStoa({ issuers, resource, ...options }: Serving): Promise<Served> {
  const egress = createEgress({ allow: ['127.0.0.0/8'] });
  const asked: string[] = [];
  const outbound: Outbound = { request: (request) => { asked.push(request.url); return egress.request(request); } };
  let refusals = 0;
  let records = 0;
  const keys = new FakeApiKeyStore();
  keys.tenants.add(slug('acme'));
  const publishes = { resource, authorizationServers: issuers.map(({ issuer }) => issuer), outbound };
  const door = (open: readonly string[]) => (server: FastifyInstance): void => {
    installDoor(server, {
      verifier: composeVerifiers(createTokenVerifier({ issuers, outbound, ...options }), [new ApiKeyVerifier({ directory: keys, grantedScopes, ...(options.clock ? { clock: options.clock } : {}) })]), isPublic: publicRoutes([...open, ...wellKnownRoutes(publishes)]),
      resourceMetadataUrl: resourceMetadataUrl(resource), refused: () => { refusals += 1; },
    });
  };
  const policy = new ActivePolicy();
  await policy.activate({});
  const gatewayDoor = door(PUBLIC_ROUTES);
  const fake = fakeGateway({
    authenticate: (server) => { gatewayDoor(server); registerWellKnown(server, publishes); },
    policy: policyDecisionPoint({ engine: policy.engine, environment: 'dev', enforces: new Set() }),
    mcp: { allowedOrigins: ['http://localhost:6274'], cursorKey: Buffer.alloc(32, 7) }, platformTools: false,
    meter: { intent: () => { records += 1; return `call-${records}`; }, settle: () => undefined },
  });
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'list_pets')]);
  fake.catalogue.put('globex', [fakeTarget('globex', 'tool', 'forecast')]);
  const gateway = await createGateway(fake.parts);
  await gateway.listen(Number(new URL(resource).port), '127.0.0.1');

  const store = new MemoryStore();
  for (const tenant of ['acme', 'globex']) await store.createTenant({ slug: slug(tenant), displayName: tenant, description: '' });
  const controller = await createController(
    { store, outbound, admissions: openapi(convertJson), now: () => new Date(), refreshPollMs: undefined },
    { build: { version: '0', commit: 'x', builtAt: '2026-01-01T00:00:00Z' }, environment: 'dev', startedAt: new Date(), checks: [], metrics: undefined, draining: new AbortController().signal },
    door(ADMIN_PUBLIC_ROUTES),
  );
  await controller.listen(0, '127.0.0.1');
  const url = base(gateway);
  return {
    url, gateway, asked: (words) => asked.filter((one) => one.includes(words)).length,
    doors: [modernDoor(`${url}/mcp`), legacyDoor(`${url}/mcp`), restDoor(url), adminDoor(base(controller))],
    revocable: async () => {
      const { secret, digest, prefix } = newApiKeySecret();
      const key = await keys.create(slug('acme'), { name: 'suite', digest, prefix, owner: { issuer: 'suite', subject: 'suite' }, roles: ['tenant-admin'], scopes: [], tools: undefined, stepUp: false, expiresAt: new Date(Date.now() + 30 * 86_400_000) });
      return { credential: bearer(secret), revoke: async () => { await keys.revoke(slug('acme'), key.id); } };
    },
    witness: { effects: () => fake.calls.length + records, refusals: () => refusals },
    close: async () => { await gateway.close(); await controller.close(); await egress.close(); },
  };
}

const base = (app: NestFastifyApplication): string => `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
