import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'test/faults/**'],
    testTimeout: 20_000,
    reporters: process.env['CI'] ? ['default'] : ['default'],
  },
})
