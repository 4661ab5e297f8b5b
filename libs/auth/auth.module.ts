import { type DynamicModule, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import type { Outbound } from '#libs/core/outbound.js';
import type { CredentialVerifier, ReadinessCheck, TokenVerifier } from '#libs/core/ports.js';
import { CREDENTIAL_VERIFIER, OUTBOUND, READINESS, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import { clientCredentialsVerifier } from './client-credentials.js';
import { composeVerifiers, noApiKeys } from './compose-verifiers.js';
import type { IssuerConfig } from './issuer-config.js';
import { issuerSelfCheck } from './self-check.js';
import type { SignIn } from './sign-in-fields.js';
import { staticTokenVerifier } from './static-tokens.js';
import { createTokenVerifier, type ReadyTokenVerifier } from './token-verifier.js';
import { registerWellKnown, type WellKnownOptions } from './well-known.js';

export interface AuthOptions extends Partial<Pick<SignIn, 'keyPolicy' | 'basic' | 'selfCheck' | 'staticTokens'>> {
  /** Whose tokens are taken. */
  readonly issuers: readonly IssuerConfig[];
  /** The discovery documents of this server (`wellKnownRoutes` lists them for the door). Unset: another process publishes them. */
  readonly publishes?: Omit<WellKnownOptions, 'outbound'>;
}
const PUBLISHES = Symbol('AuthModule publishes');

/** The verifier of issuers' tokens alone; `TOKEN_VERIFIER` is it and every other way in. */
const ISSUER_TOKENS = Symbol('TokenVerifier of issuers');

/**
 * Proves credentials: tokens of the issuers, and those of the kinds whose modules stand beside it; publishes the discovery documents of the protected resource. The door itself is not here: it must stand before any
 * route exists and after what every answer carries, so the app installs it on its server.
 */
@Module({})
export class AuthModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(OUTBOUND) private readonly outbound: Outbound,
    @Inject(PUBLISHES) private readonly publishes: AuthOptions['publishes'],
  ) {}

  static with({ publishes, ...ways }: AuthOptions): DynamicModule {
    return {
      module: AuthModule, global: true,
      providers: [
        { provide: PUBLISHES, useValue: publishes },
        { provide: ISSUER_TOKENS, inject: [OUTBOUND], useFactory: (outbound: Outbound) => createTokenVerifier({ issuers: ways.issuers, outbound, ...(ways.keyPolicy ? { keyPolicy: ways.keyPolicy } : {}) }) },
        {
          provide: TOKEN_VERIFIER,
          inject: [ISSUER_TOKENS, OUTBOUND, { token: CREDENTIAL_VERIFIER.apiKey, optional: true }, { token: CREDENTIAL_VERIFIER.capability, optional: true }],
          useFactory: (tokens: TokenVerifier, outbound: Outbound, apiKeys?: CredentialVerifier, capabilities?: CredentialVerifier) => {
            const { basic, staticTokens = [] } = ways;
            const kinds = [apiKeys ?? noApiKeys, ...(capabilities ? [capabilities] : []), ...(staticTokens.length > 0 ? [staticTokenVerifier(staticTokens)] : [])];
            return composeVerifiers(tokens, kinds, basic && clientCredentialsVerifier({ ...basic, outbound, tokens }));
          },
        },
        { provide: READINESS.issuers, inject: [ISSUER_TOKENS, OUTBOUND], useFactory: (verifier: ReadyTokenVerifier, outbound: Outbound) => issuersReady(verifier, ways.selfCheck && issuerSelfCheck({ ...ways.selfCheck, outbound, tokens: verifier })) },
      ],
      exports: [TOKEN_VERIFIER, READINESS.issuers],
    };
  }

  onModuleInit(): void {
    if (this.publishes) registerWellKnown(this.host.httpAdapter.getInstance<FastifyInstance>(), { ...this.publishes, outbound: this.outbound });
  }
}

/** Keys first: without them no token could be looked at. */
const issuersReady = (verifier: ReadyTokenVerifier, selfCheck: (() => Promise<string | undefined>) | undefined): ReadinessCheck => ({
  name: 'issuer_keys',
  check: async () => {
    const keys = await verifier.ready();
    const fault = keys.ok ? await selfCheck?.() : undefined;
    return fault === undefined ? keys : { ok: false, reason: fault };
  },
});
