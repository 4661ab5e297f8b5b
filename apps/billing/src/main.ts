import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import { frameworkLog } from '#libs/observability/framework-log.js';
import type { Logging } from '#libs/observability/logger.js';
import { LOGGING } from '#libs/observability/observability.module.js';
import { BillingModule } from './billing.module.js';
import { BillingConfig } from './config.js';

async function main(): Promise<void> {
  const config = readConfig(BillingConfig, process.env);
  const app = await NestFactory.createApplicationContext(BillingModule.with(config), { logger: false, abortOnError: false });
  const { logger, flush } = app.get<Logging>(LOGGING, { strict: false });
  app.useLogger(frameworkLog(logger));
  const address = app.get(BillingModule).address;
  logger.info({ port: typeof address === 'object' ? address?.port : undefined }, 'billing reads');

  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      logger.info({ signal }, 'draining');
      // What is cut is not in the database, and is read again.
      setTimeout(() => { flush(); process.exit(1); }, config.drainSeconds * 1000).unref();
      app.close().then(() => { flush(); process.exit(0); }, (failure: unknown) => { logger.error({ err: failure }, 'draining failed'); flush(); process.exit(1); });
    });
  }
}

main().catch((failure: unknown) => {
  console.error(failure instanceof ConfigurationError ? failure.message : `Billing cannot start: ${failure instanceof Error ? failure.message : String(failure)}`);
  process.exit(1);
});
