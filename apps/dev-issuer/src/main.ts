import { readConfig } from '#libs/configuration/read-config.js';
import { DevIssuerConfig } from './config.js';
import { createDevIssuer } from './dev-issuer.js';

try {
  const config = readConfig(DevIssuerConfig, process.env);
  const app = createDevIssuer(config);
  const address = await app.listen({ host: config.host, port: config.port });
  process.stdout.write(`Development issuer on ${address}: POST /token gives anybody a token${config.adminToken === undefined ? '' : ' who has the X-Issuer-Token'}.\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void app.close());
} catch (failure) {
  process.stderr.write(`${failure instanceof Error ? failure.message : String(failure)}\n`);
  process.exit(1);
}
