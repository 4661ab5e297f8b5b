import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const ROOT = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../../' : '../../', import.meta.url));

export interface SuiteResult { readonly passed: number; readonly required: number; readonly exitCode: number; readonly output: string }

/**
 * The official suite against a running server, with no failure expected. `passed` counts required scenarios all of whose checks succeeded, from the suite's own
 * result files; a scenario that left none, or any that failed, is not counted.
 */
export async function runSuite(url: string, revision: string): Promise<SuiteResult> {
  const results = await mkdtemp(join(tmpdir(), 'stoa-conformance-'));
  try {
    const cli = dirname(require.resolve('@modelcontextprotocol/conformance/package.json'));
    const child = spawn(process.execPath, [join(cli, 'dist/index.js'), 'server', '--url', url, '--requirements', revision, '-o', results,
      '--expected-failures', join(ROOT, 'test/conformance/expected-failures.yaml')], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk) => { output += String(chunk); });
    child.stderr.on('data', (chunk) => { output += String(chunk); });
    const exitCode = await new Promise<number>((resolve, reject) => { child.once('error', reject); child.once('close', (code) => resolve(code ?? 1)); });
    const required = requiredScenarios(await readFile(join(cli, 'requirements', `${revision}.yaml`), 'utf8'));
    const failed = await failures(results, required);
    return { passed: required.length - failed.size, required: required.length, exitCode, output };
  } finally { await rm(results, { recursive: true, force: true }); }
}

/** The list under `server:` of a requirements file. */
function requiredScenarios(yaml: string): string[] {
  const block = /^server:\n((?: {2}- .*\n)+)/m.exec(yaml)?.[1] ?? '';
  return block.split('\n').filter((line) => line !== '').map((line) => line.replace('  - ', '').trim());
}

/** Required scenarios with a failed check, or without any result. */
async function failures(folder: string, required: readonly string[]): Promise<Set<string>> {
  const folders = await readdir(folder);
  const failed = new Set<string>();
  for (const scenario of required) {
    const own = folders.find((name) => new RegExp(`^server-${scenario}-\\d`).test(name));
    const checks = own === undefined ? [] : JSON.parse(await readFile(join(folder, own, 'checks.json'), 'utf8')) as { status: string }[];
    if (!checks.some(({ status }) => status === 'SUCCESS') || checks.some(({ status }) => status === 'FAILURE')) failed.add(scenario);
  }
  return failed;
}
