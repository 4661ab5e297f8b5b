import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { MUTANTS } from './mutants.js';

const run = promisify(execFile);
/** The names of the cases that are red on a product without this guard. */
async function red(mutant: number): Promise<readonly string[]> {
  const { VITEST: _, VITEST_WORKER_ID: __, VITEST_POOL_ID: ___, ...env } = process.env;
  const folder = mkdtempSync(join(tmpdir(), 'stoa-mutant-'));
  const file = join(folder, 'report.json');
  const failure = await run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--config', 'test/isolation/vitest.mutants.config.ts', '--reporter=json', `--outputFile=${file}`], { env: { ...env, STOA_MUTANT: String(mutant) }, maxBuffer: 64 * 1024 * 1024 })
    .then(() => undefined, (problem: unknown) => problem as { readonly stderr?: string });
  if (!existsSync(file)) throw new Error(`the matrix did not run: ${failure?.stderr ?? ''}`);
  const report = JSON.parse(readFileSync(file, 'utf8')) as { readonly testResults: readonly { readonly message: string; readonly assertionResults: readonly { readonly title: string; readonly status: string }[] }[] };
  rmSync(folder, { recursive: true });
  const cases = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  if (!cases.some(({ status }) => status === 'passed')) throw new Error(`the matrix did not run: ${report.testResults[0]?.message ?? ''}`);
  return cases.filter(({ status }) => status === 'failed').map(({ title }) => title);
}

describe('without the guard that', () => {
  /** What is red with every guard in place, such as a route that is new and not classified yet, proves nothing. */
  let before: ReadonlySet<string>;
  beforeAll(async () => { before = new Set(await red(-1)); console.info(`with every guard: ${before.size} red`); });
  it.each(MUTANTS.map(({ guard }, at) => [guard, at] as const))('%s, a case of the matrix is red', async (guard, at) => {
    const cases = (await red(at)).filter((title) => !before.has(title));
    console.info(`${guard}: ${cases.join('; ')}`);
    expect(cases.length).toBeGreaterThan(0);
  });
});
