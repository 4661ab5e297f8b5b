import { defineConfig } from 'vitest/config';

/** Everything that needs nothing but npm. What needs a real service lives under test/real (vitest.real.config.ts). */
export default defineConfig({
  resolve: { conditions: ['stoa-source'] },
  ssr: { resolve: { conditions: ['stoa-source'] } },
  test: {
    include: ['{apps,libs,test,tools}/**/*.test.ts'],
    exclude: ['test/{real,compose,image}/**', '**/node_modules/**', 'dist/**'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    coverage: { provider: 'v8', include: ['apps/**/*.ts', 'libs/**/*.ts'], exclude: ['**/*.test.ts', '**/main.ts', 'libs/state/generated/**'] },
  },
});
