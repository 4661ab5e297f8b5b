import { type DynamicModule, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import type { Outbound } from '#libs/core/outbound.js';
import type { ReadinessCheck } from '#libs/core/ports.js';
import { OUTBOUND, READINESS, TOKEN_VERIFIER } from '#libs/core/tokens.js';
import type { IssuerConfig } from './issuer-config.js';
import { createTokenVerifier, type ReadyTokenVerifier } from './token-verifier.js';
import { registerWellKnown, type WellKnownOptions } from './well-known.js';

export interface AuthOptions {
  /** Whose tokens are taken. */
  readonly issuers: readonly IssuerConfig[];
  /** The discovery documents of this server (`wellKnownRoutes` lists them for the door). Unset: another process publishes them. */
  readonly publishes?: Omit<WellKnownOptions, 'outbound'>;
}
const PUBLISHES = Symbol('AuthModule publishes');

/**
 * Proves tokens, and publishes the discovery documents of the protected resource. The door itself is not here: it must stand before any
 * route exists and after what every answer carries, so the app installs it on its server.
 */
@Module({})
export class AuthModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(OUTBOUND) private readonly outbound: Outbound,
    @Inject(PUBLISHES) private readonly publishes: AuthOptions['publishes'],
  ) {}

  static with({ issuers, publishes }: AuthOptions): DynamicModule {
    return {
      module: AuthModule, global: true,
      providers: [
        { provide: PUBLISHES, useValue: publishes },
        { provide: TOKEN_VERIFIER, inject: [OUTBOUND], useFactory: (outbound: Outbound) => createTokenVerifier({ issuers, outbound }) },
        { provide: READINESS.issuers, inject: [TOKEN_VERIFIER], useFactory: (verifier: ReadyTokenVerifier): ReadinessCheck => ({ name: 'issuer_keys', check: () => verifier.ready() }) },
      ],
      exports: [TOKEN_VERIFIER, READINESS.issuers],
    };
  }

  onModuleInit(): void {
    if (this.publishes) registerWellKnown(this.host.httpAdapter.getInstance<FastifyInstance>(), { ...this.publishes, outbound: this.outbound });
  }
}
