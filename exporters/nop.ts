import * as z from 'zod'
import { defineExporter } from '../core/component.ts'
import { sending } from '../core/sending.ts'
import { allSignals } from '../proto/signals.ts'

/** Takes everything and keeps nothing. */
export const nopExporter = defineExporter({
  type: 'nop',
  stability: 'beta',
  runs: 'each',
  summary: 'Takes everything and forgets it; for tests, and for measuring what is in front of it.',
  signals: allSignals,
  ordering: 'none',
  local: true,
  config: z.strictObject(sending({ queue: false })),
  examples: [{ title: 'Nothing to set', config: {} }],
  touches(_config) {
    return []
  },
  create(_config) {
    return { send: async () => undefined }
  },
})
