import { expect, test } from 'vitest'
import * as z from 'zod'
import type { Held } from '../../core/holding.ts'
import { holding } from '../../processors/steps.ts'
import { forward } from '../../connectors/forward.ts'
import { defineProcessor } from '../../core/component.ts'
import { DeliveryError } from '../../core/errors.ts'
import { toyGraph } from '../support/graph.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'
import { until } from '../support/until.ts'

const body = tracesRequest([{ namespace: 'shop', spans: names('a', 5) }])
const direct = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } }

const graph = () =>
  toyGraph({
    exporters: { one: direct, two: direct },
    components: { forward: { definition: forward } },
    pipelines: [
      { id: 'traces/in', exporters: ['forward'] },
      { id: 'traces/other', exporters: ['forward'] },
      { id: 'traces/one', receivers: ['forward'], exporters: ['one'] },
      { id: 'traces/two', receivers: ['forward'], exporters: ['two'] },
    ],
  })

test('what two pipelines hand in arrives behind both others, each item as often as it came', async () => {
  const toy = await graph()
  expect((await toy.push(body).outcome).kind).toBe('success')
  expect(toy.sinks['one'].all).toEqual([...names('a', 5), ...names('a', 5)])
  expect(toy.sinks['two'].all).toEqual(toy.sinks['one'].all)
  const [node] = toy.books.nodes.filter(({ name }) => name.kind === 'connector')
  expect(node).toMatchObject({ in: 10, out: 10, created: 0, consumed: 0 })
  expect(toy.books.faults()).toEqual([])
  await toy.graph.stop(500)
  expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
})

test('a destination behind it that refuses refuses the sender', async () => {
  const toy = await graph()
  toy.sinks['two'].behave = () => Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'later'))
  expect(await toy.push(body).outcome).toMatchObject({ kind: 'refused' })
  expect(toy.books.faults()).toEqual([])
  await toy.graph.stop(500)
})

test('what nobody can be asked for again waits in front of it while the queue behind it is full; nothing is lost', async () => {
  // A step that answers senders itself, as tail sampling does.
  const custody = defineProcessor({
    type: 'custody',
    stability: 'stable',
    summary: 'Takes custody.',
    signals: ['traces'],
    hold: 'state',
    config: z.strictObject({}),
    examples: [],
    create(_, context) {
      const kept: Held[] = []
      const flush = (): void => kept.splice(0).forEach(held => held.emit())
      return holding(context, {
        take(held) {
          kept.push(held)
          context.clock.soon(flush)
        },
        flush,
      })
    },
  })
  const toy = await toyGraph({
    exporters: { one: { sending_queue: { queue_size: 1, num_consumers: 1 } } },
    components: { forward: { definition: forward }, custody: { definition: custody } },
    pipelines: [
      { id: 'traces/in', processors: ['custody'], exporters: ['forward'] },
      { id: 'traces/out', receivers: ['forward'], exporters: ['one'] },
    ],
  })
  let free: () => void = () => {}
  const freed = new Promise<undefined>(resolve => (free = () => resolve(undefined)))
  toy.sinks['one'].behave = () => freed
  const accepted: string[] = []
  for (let i = 0; i < 12; i++) {
    const { kind } = await toy.push(tracesRequest([{ spans: [`s${i}`] }])).outcome
    await new Promise(resolve => setImmediate(resolve))
    if (kind === 'success') accepted.push(`s${i}`)
    else expect(kind).toBe('refused')
  }
  // One is being sent, one stands behind the connector, one in front of it.
  expect(accepted).toHaveLength(3)
  expect(toy.books.faults()).toEqual([])
  free()
  await until(() => expect(toy.sinks['one'].all).toEqual(accepted))
  expect((await toy.push(tracesRequest([{ spans: ['late'] }])).outcome).kind).toBe('success')
  await toy.graph.stop(500)
  expect(toy.sinks['one'].all).toEqual([...accepted, 'late'])
  expect([toy.books.faults(), toy.budget.used]).toEqual([[], 0])
})
