import { defineConfig } from 'vitest/config';
import { MUTANTS } from './mutants.js';

/** The matrix on a product that lacks one guard, the one whose number is `STOA_MUTANT` (-1: none). Nothing is written: the source is changed as it is read. */
const mutant = MUTANTS[Number(process.env['STOA_MUTANT'])];
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  resolve: { conditions: ['stoa-source'] },
  ssr: { resolve: { conditions: ['stoa-source'] } },
  plugins: [{
    name: 'without-a-guard', enforce: 'pre',
    transform(code, id) {
      const edit = [mutant, mutant?.behind].find((one) => one && id.endsWith(`/${one.file}`));
      if (!edit) return undefined;
      if (code.split(edit.find).length !== 2) throw new Error(`${edit.file}: the guard "${mutant?.guard}" is not there once: keep test/isolation/mutants.ts with the code`);
      return code.replace(edit.find, () => edit.without);
    },
  }],
  // What was changed as it was read is not for the next run to reuse.
  test: { fsModuleCache: false, include: [process.env['STOA_MUTANT'] !== undefined ? 'test/isolation/isolation.test.ts' : 'test/isolation/mutants.proof.ts'], testTimeout: 300_000, hookTimeout: 120_000 },
});
