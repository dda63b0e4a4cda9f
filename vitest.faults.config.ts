import { defineConfig } from 'vitest/config'

/** Faults of every kind, at length: a real process, killed, starved and lied to. One file at a time. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    globalSetup: ['test/support/bundle.ts'],
    env: { KYMO_FAULTS: 'long' },
    fileParallelism: false,
    // What is told is of one run, in order.
    sequence: { concurrent: false },
    testTimeout: 900_000,
    hookTimeout: 120_000,
  },
})
