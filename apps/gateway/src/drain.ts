import { setTimeout as wait } from 'node:timers/promises';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Lifecycle } from './lifecycle.js';

export interface DrainOptions {
  /** Whole time, in seconds; what still runs at its end is cut. */
  readonly seconds: number;
  /** Part of it during which new connections are still taken. */
  readonly delaySeconds: number;
}

/**
 * Readiness turns to 503 and answers close their connections; then no connection is taken any more, calls in flight finish,
 * streams are ended, and the application gives back what it holds. Answers whether something had to be cut.
 */
export async function drain(app: NestFastifyApplication, lifecycle: Lifecycle, { seconds, delaySeconds }: DrainOptions): Promise<{ readonly cut: boolean }> {
  const end = performance.now() + seconds * 1000;
  lifecycle.beginDrain();
  if (delaySeconds > 0) await wait(Math.min(delaySeconds, seconds) * 1000);
  const server = app.getHttpServer();
  const stop = new AbortController();
  // A connection whose answer began before the drain is kept alive by its client: close it as soon as it idles.
  const sweep = setInterval(() => { server.closeIdleConnections(); }, 50);
  const closed = app.close().finally(() => { stop.abort(); });
  const late = wait(Math.max(0, end - performance.now()), 'late' as const, { signal: stop.signal }).catch(() => 'closed' as const);
  const cut = (await Promise.race([closed, late])) === 'late';
  if (cut) {
    server.closeAllConnections();
    await Promise.race([closed, wait(1000)]);
  }
  clearInterval(sweep);
  return { cut };
}

/** Drains at SIGTERM and SIGINT and exits 0; a second signal exits at once. */
export function drainOnSignals(app: NestFastifyApplication, lifecycle: Lifecycle, options: DrainOptions & {
  readonly log: (facts: object, message: string) => void; readonly flush: () => void;
}): void {
  const begin = (signal: NodeJS.Signals): void => {
    if (lifecycle.draining) { options.flush(); process.exit(1); }
    options.log({ signal, seconds: options.seconds }, 'draining');
    drain(app, lifecycle, options).then(
      ({ cut }) => { options.log({ cut }, 'stopped'); options.flush(); process.exit(0); },
      (failure: unknown) => { options.log({ err: failure }, 'stopping failed'); options.flush(); process.exit(1); },
    );
  };
  process.on('SIGTERM', begin);
  process.on('SIGINT', begin);
}
