import { defineConfig } from 'vitest/config'
import { SkippedBackends } from './test/e2e/backends/report.ts'

/** The long tests: real peers in other languages, many requests, bad weather. One file at a time. */
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts', 'test/memory/**/*.test.ts'],
    globalSetup: ['test/support/bundle.ts'],
    env: { HELD_REQUESTS: '100000' },
    fileParallelism: false,
    // On a busy machine a second is soon over; what is there is seen at once all the same.
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', new SkippedBackends()],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
