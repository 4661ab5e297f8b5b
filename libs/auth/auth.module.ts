import { type DynamicModule, Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { registerWellKnown, type WellKnownOptions } from './well-known.js';

const OPTIONS = Symbol('AuthModule options');

/**
 * The discovery documents of the protected resource (`wellKnownRoutes` lists them for the door). The door itself is
 * not here: it must stand before any route exists, so the app installs it on its Fastify instance.
 */
@Module({})
export class AuthModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(OPTIONS) private readonly options: WellKnownOptions,
  ) {}

  static with(options: WellKnownOptions): DynamicModule {
    return { module: AuthModule, providers: [{ provide: OPTIONS, useValue: options }] };
  }

  onModuleInit(): void {
    registerWellKnown(this.host.httpAdapter.getInstance<FastifyInstance>(), this.options);
  }
}
