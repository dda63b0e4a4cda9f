import * as z from 'zod'
import { defineExtension } from '../core/component.ts'

const enabled = (what: string) => z.boolean().default(true).describe(`Accepted, without effect: ${what}.`)

const config = z.strictObject({
  gomaxprocs: z
    .strictObject({ enabled: enabled('one process of Kymo uses one CPU') })
    .prefault({})
    .describe('How many CPUs are used.'),
  gomemlimit: z
    .strictObject({
      enabled: enabled('the limit of the control group is what Kymo reckons with, always'),
      ratio: z.number().gt(0).max(1).default(0.9).describe('Accepted, without effect.'),
      refresh_interval: z.union([z.string(), z.number()]).optional().describe('Accepted, without effect.'),
    })
    .prefault({})
    .describe('How much memory is used.'),
})
type Config = z.output<typeof config>

/** What the Collector sets of Go's run time. */
export const cgroupRuntime = defineExtension<Config>({
  type: 'cgroup_runtime',
  aliases: ['cgroupruntime'],
  stability: 'stable',
  runs: 'each',
  summary: 'Accepted for configurations of the Collector: Kymo keeps to the limits of its control group without it.',
  signals: [],
  config,
  examples: [{ title: 'As the Collector has it', config: {} }],
  create(_, { log }) {
    return {
      start() {
        log.info({}, 'nothing to set: Kymo keeps to the memory limit of its control group by itself, and uses one CPU')
      },
    }
  },
})
