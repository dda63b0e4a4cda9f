import { defer, finalize } from 'rxjs'
import * as z from 'zod'
import { defineProcessor } from '../core/component.ts'
import { duration, int } from '../core/fields.ts'
import { memoryPlanKey } from '../core/memory.ts'

const gc = (text: string) =>
  duration().optional().describe(`${text} Accepted and ignored: memory is counted in bytes, not found by collecting.`)

const config = z
  .strictObject({
    check_interval: duration()
      .prefault('0s')
      .describe('Accepted and ignored: memory is charged as bytes arrive, resident memory is sampled every second.'),
    limit_mib: int(0).default(0).describe('Memory of the whole process, in MiB.'),
    spike_limit_mib: int(0)
      .default(0)
      .describe('Part of the limit kept free for spikes, in MiB; 0 is a fifth of the limit.'),
    limit_percentage: int(0)
      .default(0)
      .describe('The limit as a percentage of the container’s (else the machine’s) memory.'),
    spike_limit_percentage: int(0).default(0).describe('The part kept free, as a percentage of the same.'),
    min_gc_interval_when_soft_limited: gc('Least time between two collections.'),
    min_gc_interval_when_hard_limited: gc('Least time between two collections.'),
    max_gc_interval_when_soft_limited: gc('Most time between two collections.'),
    max_gc_interval_when_hard_limited: gc('Most time between two collections.'),
  })
  .refine(c => c.limit_mib > 0 || c.limit_percentage > 0, {
    error: 'one of `limit_mib` and `limit_percentage` must be set',
  })
  .refine(c => c.limit_percentage <= 100 && c.spike_limit_percentage < 100, { error: 'a percentage is at most 100' })
  .refine(c => c.limit_mib === 0 || c.spike_limit_mib < c.limit_mib, {
    error: '`spike_limit_mib` must be below `limit_mib`',
    path: ['spike_limit_mib'],
  })

export const memoryLimiter = defineProcessor({
  type: 'memory_limiter',
  stability: 'beta',
  runs: 'each',
  summary: 'Sets the memory budget of the process, which is enforced where data comes in.',
  signals: ['traces', 'metrics', 'logs'],
  hold: 'none',
  first: true,
  config,
  examples: [
    { title: 'A gateway in a container of 1 GiB', config: { check_interval: '1s', limit_percentage: 80 } },
    { title: 'A fixed limit', config: { limit_mib: 400, spike_limit_mib: 80 } },
  ],

  touches(_settings) {
    return []
  },

  create(settings, context) {
    const plan = context.host.get(memoryPlanKey)
    const limits = {
      limitMib: settings.limit_mib,
      limitPercentage: settings.limit_percentage,
      spikeLimitMib: settings.spike_limit_mib,
      spikeLimitPercentage: settings.spike_limit_percentage,
    }
    // Over the limit senders are refused before their bytes are read; what is inside already was charged and goes on.
    return source => defer(() => source.pipe(finalize(plan.configure(limits))))
  },
})
