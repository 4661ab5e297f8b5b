import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';

const CLOSERS = Symbol('closers');
/** One thing to give back at shutdown. */
export type Closer = () => Promise<void> | void;

/** Both planes in one application, and what they stand on: given back in the order named, once the server takes no more calls. */
@Module({})
export class StandaloneModule implements OnApplicationShutdown {
  constructor(@Inject(CLOSERS) private readonly closers: readonly Closer[]) {}

  static with(planes: readonly DynamicModule[], closers: readonly Closer[]): DynamicModule {
    return { module: StandaloneModule, imports: [...planes], providers: [{ provide: CLOSERS, useValue: closers }] };
  }

  async onApplicationShutdown(): Promise<void> {
    for (const close of this.closers) await close();
  }
}
