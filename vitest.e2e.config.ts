import { defineConfig } from 'vitest/config'

/** The long tests: real peers in other languages, many requests, bad weather. One file at a time. */
export default defineConfig({
  test: {
    include: ['test/e2e/**/*.test.ts', 'test/memory/**/*.test.ts'],
    env: { HELD_REQUESTS: '100000' },
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
