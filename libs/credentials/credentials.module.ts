import { type DynamicModule, Module } from '@nestjs/common';
import type { Outbound } from '#libs/core/outbound.js';
import { CREDENTIAL_RESOLVER, HIDE_SECRET, OUTBOUND } from '#libs/core/tokens.js';
import { createCredentialResolver, type CredentialOptions } from './credentials.js';
import { hiding } from './hiding.js';
import { createTokenCredentials } from './token-credentials.js';

/** Credentials of backends by reference: secrets, each hidden from the logs before it is used, and tokens that are had for them. */
@Module({})
export class CredentialsModule {
  static with(options: CredentialOptions): DynamicModule {
    const make = (hide: (secret: string) => void, outbound: Outbound) => createTokenCredentials({ secrets: hiding(createCredentialResolver(options), hide), outbound });
    return { module: CredentialsModule, global: true, providers: [{ provide: CREDENTIAL_RESOLVER, inject: [HIDE_SECRET, OUTBOUND], useFactory: make }], exports: [CREDENTIAL_RESOLVER] };
  }
}
