import { defineConfig } from 'vitest/config';

/** The contract suites against real services, each started without Docker by the scripts under test/real. */
export default defineConfig({
  resolve: { conditions: ['stoa-source'] },
  ssr: { resolve: { conditions: ['stoa-source'] } },
  test: { include: ['test/{real,compose,image}/**/*.test.ts', 'test/proof/*.proof.ts'], testTimeout: 60_000, hookTimeout: 300_000, fileParallelism: false },
});
