import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/faults/**'],
    // On a busy machine a second is soon over; what is there is seen at once all the same.
    expect: { poll: { timeout: 10_000 } },
    testTimeout: 20_000,
    // Nothing stands in module-level state, so files can share a process; making one for each takes as long as all tests.
    isolate: false,
    maxWorkers: '100%',
    reporters: process.env['CI'] ? ['default'] : ['default'],
  },
})
