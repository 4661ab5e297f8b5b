import { ConfigurationError, readConfig } from '#libs/configuration/read-config.js';
import type { Logging } from '#libs/observability/logger.js';
import { LOGGING } from '#libs/observability/observability.module.js';
import { PolicyInForce } from '#libs/policy/policy-in-force.js';
import { SidecarPolicy } from '#libs/policy/sidecar-policy.js';
import type { Gateway } from './compose.js';
import { GatewayConfig } from './config.js';
import { drainOnSignals } from './drain.js';
import { openGateway } from './process.module.js';
import { GATEWAY } from './tokens.js';

async function start(config: GatewayConfig): Promise<void> {
  const app = await openGateway(config, process.env);
  const { logger, flush } = app.get<Logging>(LOGGING, { strict: false });
  const { build: { version, commit }, lifecycle, off } = app.get<Gateway>(GATEWAY, { strict: false });
  await app.listen({ host: config.host, port: config.port });
  logger.info({ url: await app.getUrl(), version, commit, policy: config.policyMode, auth: config.authEnabled, off }, 'gateway listening');
  if (!config.authEnabled) logger.warn({}, 'authentication is switched off');
  if (config.policyMode === 'opa') {
    const policy = config.opaEmbedded ? app.get(PolicyInForce, { strict: false }) : app.get(SidecarPolicy, { strict: false });
    process.on('SIGHUP', () => { void policy.reload(); });
  }
  drainOnSignals(app, lifecycle, { seconds: config.drainSeconds, delaySeconds: config.drainDelaySeconds, flush, log: (facts, message) => { logger.info(facts, message); } });
}

process.on('unhandledRejection', (reason) => { process.stderr.write(`unhandled rejection: ${reason instanceof Error ? reason.stack ?? reason.message : String(reason)}\n`); });
try {
  await start(readConfig(GatewayConfig, process.env));
} catch (failure) {
  process.stderr.write(`${failure instanceof ConfigurationError ? failure.message : `The gateway cannot start: ${failure instanceof Error ? failure.message : String(failure)}`}\n`);
  process.exit(1);
}
