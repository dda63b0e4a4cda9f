import { defineConfig } from 'rolldown'

export default defineConfig({
  input: 'cli/main.ts',
  platform: 'node',
  output: { file: 'dist/kymo.mjs', format: 'esm', minify: 'dce-only', codeSplitting: false, sourcemap: false },
})
