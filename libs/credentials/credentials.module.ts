import { type DynamicModule, Module } from '@nestjs/common';
import { CREDENTIAL_RESOLVER, HIDE_SECRET } from '#libs/core/tokens.js';
import { createCredentialResolver, type CredentialOptions } from './credentials.js';
import { hiding } from './hiding.js';

/** Secrets of backends by reference; each is hidden from the logs before it is used. */
@Module({})
export class CredentialsModule {
  static with(options: CredentialOptions): DynamicModule {
    const make = (hide: (secret: string) => void) => hiding(createCredentialResolver(options), hide);
    return { module: CredentialsModule, global: true, providers: [{ provide: CREDENTIAL_RESOLVER, inject: [HIDE_SECRET], useFactory: make }], exports: [CREDENTIAL_RESOLVER] };
  }
}
