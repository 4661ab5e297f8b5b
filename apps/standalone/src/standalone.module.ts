import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';

const CLOSERS = Symbol('closers');
/** One thing to give back at shutdown. */
export type Closer = () => Promise<void> | void;

/** Both planes in one application, and what they stand on: given back in the order named, once the server takes no more calls. */
@Module({})
export class StandaloneModule implements OnApplicationShutdown {
  constructor(@Inject(CLOSERS) private readonly closers: Closer[]) {}

  static with(planes: readonly DynamicModule[], closers: Closer[]): DynamicModule {
    return { module: StandaloneModule, imports: [...planes], providers: [{ provide: CLOSERS, useValue: closers }] };
  }

  onApplicationShutdown(): Promise<void> { return closeAll(this.closers); }
}

/** Each once, in order; one that fails does not keep the others from being given back. */
export async function closeAll(closers: Closer[]): Promise<void> {
  const failures: unknown[] = [];
  for (let close = closers.shift(); close; close = closers.shift()) {
    try { await close(); } catch (failure) { failures.push(failure); }
  }
  if (failures.length > 0) throw failures[0];
}
