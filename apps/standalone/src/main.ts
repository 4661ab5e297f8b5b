import { relative, resolve } from 'node:path';
import { readConfig } from '#libs/configuration/read-config.js';
import { StandaloneConfig } from './config.js';
import { writeHandover } from './handover.js';
import { type Standalone, startStandalone } from './start.js';

const say = (line: string): void => { process.stdout.write(`${line}\n`); };
/** Errors whose message says all that an operator needs. */
const PLAIN = new Set(['ConfigurationError', 'PortUnavailable', 'DataFolderInUse', 'DataFolderUnusable', 'InvalidAllowEntry', 'MigrationFailed', 'JournalUnusable', 'JournalUnreadable', 'AuditKeyUnusable', 'InvalidSink']);

async function main(): Promise<void> {
  const read = readConfig(StandaloneConfig, process.env);
  const config = { ...read, home: resolve(read.home) };
  const product = await startStandalone(config, process.env);
  stopOnSignals(product);
  const { clientConfig } = await writeHandover(config.home, product);
  // Log lines so far come before what a person should read, and the line that scripts wait for comes last.
  product.flush();
  announce(product, relative(process.cwd(), config.home) || '.', relative(process.cwd(), clientConfig));
}

/** Ten lines at most; the last one is for scripts to wait for. */
function announce({ url, demos }: Standalone, home: string, clientConfig: string): void {
  say(`MCP endpoint   ${url}/mcp   (REST: ${url}/mcp/v1, health: ${url}/health)`);
  say(`Admin API      ${url}/admin/v1   (OpenAPI page: ${url}/admin/v1/docs)`);
  for (const { tenant, title, tools, url: backend } of demos) say(`Tenant ${tenant.padEnd(8)}${title}: ${tools} tools from its demo API at ${backend}`);
  if (demos.some(({ tenant }) => tenant === 'acme')) say('Try            npx stoa call list_pets --tenant acme --arg status=available');
  say(`MCP clients    ${clientConfig} is a ready "mcpServers" configuration; a token: npx stoa token --tenant acme --role tenant-admin`);
  say(`Data           ${home}   (policy: shipped, destructive tools ask first; rate limits: generous, backends on loopback: allowed; this process is for one computer)`);
  say(`Stoa is ready in ${Math.round(performance.now())} ms`);
}

function stopOnSignals(product: Standalone): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    product.stop().then(() => { process.exit(0); }, (error: unknown) => { fail(error); });
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
  // Whoever started us is gone: give the port and the folder back.
  process.on('disconnect', stop);
}

function fail(error: unknown): never {
  const text = !(error instanceof Error) ? String(error) : PLAIN.has(error.name) ? error.message : error.stack ?? error.message;
  process.stderr.write(`stoa: ${text}\n`);
  process.exit(1);
}

await main().catch(fail);
