import { startConformanceServer, startThrough } from './server.js';
import { runSuite } from './suite.js';

/**
 * `npm run conformance`: both required sets of the official suite, no failure expected. With `--through [URL]` the gateway stands before an MCP server: the one at
 * the URL, else the conformance fixtures behind a gateway of their own.
 */
const through = process.argv.indexOf('--through');
const upstream = through < 0 ? undefined : process.argv[through + 1];
const native = through >= 0 && upstream !== undefined ? undefined : await startConformanceServer(process.env);
const front = through < 0 ? undefined : await startThrough(process.env, upstream ?? native?.url ?? '');
let failed = false;
for (const revision of ['2026-07-28', '2025-11-25']) {
  const { passed, required, exitCode, output } = await runSuite((front ?? native)?.url ?? '', revision);
  const good = passed === required && required > 0 && exitCode === 0;
  if (!good) { failed = true; console.error(output); }
  console.log(`${revision}${front ? ' through the gateway' : ''}: ${passed} of ${required}`);
}
await front?.close();
await native?.close();
process.exitCode = failed ? 1 : 0;
