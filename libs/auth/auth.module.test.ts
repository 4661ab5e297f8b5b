import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { expect, it } from 'vitest';
import type { TokenVerifier } from '#libs/core/ports.js';
import { OUTBOUND, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import { AuthModule } from './auth.module.js';
import { installDoor, publicRoutes } from './door.js';
import { FakeIssuer, ISSUER } from './fake-issuer.contract.js';
import { resourceMetadataUrl, wellKnownRoutes } from './well-known.js';

it('serves the discovery documents of a Nest application behind its door', async () => {
  const { outbound } = new FakeIssuer([]);
  const config = { resource: 'https://gw.example/mcp', authorizationServers: [ISSUER] };
  @Global()
  @Module({ providers: [{ provide: OUTBOUND, useValue: outbound }], exports: [OUTBOUND] })
  class Egress {}
  @Module({ imports: [Egress, AuthModule.with({ issuers: [{ issuer: ISSUER, audiences: [config.resource], keys: { from: 'discovery' } }], publishes: config })] })
  class Root {}
  const app = await NestFactory.create<NestFastifyApplication>(Root, new FastifyAdapter(), { logger: false });
  const verifier = app.get<TokenVerifier>(TOKEN_VERIFIER);
  installDoor(app.getHttpAdapter().getInstance(), { verifier, isPublic: publicRoutes(wellKnownRoutes(config)), resourceMetadataUrl: resourceMetadataUrl(config.resource) });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  for (const path of ['oauth-protected-resource', 'oauth-protected-resource/mcp', 'oauth-authorization-server', 'openid-configuration']) {
    // oxlint-disable-next-line no-await-in-loop -- four
    expect((await app.inject({ url: `/.well-known/${path}` })).statusCode).toBe(200);
  }
  const refused = await app.inject({ url: '/mcp', method: 'POST' });
  expect(refused.statusCode).toBe(401);
  expect(refused.headers['www-authenticate']).toBe('Bearer resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp"');
  await app.close();
});
