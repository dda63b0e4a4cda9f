import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/faults/**'],
    globalSetup: ['test/support/bundle.ts'],
    // On a busy machine a second is soon over; what is there is seen at once all the same.
    expect: { poll: { timeout: 60_000 } },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Nothing stands in module-level state, so files can share a process; making one for each takes as long as all tests.
    isolate: false,
    maxWorkers: '100%',
    reporters: ['default'],
  },
})
