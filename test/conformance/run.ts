import { startConformanceServer } from './server.js';
import { runSuite } from './suite.js';

/** `npm run conformance`: both required sets of the official suite, no failure expected. */
const server = await startConformanceServer(process.env);
let failed = false;
for (const revision of ['2026-07-28', '2025-11-25']) {
  const { passed, required, exitCode, output } = await runSuite(server.url, revision);
  const good = passed === required && required > 0 && exitCode === 0;
  if (!good) { failed = true; console.error(output); }
  console.log(`${revision}: ${passed} of ${required}`);
}
await server.close();
process.exitCode = failed ? 1 : 0;
