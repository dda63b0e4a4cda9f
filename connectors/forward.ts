import * as z from 'zod'
import { defineConnector } from '../core/component.ts'
import { allSignals } from '../proto/signals.ts'

/** Joins pipelines of one signal. */
export const forward = defineConnector({
  type: 'forward',
  stability: 'beta',
  runs: 'each',
  summary: 'Hands data from pipelines to other pipelines of the same signal, as it is.',
  signals: allSignals,
  joins: allSignals.map(signal => [signal, signal] as const),
  derives: false,
  hold: 'none',
  config: z.strictObject({}),
  examples: [{ title: 'Nothing to set', config: {} }],
  touches(_config) {
    return []
  },
  create() {
    return source => source
  },
})
