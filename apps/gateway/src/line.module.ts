import { type DynamicModule, type FactoryProvider, Module } from '@nestjs/common';
import { composeGateway, type Gateway } from './compose.js';
import { Lifecycle } from './lifecycle.js';
import type { GatewayOptions } from './parts.js';
import { Ports } from './ports.js';
import { GATEWAY, HEALTH, LISTING, RUN_CALL } from './tokens.js';

const part = (token: symbol, key: keyof Gateway): FactoryProvider => ({ provide: token, inject: [GATEWAY], useFactory: (gateway: Gateway) => gateway[key] });

/** The one call line, made of what the modules of the process offer, for the doors. */
@Module({})
export class LineModule {
  static with(options: GatewayOptions): DynamicModule {
    return {
      module: LineModule,
      providers: [
        Ports,
        { provide: GATEWAY, inject: [Ports], useFactory: (ports: Ports) => composeGateway(ports, options) },
        { provide: Lifecycle, useValue: options.lifecycle },
        part(RUN_CALL, 'runCall'), part(LISTING, 'listing'), part(HEALTH, 'health'),
      ],
      exports: [GATEWAY, Lifecycle, RUN_CALL, LISTING, HEALTH],
    };
  }
}
