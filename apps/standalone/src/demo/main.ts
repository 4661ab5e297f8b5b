import { join } from 'node:path';
import { startPetshop } from './acme-petshop.js';

/** The pet shop as a process of its own, for installations whose gateway is one: HOST (127.0.0.1), PORT (8090), DEMO_DIR for its state (/tmp). */
const { HOST: host = '127.0.0.1', PORT: port = '8090', DEMO_DIR: folder = '/tmp' } = process.env;
try {
  const shop = await startPetshop(join(folder, 'petshop.json'), { host, port: Number(port) });
  process.stdout.write(`The pet shop is open at ${shop.url}, its document at ${shop.url}/openapi.yaml\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void shop.close());
} catch (failure) {
  process.stderr.write(`The pet shop cannot open: ${failure instanceof Error ? failure.message : String(failure)}\n`);
  process.exit(1);
}
