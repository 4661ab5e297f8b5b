import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.js';

const run = promisify(execFile);
/** The names of the cases that are red on a product without this guard. */
async function red(mutant: number): Promise<readonly string[]> {
  const { VITEST: _, VITEST_WORKER_ID: __, VITEST_POOL_ID: ___, ...env } = process.env;
  const { stdout } = await run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/isolation/vitest.mutants.config.ts', '--reporter=json'], { env: { ...env, STOA_MUTANT: String(mutant) }, maxBuffer: 64 * 1024 * 1024 })
    .catch((failure: unknown) => failure as { readonly stdout: string });
  const report = JSON.parse(stdout.slice(stdout.indexOf('{"'))) as { readonly testResults: readonly { readonly message: string; readonly assertionResults: readonly { readonly title: string; readonly status: string }[] }[] };
  const cases = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  if (cases.length === 0 || cases.every(({ status }) => status !== 'passed')) throw new Error(`the matrix did not run: ${report.testResults[0]?.message ?? ''}`);
  return cases.filter(({ status }) => status === 'failed').map(({ title }) => title);
}

describe('without the guard that', () => {
  it.each(MUTANTS.map(({ guard }, at) => [guard, at] as const))('%s, a case of the matrix is red', async (guard, at) => {
    const cases = await red(at);
    console.info(`${guard}: ${cases.length} red`);
    expect(cases.length).toBeGreaterThan(0);
  });
});
