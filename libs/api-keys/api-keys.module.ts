import { type DynamicModule, Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { ApiKeyDirectory } from '#libs/core/api-key.js';
import type { Log } from '#libs/core/ports.js';
import { API_KEY_DIRECTORY, CREDENTIAL_VERIFIER, LOG } from '#libs/core/tokens.js';
import { ApiKeyVerifier, type ApiKeyVerifierOptions } from './api-key-verifier.js';

/** Below what a key is believed for, so that one in use never waits for the store. */
const REFRESH_MS = 700;

/** API keys as a way in. Without it they are refused. */
@Module({})
export class ApiKeysModule implements OnApplicationBootstrap, OnApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #silence: (() => Promise<void>) | undefined;
  constructor(@Inject(CREDENTIAL_VERIFIER.apiKey) private readonly verifier: ApiKeyVerifier, @Inject(API_KEY_DIRECTORY) private readonly directory: ApiKeyDirectory) {}

  static with(options: Pick<ApiKeyVerifierOptions, 'grantedScopes' | 'staleMs'>): DynamicModule {
    return {
      module: ApiKeysModule, global: true,
      providers: [{
        provide: CREDENTIAL_VERIFIER.apiKey, inject: [API_KEY_DIRECTORY, LOG],
        useFactory: (directory: ApiKeyDirectory, log: Log) => new ApiKeyVerifier({ ...options, directory, onTrouble: (failure) => { log.warn({ err: failure }, 'API keys cannot be looked up'); } }),
      }],
      exports: [CREDENTIAL_VERIFIER.apiKey],
    };
  }

  async onApplicationBootstrap(): Promise<void> {
    this.#silence = await this.directory.watch((id) => { this.verifier.forget(id); });
    this.#timer = setInterval(() => void this.verifier.refresh(), REFRESH_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#silence?.();
  }
}
