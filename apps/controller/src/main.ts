import type { AddressInfo } from 'node:net';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import type { Logging } from '#libs/observability/logger.js';
import { LOGGING } from '#libs/observability/observability.module.js';
import { ControllerConfig } from './config.js';
import { openControllerProcess } from './process.module.js';

async function main(): Promise<void> {
  const config = readConfig(ControllerConfig, process.env);
  const drain = new AbortController();
  const app = await openControllerProcess(config, process.env, drain.signal);
  const { logger, flush } = app.get<Logging>(LOGGING, { strict: false });
  await app.listen(config.port, config.host);
  const { port } = app.getHttpServer().address() as AddressInfo;
  const off = [...(config.refreshEnabled ? [] : ['refresh']), ...(config.enableMetrics ? [] : ['metrics'])];
  logger.info({ host: config.host, port, off }, 'controller listens');

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (drain.signal.aborted) return;
      drain.abort();
      logger.info({ signal }, 'draining');
      setTimeout(() => { logger.error({ seconds: config.drainSeconds }, 'still busy at the end of the drain: cut'); flush(); process.exit(1); }, config.drainSeconds * 1000).unref();
      app.close().then(() => { flush(); process.exit(0); }, (failure: unknown) => { logger.error({ err: failure }, 'draining failed'); flush(); process.exit(1); });
    });
  }
}

main().catch((failure: unknown) => {
  // A wrong value is told by its name; a failure to start by its message, without a stack that says nothing to an operator.
  console.error(failure instanceof ConfigurationError ? failure.message : `The controller cannot start: ${failure instanceof Error ? failure.message : String(failure)}`);
  process.exit(1);
});
