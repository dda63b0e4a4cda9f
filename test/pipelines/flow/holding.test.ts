/** A step says how long it keeps anything at most; what it keeps for twice as long it has forgotten. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import * as z from 'zod'
import { Budget, budgetKey } from '../../../core/budget.ts'
import { clockKey } from '../../../core/clock.ts'
import {
  defineConnector,
  defineProcessor,
  type Hold,
  type ProcessorContext,
  type Step,
} from '../../../core/component.ts'
import type { Held } from '../../../core/holding.ts'
import { Host } from '../../../core/host.ts'
import { holding } from '../../../processors/steps.ts'
import { MovableClock } from '../../support/clock.ts'
import { toyGraph, type ToyGraph } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
let time: MovableClock
let kept: Held[]
beforeEach(() => {
  time = new MovableClock()
  kept = []
})
afterEach(async () => {
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
  expect([toy.budget.used, time.timers]).toEqual([0, 0])
})

const keeping = (context: ProcessorContext): Step =>
  holding(context, {
    take: held => void kept.push(held),
    flush: () => kept.splice(0).forEach(held => held.emit()),
  })
const shared = (hold: Hold) =>
  ({
    type: 'toy_step',
    stability: 'stable',
    summary: 'Keeps what it gets.',
    signals: ['traces'],
    hold,
    longest: ({ wait }: { wait: number }) => wait,
    config: z.strictObject({ wait: z.number().default(1000) }),
    examples: [],
  }) as const
const processor = (hold: Hold) => defineProcessor({ ...shared(hold), create: (_config, context) => keeping(context) })
const connector = (hold: Hold) =>
  defineConnector({ ...shared(hold), joins: [['traces', 'traces']], create: (_config, context) => keeping(context) })

function graphWith(kind: 'processor' | 'connector', hold: Hold): Promise<ToyGraph> {
  const isConnector = kind === 'connector'
  return toyGraph({
    host: new Host().provide(clockKey, time).provide(budgetKey, new Budget(1 << 20)),
    exporters: { sink: { sending_queue: { wait_for_result: true } } },
    components: { toy_step: { definition: isConnector ? connector(hold) : processor(hold) } },
    pipelines: isConnector
      ? [
          { id: 'traces/in', exporters: ['toy_step'] },
          { id: 'traces/out', receivers: ['toy_step'], exporters: ['sink'] },
        ]
      : [{ processors: ['toy_step'], exporters: ['sink'] }],
  })
}
const push = (name: string) => toy.push(tracesRequest([{ spans: [name] }]))
const books = () => {
  const [node] = toy.books.nodes.filter(({ name }) => name.id === 'toy_step')
  return {
    held: node.held(),
    lost: node.lost.of('stale').value,
    returned: node.returned.total,
    faults: node.internalFaults,
  }
}

test.each(['processor', 'connector'] as const)(
  'what a %s has forgotten is lost as stale, and a source reads it again',
  async kind => {
    toy = await graphWith(kind, 'state')
    const { outcome, ended } = push('a')
    expect((await outcome).kind).toBe('success')
    await time.advance(1500)
    push('young')
    await time.advance(1500)
    expect(await ended).toMatchObject({ again: true })
    expect(books()).toEqual({ held: 1, lost: 1, returned: 0, faults: 1 })
    const [forgotten, young] = kept.splice(0)
    young.emit()
    forgotten.emit()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['young'])
    expect(books()).toMatchObject({ held: 0, faults: 2 })
  },
)

test('senders that still wait are asked to come again', async () => {
  toy = await graphWith('processor', 'flush')
  toy.sinks['sink'].behave = () => Promise.reject(new Error('never asked'))
  const { outcome } = push('a')
  await time.advance(1999)
  expect(books()).toMatchObject({ held: 1, faults: 0 })
  await time.advance(1001)
  expect(await outcome).toMatchObject({ kind: 'refused', error: { code: 'DELIVERY_STEP_FAILED' } })
  expect(books()).toEqual({ held: 0, lost: 0, returned: 1, faults: 1 })
})
