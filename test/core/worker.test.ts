import * as z from 'zod'
import { expect, test } from 'vitest'
import { Budget } from '../../core/budget.ts'
import { defineExtension } from '../../core/component.ts'
import { Host } from '../../core/host.ts'
import { type PlacementBySignal, runsOf, runsText, type WorkerPlace, workerKey } from '../../core/worker.ts'
import { budgetKey } from '../../core/budget.ts'
import { toyGraph } from '../support/graph.ts'

test.each<[PlacementBySignal | undefined, unknown, unknown, string]>([
  [undefined, 'one', 'one', 'one'],
  ['each', 'each', 'each', 'each'],
  [{ by: 'trace' }, { by: 'trace' }, { by: 'trace' }, 'by trace'],
  [
    { traces: 'each', metrics: { by: 'series' }, logs: 'each' },
    'each',
    { by: 'series' },
    'each (traces, logs), by series (metrics)',
  ],
])('what runs %j is somewhere with each signal, and can be told', (runs, traces, metrics, text) => {
  const definition = runs === undefined ? {} : { runs }
  expect([runsOf(definition, 'traces'), runsOf(definition, 'metrics'), runsText(definition)]).toEqual([
    traces,
    metrics,
    text,
  ])
})

test.each<[string, WorkerPlace | undefined, WorkerPlace]>([
  ['one of several', { index: 2, count: 4 }, { index: 2, count: 4 }],
  ['the only one', undefined, { index: 0, count: 1 }],
])('a component is told that its process is %s', async (_, given, expected) => {
  let told: WorkerPlace | undefined
  const definition = defineExtension({
    type: 'toy',
    stability: 'stable',
    summary: 'A toy.',
    signals: [],
    config: z.strictObject({}),
    examples: [],
    create(_config, { worker }) {
      told = worker
      return {}
    },
  })
  const host = new Host().provide(budgetKey, new Budget(1 << 20))
  if (given !== undefined) host.provide(workerKey, given)
  const toy = await toyGraph({ exporters: { sink: {} }, components: { toy: { definition } }, host })
  await toy.graph.stop(100)
  expect(told).toEqual(expected)
})
