import { defineConfig } from 'vitest/config'

/** Three lanes: pure and quick; one real component at a time; the whole daemon. `npm test` runs all. */
export default defineConfig({
  test: {
    reporters: ['default'],
    projects: [
      {
        test: { name: 'unit', include: ['src/**/*.test.ts', 'guest/**/*.test.ts', 'test/unit/**/*.test.ts'] },
      },
      {
        test: {
          name: 'integration',
          include: ['test/conformance/**/*.test.ts', 'test/integration/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
