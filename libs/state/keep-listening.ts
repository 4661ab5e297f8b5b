import { setTimeout } from 'node:timers/promises';
import type { Database } from './database.js';

export interface ListeningOptions {
  readonly channel: string;
  readonly heard: (payload: string) => void;
  /** Called when a connection stands that did not before: what was said meanwhile was not heard. */
  readonly caughtUp: () => Promise<void>;
  /** Longest wait before a lost connection is tried again, in milliseconds. */
  readonly reconnectMs: number;
  readonly onTrouble: (failure: unknown) => void;
}

/** Hears a channel until it is told to stop; a lost connection is made again. Resolves after the first try, good or bad, with the way to stop. */
export async function keepListening(database: Pick<Database, 'listen'>, { channel, heard, caughtUp, reconnectMs, onTrouble }: ListeningOptions): Promise<() => Promise<void>> {
  const stopping = new AbortController();
  const stopped = new Promise<void>((resolve) => { stopping.signal.addEventListener('abort', () => { resolve(); }, { once: true }); });
  const tried = Promise.withResolvers<undefined>();
  const listening = (async () => {
    for (let failures = 0; ;) {
      const lost = Promise.withResolvers<undefined>();
      try {
        const silence = await database.listen(channel, heard, () => { lost.resolve(undefined); });
        failures = 0;
        await caughtUp();
        tried.resolve(undefined);
        await Promise.race([lost.promise, stopped]);
        await silence();
      } catch (failure) {
        onTrouble(failure);
      }
      tried.resolve(undefined);
      failures += 1;
      // Full jitter: a database that comes back is not met by every data plane at once.
      const wait = Math.random() * Math.min(reconnectMs, 100 * 2 ** failures);
      if (!await setTimeout(wait, true, { signal: stopping.signal }).catch(() => false)) return;
    }
  })();
  await tried.promise;
  return async () => { stopping.abort(); await listening; };
}
