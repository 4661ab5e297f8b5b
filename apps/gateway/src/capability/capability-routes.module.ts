import { type DynamicModule, Inject, Module, type OnModuleInit, Optional } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ExchangeRefused } from '#libs/capability/authority.js';
import { administers, type Capabilities, type CapabilityObserver } from '#libs/capability/capabilities.js';
import { CAPABILITIES, CAPABILITY_OBSERVER } from '#libs/capability/capability.module.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { AdminAudit, Log, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { ADMIN_AUDIT, LOG, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import { Metrics } from '#libs/observability/metrics.js';
import { principalOf } from '../tokens.js';
import { BadRequest, exchangeBody, form, fromJson } from './exchange-body.js';

const BODY_BYTES = 65_536;
const AUDIENCE = Symbol('CapabilityRoutes audience');
const ISSUED_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const Pointed = z.object({ token: z.string().optional(), jti: z.string().max(128).optional(), tenant: z.string().optional() });

const observer = (metrics?: Metrics): CapabilityObserver => ({ replayed: () => { metrics?.replayRejects.add(1); } });

/** `/v1/token/exchange`, `/introspect` and `/revoke`: raw Fastify routes in a scope of their own, behind the door like all others. */
@Module({})
export class CapabilityRoutesModule implements OnModuleInit {
  static with({ audience }: { readonly audience: string }): DynamicModule {
    return {
      module: CapabilityRoutesModule, global: true,
      providers: [{ provide: AUDIENCE, useValue: audience }, { provide: CAPABILITY_OBSERVER, inject: [{ token: Metrics, optional: true }], useFactory: observer }],
      exports: [CAPABILITY_OBSERVER],
    };
  }

  @Inject(HttpAdapterHost) private readonly host!: HttpAdapterHost;
  @Inject(CAPABILITIES) private readonly capabilities!: Capabilities;
  @Inject(TOKEN_VERIFIER) private readonly verifier!: TokenVerifier;
  @Inject(LOG) private readonly log!: Log;
  @Inject(AUDIENCE) private readonly audience!: string;
  @Optional() @Inject(Metrics) private readonly metrics?: Metrics;
  @Optional() @Inject(ADMIN_AUDIT) private readonly audit?: AdminAudit;

  async onModuleInit(): Promise<void> {
    await this.host.httpAdapter.getInstance<FastifyInstance>().register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser(['application/json', 'application/x-www-form-urlencoded'], { parseAs: 'buffer', bodyLimit: BODY_BYTES }, (_request, body, done) => { done(null, body); });
      scope.setErrorHandler((error: Error, request, reply) => this.failed(error, request, reply));
      scope.post('/v1/token/exchange', { bodyLimit: BODY_BYTES }, (request, reply) => this.exchange(request, reply));
      scope.post('/v1/token/introspect', { bodyLimit: BODY_BYTES }, (request, reply) => this.introspect(request, reply));
      scope.post('/v1/token/revoke', { bodyLimit: BODY_BYTES }, (request, reply) => this.revoke(request, reply));
    });
  }

  private async exchange(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const parent = principalOf(request);
    const { wanted, subjectToken, actorToken } = exchangeBody(formOrJson(request), bytesOf(request), this.audience);
    // The door proved the bearer; another subject would be another caller.
    if (subjectToken !== undefined && subjectToken !== bearerOf(request)) throw new BadRequest('invalid_request', 'subject_token is the bearer token of this request.');
    const actor = actorToken === undefined ? undefined : await this.actor(actorToken);
    const answer = await this.capabilities.exchange(parent, wanted, actor);
    const facts = { request_id: request.id, tenant: parent.tenant, subject: parent.subject, client: parent.clientId, actor: actor?.subject, from: parent.credentialId };
    if (answer instanceof ExchangeRefused) {
      this.metrics?.tokenExchanges.add(1, answer.error);
      this.log.info({ ...facts, error: answer.error, reason: answer.description }, 'token exchange refused');
      await reply.code(400).send({ error: answer.error, error_description: answer.description });
      return;
    }
    const { token, id, expiresIn, grant } = answer;
    // Nobody has the token before it is on record.
    await this.record(request, parent, { jti: id, tools: [...grant.tools.keys()].join(' '), ...(actor === undefined ? {} : { actor: actor.subject }) });
    this.metrics?.tokenExchanges.add(1, 'ok');
    this.log.info({ ...facts, jti: id, tools: [...grant.tools.keys()], seconds: expiresIn, one_time: grant.oneTime, bound: grant.requestHash !== undefined }, 'capability token issued');
    const scope = [...grant.scopes, ...[...grant.tools].flatMap(([tool, operations]) => (operations ? [...operations].map((one) => `tools:${tool}:op:${one}`) : [`tools:${tool}:call`]))];
    await reply.header('cache-control', 'no-store').send({
      access_token: token, issued_token_type: ISSUED_TYPE, token_type: 'Bearer', expires_in: expiresIn, scope: scope.join(' '), tools: [...grant.tools.keys()], jti: id, one_time: grant.oneTime,
      ...(grant.requestHash === undefined ? {} : { request_hash: grant.requestHash }),
    });
  }

  private async actor(token: string): Promise<Principal> {
    const proved = await this.verifier.verify(token);
    if (proved instanceof Denial) throw new BadRequest('invalid_request', 'actor_token is not valid.');
    return proved;
  }

  private async introspect(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const asker = principalOf(request);
    if (!administers(asker, asker.tenant)) {
      await reply.code(403).send({ error: 'access_denied', error_description: 'Introspection is for administrators.' });
      return;
    }
    const { token } = pointed(request);
    if (token === undefined) throw new BadRequest('invalid_request', 'token is required.');
    await reply.send(await this.capabilities.introspect(token, asker));
  }

  private async revoke(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const asker = principalOf(request);
    const { token, jti, tenant } = pointed(request);
    if ((token === undefined) === (jti === undefined)) throw new BadRequest('invalid_request', 'token or jti is required, not both.');
    const of = tenant === undefined ? asker.tenant : tenantSlug(tenant);
    if (tenant !== undefined && of === undefined) throw new BadRequest('invalid_request', 'tenant is not a tenant\'s identity.');
    await this.record(request, asker, { ...(jti === undefined ? { token: 'given' } : { jti }), ...(of === undefined ? {} : { tenant: of }) });
    await this.capabilities.revoke(token ?? { id: jti ?? '', tenant: of }, asker);
    this.log.info({ request_id: request.id, tenant: asker.tenant, subject: asker.subject, jti }, 'capability token revocation asked');
    // RFC 7009 §2.2: the same answer whether there was anything to revoke.
    await reply.send({});
  }

  private async record(request: FastifyRequest, { tenant, issuer, subject, clientId, credentialId, roles, scopes }: Principal, object: Readonly<Record<string, string>>): Promise<void> {
    await this.audit?.record({
      requestId: request.id, tenant, action: `${request.method} ${request.routeOptions.url ?? ''}`, object, effect: 'allow', at: Date.now(),
      principal: { issuer, subject, clientId, ...(credentialId === undefined ? {} : { credentialId }), roles: [...roles], scopes: [...scopes] },
    });
  }

  private failed(error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (error instanceof BadRequest) return reply.code(error.status).send({ error: error.error, error_description: error.message });
    if (error instanceof Unavailable) return reply.code(503).header('retry-after', '1').send({ error: 'temporarily_unavailable', error_description: 'The service is temporarily unavailable.' });
    const status = (error as FastifyError).statusCode ?? 500;
    if (status < 500) return reply.code(status).send({ error: 'invalid_request', error_description: status === 413 ? `The body is larger than ${BODY_BYTES} bytes.` : status === 415 ? SEND : error.message });
    this.log.error({ request_id: request.id, err: error }, 'a token route failed');
    return reply.code(500).send({ error: 'server_error', error_description: 'Internal error.' });
  }
}

const SEND = 'Send application/json or application/x-www-form-urlencoded.';
const bytesOf = ({ body }: FastifyRequest): Buffer => {
  if (!Buffer.isBuffer(body)) throw new BadRequest('invalid_request', SEND);
  return body;
};
const formOrJson = (request: FastifyRequest): 'form' | 'json' => (request.headers['content-type']?.startsWith('application/json') === true ? 'json' : 'form');
const bearerOf = (request: FastifyRequest): string | undefined => request.headers.authorization?.replace(/^bearer\s+/i, '').trim();

function pointed(request: FastifyRequest): z.infer<typeof Pointed> {
  const parsed = Pointed.safeParse(formOrJson(request) === 'json' ? fromJson(bytesOf(request)) : Object.fromEntries(form(bytesOf(request))));
  if (!parsed.success) throw new BadRequest('invalid_request', `${parsed.error.issues[0]?.path.join('.') || 'body'}: ${parsed.error.issues[0]?.message ?? 'not understood'}`);
  return parsed.data;
}
