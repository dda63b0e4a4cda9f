import { afterEach, expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { Host } from '../../core/host.ts'
import { MemoryPlan, memoryPlanKey } from '../../core/memory.ts'
import { memoryLimiter } from '../../processors/memory_limiter.ts'
import { toyGraph, type ToyGraph } from '../support/graph.ts'
import { tracesRequest } from '../support/otlp-bytes.ts'

const mib = 1024 * 1024

let toy: ToyGraph | undefined
afterEach(async () => {
  await toy?.graph.stop(50)
  expect(toy?.books.faults() ?? []).toEqual([])
  toy = undefined
})

function planned() {
  const facts = { physical: 8192 * mib, container: 1000 * mib, baseline: 60 * mib, young: 0, windows: 0 }
  const plan = new MemoryPlan(new Budget(0), facts)
  return { plan, host: new Host().provide(memoryPlanKey, plan) }
}

test.each<[string, object, { hard: number; soft: number }]>([
  ['limit_mib', { limit_mib: 400 }, { hard: 400, soft: 320 }],
  ['limit_mib and spike_limit_mib', { limit_mib: 400, spike_limit_mib: 100 }, { hard: 400, soft: 300 }],
  ['limit_percentage', { check_interval: '1s', limit_percentage: 80 }, { hard: 800, soft: 640 }],
  [
    'limit_percentage and spike_limit_percentage',
    { limit_percentage: 80, spike_limit_percentage: 25 },
    { hard: 800, soft: 550 },
  ],
])('%s sets the memory of the process, and data passes', async (_, config, { hard, soft }) => {
  const { plan, host } = planned()
  toy = await toyGraph({
    exporters: { sink: {} },
    components: { memory_limiter: { definition: memoryLimiter, config } },
    pipelines: [{ processors: ['memory_limiter'], exporters: ['sink'] }],
    host,
  })
  expect([plan.hard / mib, plan.soft / mib]).toEqual([hard, soft])
  expect((await toy.push(tracesRequest([{ spans: ['a'] }])).outcome).kind).toBe('success')
  await expect.poll(() => toy?.sinks['sink'].all).toEqual(['a'])
})

test('in several pipelines the lowest limit holds', async () => {
  const { plan, host } = planned()
  toy = await toyGraph({
    exporters: { sink: {} },
    components: {
      'memory_limiter/a': { definition: memoryLimiter, config: { limit_mib: 500 } },
      'memory_limiter/b': { definition: memoryLimiter, config: { limit_mib: 300 } },
    },
    pipelines: [
      { id: 'traces/a', processors: ['memory_limiter/a'], exporters: ['sink'] },
      { id: 'traces/b', processors: ['memory_limiter/b'], exporters: ['sink'] },
    ],
    host,
  })
  expect(plan.hard / mib).toBe(300)
})

test.each<[string, object, RegExp]>([
  ['no limit', {}, /one of `limit_mib` and `limit_percentage` must be set/],
  ['more than all', { limit_percentage: 120 }, /at most 100/],
  ['a spike of all', { limit_mib: 100, spike_limit_mib: 100 }, /must be below `limit_mib`/],
  ['a limit below zero', { limit_mib: -1 }, /at least 0/],
])('%s is told', (_, config, message) => {
  expect(memoryLimiter.config.safeParse(config).error?.issues[0].message).toMatch(message)
})
